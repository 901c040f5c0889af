// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.user.device.UserMemory;

/**
 * A device of {@code vfio serve} reads memory of its user: lookup, checks, copy, and what keeps an
 * unmap away from a running access. C's side has no such thing: nothing of it may be unmapped.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class ReadBench {
  /** Page size of each mapping as a power of two. */
  @Param({"12"})
  int pageShift = 12;

  /** How many there are. */
  @Param({"1", "65535"})
  int mappings;

  /** In which order they are asked for. */
  @Param({"random"})
  String order = "random";

  private final MemorySegment target = Arena.global().allocate(Keys.LENGTH, Long.BYTES);
  private @Nullable UserMemory space;
  private long[] iovas = {};

  /** Maps, all of them one page of a file that cannot shrink, as QEMU's memory. */
  @Setup
  public void setup() {
    long page = 1L << pageShift;
    UserMemory mapped = new UserMemory("bench");
    try (Descriptor file = Memfd.sealed(SystemCalls.libc(), "bench", page)) {
      int both = UserMemory.READ | UserMemory.WRITE;
      for (long i = 0; i < mappings; i++) {
        mapped.map(2 * i * page, page, both, Optional.of(file), 0);
      }
    }
    for (long i = 0; i < page; i++) {
      target.set(ValueLayout.JAVA_BYTE, 0, (byte) (i / 8 * 31));
      mapped.write(i, target, 0, 1);
    }
    space = mapped;
    iovas = Keys.lookups(page, mappings, order.equals("random"));
  }

  /** Unmaps. */
  @TearDown
  public void close() {
    if (space != null) {
      space.close();
    }
  }

  /** All addresses once; the sum of the first byte at each. */
  @Benchmark
  @OperationsPerInvocation(Keys.COUNT)
  public long read() {
    UserMemory from = space;
    long sum = 0;
    for (long iova : iovas) {
      if (from != null) {
        from.read(iova, target, 0, Keys.LENGTH);
      }
      sum += Byte.toUnsignedInt(target.get(ValueLayout.JAVA_BYTE, 0));
    }
    return sum;
  }
}
