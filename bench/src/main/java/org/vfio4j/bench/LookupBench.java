// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.bench;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.iommu.PageTable;
import org.vfio4j.iommu.Translation;

/** IOVA lookup with bounds and permission check: what each DMA of a device in Java begins with. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class LookupBench {

  /** Page size of each mapping as a power of two: 12 is 4 KiB, 21 is 2 MiB. */
  @Param({"12", "21"})
  int pageShift;

  /** How many there are. */
  @Param({"1", "64", "4096", "65536"})
  int mappings;

  /** In which order they are asked for. */
  @Param({"random", "sequential"})
  String order = "random";

  private MemorySegment memory = MemorySegment.NULL;
  private DmaPort port = port(new PageTable(48, 1L << 12));
  private long[] iovas = {};

  /** Maps, and draws the addresses. */
  @Setup
  public void setup() {
    long page = 1L << pageShift;
    memory = Keys.memory(page);
    port = port(Keys.table(page, mappings, memory));
    iovas = Keys.lookups(page, mappings, order.equals("random"));
  }

  private static DmaPort port(PageTable table) {
    Translation translation = new Translation();
    translation.set(table);
    return new DmaPort("bench", translation, fault -> {});
  }

  /** All addresses once; the sum of the offsets, so that nothing is left out. */
  @Benchmark
  @OperationsPerInvocation(Keys.COUNT)
  public long lookup() {
    long sum = 0;
    for (long iova : iovas) {
      // The call of a device's author; it throws where C would spoil the sum.
      sum += port.translate(iova, Keys.LENGTH, Mapping.READ).offset(iova);
    }
    return sum;
  }
}
