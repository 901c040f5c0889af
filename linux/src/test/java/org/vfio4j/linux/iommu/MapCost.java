// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.function.LongConsumer;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.linux.uapi.ContainerCalls;
import org.vfio4j.linux.uapi.GroupCalls;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/**
 * What our layers cost: map and unmap of 4 KiB by the two ioctls from C, by {@link ContainerCalls},
 * and by the engine's {@link Container} over {@link LinuxIommu}. The three take turns, because the
 * machines are noisy; medians are compared, and the least of each, which the noise of a loaded
 * machine spoils least. Arguments: the compiled map_unmap.c, pairs a turn, turns.
 */
public final class MapCost {
  private static final long IOVA = 0x100000;
  private static final long PAGE = 4096;
  private static final int READ_WRITE = Container.MAP_READ | Container.MAP_WRITE;
  private static final double AIM = 1.2;

  private final String baseline;
  private final long pairs;
  private final LinuxIommu iommu = new LinuxIommu(SystemCalls.libc());
  private final IommuGroup group = iommu.groupOf(EduMachine.A).orElseThrow();

  private MapCost(String baseline, long pairs) {
    this.baseline = baseline;
    this.pairs = pairs;
  }

  /** Prints the three figures and the two ratios. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    EduMachine.assumeHere();
    int turns = Integer.parseInt(arguments[2]);
    MapCost cost = new MapCost(Path.of(arguments[0]).toString(), Long.parseLong(arguments[1]));
    double[] c = new double[turns];
    double[] raw = new double[turns];
    double[] engine = new double[turns];
    cost.raw();
    cost.engine();
    for (int i = 0; i < turns; i++) {
      c[i] = cost.baseline();
      raw[i] = cost.raw();
      engine[i] = cost.engine();
      System.out.printf(
          Locale.ROOT,
          "turn %d: C %.0f ns, ioctls %.0f ns, engine %.0f ns%n",
          i,
          c[i],
          raw[i],
          engine[i]);
    }
    System.out.printf(
        Locale.ROOT,
        "map and unmap of 4 KiB, %d turns of %d pairs; median: %s; least: %s; aim: %.1f%n",
        turns,
        cost.pairs,
        figures(median(c), median(raw), median(engine)),
        figures(least(c), least(raw), least(engine)),
        AIM);
  }

  private static String figures(double c, double raw, double engine) {
    return "C %.0f ns, Java's ioctls %.0f ns (%.2f of it), engine %.0f ns (%.2f of it)"
        .formatted(c, raw, raw / c, engine, engine / c);
  }

  private static double least(double[] values) {
    return Arrays.stream(values).min().orElseThrow();
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  private double baseline() throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(
                baseline, Integer.toString(group.id()), Long.toString(pairs), Long.toString(pairs))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    String line = process.inputReader().readLine();
    if (!process.waitFor(1, TimeUnit.MINUTES) || process.exitValue() != 0 || line == null) {
      throw new IllegalStateException(baseline + " failed");
    }
    return Double.parseDouble(line);
  }

  private double raw() {
    SystemCalls calls = SystemCalls.libc();
    try (ContainerCalls container = ContainerCalls.open(calls);
        GroupCalls file = GroupCalls.open(calls, group.id());
        MappedMemory buffer = MappedMemory.anonymous(calls, PAGE)) {
      buffer.segment().fill((byte) 1);
      file.setContainer(container);
      container.setIommu(Type1.V2.number());
      long address = buffer.address();
      return measure(
          count -> {
            for (long i = 0; i < count; i++) {
              container.map(address, IOVA, PAGE, READ_WRITE);
              expectPage(container.unmap(IOVA, PAGE, 0));
            }
          });
    }
  }

  private double engine() {
    AddressSpace memory = ProcessMemory.create();
    try (Container container =
            new Container("cost", iommu, EduMachine.profile(), Type1.V2, new Type1Parameters());
        MappedMemory buffer = MappedMemory.anonymous(SystemCalls.libc(), PAGE)) {
      buffer.segment().fill((byte) 1);
      container.attach(group);
      long address = buffer.address();
      return measure(
          count -> {
            for (long i = 0; i < count; i++) {
              container.map(memory, address, IOVA, PAGE, READ_WRITE);
              expectPage(container.unmap(memory, IOVA, PAGE));
            }
          });
    }
  }

  private static void expectPage(long unmapped) {
    if (unmapped != PAGE) {
      throw new IllegalStateException("unmapped " + unmapped);
    }
  }

  /** Nanoseconds for each of the pairs, after as many to warm up. */
  private double measure(LongConsumer loop) {
    loop.accept(pairs);
    long start = System.nanoTime();
    loop.accept(pairs);
    return (double) (System.nanoTime() - start) / pairs;
  }
}
