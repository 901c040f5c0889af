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
import org.vfio4j.iommu.Mapping;
import org.vfio4j.iommu.PageTable;

/** Map and unmap of one page in a gap between live mappings, a new {@link Mapping} each time. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class MapBench {

  /** Page size as a power of two: 12 is 4 KiB, 21 is 2 MiB. */
  @Param({"12", "21"})
  int pageShift;

  /** How many other mappings of that size there are. */
  @Param({"0", "65536"})
  int live;

  private long page;
  private MemorySegment memory = MemorySegment.NULL;
  private PageTable table = new PageTable(48, 1L << 12);
  private long[] iovas = {};

  /** Maps the live set, and draws the gaps. */
  @Setup
  public void setup() {
    page = 1L << pageShift;
    memory = Keys.memory(page);
    table = Keys.table(page, live, memory);
    iovas = Keys.gaps(page, live);
  }

  /** All gaps once; the sum of the bytes unmapped. */
  @Benchmark
  @OperationsPerInvocation(Keys.COUNT)
  public long mapAndUnmap() {
    long sum = 0;
    for (long iova : iovas) {
      table.map(new Mapping(iova, page, memory, Mapping.READ | Mapping.WRITE));
      sum += table.unmap(iova, page);
    }
    return sum;
  }
}
