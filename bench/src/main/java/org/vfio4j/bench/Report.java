// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.DoubleStream;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;
import org.vfio4j.bench.Baseline.Run;

/**
 * Runs C and Java in turns, case by case, and prints both: a machine that is slow for a while is
 * slow for both. The figures are those of the fastest iteration on each side: what disturbs only
 * adds time. All iterations are in the raw results.
 */
public final class Report {

  /** How long a case takes: JMH's warm-up and measured iterations. */
  private record Effort(int warmups, int iterations, int milliseconds) {
    static final Effort FULL = new Effort(4, 6, 500);
    static final Effort QUICK = new Effort(3, 3, 250);
  }

  /** What is measured; C's name for it, and the word for the table. */
  private enum Operation {
    LOOKUP("lookup", "lookup"),
    READ("read", "device reads 64 B"),
    MAP("map", "map+unmap");

    final String inC;
    final String words;

    Operation(String inC, String words) {
      this.inC = inC;
      this.words = words;
    }
  }

  /** One line of the table. Only lookups and reads are in an order. */
  private record Case(Operation operation, int pageShift, int count, String order) {

    String page() {
      return pageShift == 12 ? "4 KiB" : "2 MiB";
    }

    String title() {
      String title = "%s, %s".formatted(operation.words, page());
      return operation == Operation.MAP ? title : "%s, %s".formatted(title, order);
    }

    ChainedOptionsBuilder select(ChainedOptionsBuilder options) {
      String size = Integer.toString(count);
      options.param("pageShift", Integer.toString(pageShift));
      return switch (operation) {
        case LOOKUP -> options.include("LookupBench").param("mappings", size).param("order", order);
        case READ -> options.include("ReadBench").param("mappings", size).param("order", order);
        case MAP -> options.include("MapBench").param("live", size);
      };
    }

    List<String> baseline(Effort effort) {
      return List.of(
          operation.inC,
          Integer.toString(pageShift),
          Integer.toString(count),
          order,
          // It runs before and after Java, each time for half of the iterations.
          Integer.toString((effort.iterations + 1) / 2),
          Integer.toString(effort.milliseconds));
    }

    /** What the measured loop of Java returns, to be compared with C's. */
    long sum() {
      return switch (operation) {
        case LOOKUP -> {
          LookupBench bench = new LookupBench();
          bench.pageShift = pageShift;
          bench.mappings = count;
          bench.order = order;
          bench.setup();
          yield bench.lookup();
        }
        case READ -> {
          ReadBench bench = new ReadBench();
          bench.pageShift = pageShift;
          bench.mappings = count;
          bench.order = order;
          bench.setup();
          long sum = bench.read();
          bench.close();
          yield sum;
        }
        case MAP -> {
          MapBench bench = new MapBench();
          bench.pageShift = pageShift;
          bench.live = count;
          bench.setup();
          yield bench.mapAndUnmap();
        }
      };
    }
  }

  private final Baseline baseline;
  private final Effort effort;
  private final List<String> raw = new ArrayList<>();

  private Report(Baseline baseline, Effort effort) {
    this.baseline = baseline;
    this.effort = effort;
  }

  /**
   * Prints the table.
   *
   * @param args the C program, the file for the raw results, and {@code --quick} or nothing
   */
  public static void main(String[] args) throws Exception {
    boolean quick = args.length > 2 && args[2].equals("--quick");
    Report report = new Report(new Baseline(args[0]), quick ? Effort.QUICK : Effort.FULL);
    System.out.printf(
        "%-34s %10s %8s %8s %6s %10s%n",
        "operation", "mappings", "C ns", "Java ns", "ratio", "Java B/op");
    for (Case c : cases(quick)) {
      report.measure(c);
    }
    report.measureScale();
    Files.write(Path.of(args[1]), report.raw);
  }

  /** What one group or container more costs, beside how many there are. */
  private void measureScale() throws RunnerException {
    System.out.printf("%n%-42s %10s %10s %6s%n", "operation", "at 100", "at 10,000", "ratio");
    for (String what : List.of("groups", "containers")) {
      double few = scale(what, 100);
      double many = scale(what, 10_000);
      String operation =
          what.equals("groups")
              ? "attach+detach, groups in the container"
              : "container with one group, containers";
      System.out.printf("%-42s %7.0f ns %7.0f ns %6.2f%n", operation, few, many, many / few);
    }
  }

  private double scale(String what, int size) throws RunnerException {
    ChainedOptionsBuilder options = options(new OptionsBuilder());
    RunResult result =
        new Runner(
                options.include("ScaleBench." + what).param("size", Integer.toString(size)).build())
            .runSingle();
    raw.add(what + ", " + size + ": " + result.getPrimaryResult().extendedInfo());
    return result.getPrimaryResult().getStatistics().getMin();
  }

  private static List<Case> cases(boolean quick) {
    List<Case> cases = new ArrayList<>();
    for (int pageShift : quick ? new int[] {21} : new int[] {21, 12}) {
      for (String order : List.of("random", "sequential")) {
        for (int mappings : new int[] {1, 64, 4096, 65536}) {
          cases.add(new Case(Operation.LOOKUP, pageShift, mappings, order));
        }
      }
    }
    for (int mappings : new int[] {1, 65535}) {
      cases.add(new Case(Operation.READ, 12, mappings, "random"));
    }
    for (int pageShift : new int[] {12, 21}) {
      cases.add(new Case(Operation.MAP, pageShift, 0, "-"));
      cases.add(new Case(Operation.MAP, pageShift, 65536, "-"));
    }
    return cases;
  }

  private void measure(Case c) throws IOException, InterruptedException, RunnerException {
    Run before = baseline.run(c.baseline(effort));
    RunResult java = new Runner(c.select(options(new OptionsBuilder())).build()).runSingle();
    Run after = baseline.run(c.baseline(effort));
    if (before.sum() != c.sum()) {
      throw new IllegalStateException("C and Java do not do the same: " + c);
    }
    double[] times =
        DoubleStream.concat(Arrays.stream(before.times()), Arrays.stream(after.times()))
            .sorted()
            .toArray();
    double javaTime = java.getPrimaryResult().getStatistics().getMin();
    double bytes =
        Objects.requireNonNull(java.getSecondaryResults().get("gc.alloc.rate.norm")).getScore();
    System.out.printf(
        "%-34s %,10d %8.2f %8.2f %6.2f %10.3f%n",
        c.title(), c.count, times[0], javaTime, javaTime / times[0], bytes);
    raw.add(
        "%s, %d: C %s, Java %s"
            .formatted(
                c.title(),
                c.count,
                Arrays.toString(times),
                java.getPrimaryResult().extendedInfo().replaceAll("\\s+", " ")));
  }

  private ChainedOptionsBuilder options(ChainedOptionsBuilder options) {
    TimeValue time = TimeValue.milliseconds(effort.milliseconds);
    return options
        .forks(1)
        .warmupIterations(effort.warmups)
        .warmupTime(time)
        .measurementIterations(effort.iterations)
        .measurementTime(time)
        // The collector that Java takes on a server, also where this is pinned to one CPU.
        .jvmArgsAppend("-XX:+UseG1GC", "-Xms512m", "-Xmx512m", "--enable-native-access=ALL-UNNAMED")
        .addProfiler(GCProfiler.class)
        .verbosity(VerboseMode.SILENT);
  }
}
