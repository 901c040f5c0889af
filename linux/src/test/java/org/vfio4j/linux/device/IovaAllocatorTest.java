// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IovaRange;

/** The allocator against a model that tries every page, and its messages. */
class IovaAllocatorTest {
  private static final long PAGE = 4096;
  private static final IovaRange X86_LOW = new IovaRange(0, 0xfedfffffL);
  private static final IovaRange X86_HIGH = new IovaRange(0xfef00000L, 0xffffffffffffL);

  @Test
  void shouldStartAboveSmallNumbersAndGoUp() {
    IovaAllocator allocator = x86();
    assertThat(allocator.allocate(PAGE, IovaRange.ALL)).isEqualTo(0x10000);
    assertThat(allocator.allocate(PAGE, IovaRange.ALL)).isEqualTo(0x11000);
  }

  @Test
  void shouldAlignToThePowerOfTwoAboveTheSize() {
    IovaAllocator allocator = x86();
    assertThat(allocator.allocate(PAGE, IovaRange.ALL)).isEqualTo(0x10000);
    assertThat(allocator.allocate(3 * PAGE, IovaRange.ALL)).isEqualTo(0x14000);
    assertThat(allocator.allocate(2 * PAGE, IovaRange.ALL)).isEqualTo(0x12000);
    assertThat(allocator.allocate(64 << 20, IovaRange.ALL)).isEqualTo(0x200000);
  }

  @Test
  void shouldGiveWhatWasGivenBack() {
    IovaAllocator allocator = x86();
    long first = allocator.allocate(PAGE, IovaRange.ALL);
    allocator.allocate(PAGE, IovaRange.ALL);
    allocator.free(first);
    assertThat(allocator.allocate(PAGE, IovaRange.ALL)).isEqualTo(first);
  }

  @Test
  void shouldStepOverTheWindowOfInterrupts() {
    IovaAllocator allocator = x86();
    assertThat(allocator.allocate(0xfec00000L, IovaRange.ALL)).isEqualTo(0x200000);
    assertThat(allocator.allocate(0x200000, IovaRange.ALL)).isEqualTo(0xff000000L);
  }

  @Test
  void shouldReachTheLastPageOfTheWidestSpace() {
    IovaAllocator allocator = new IovaAllocator();
    allocator.allow(List.of(IovaRange.ALL));
    IovaRange end = new IovaRange(-PAGE, -1);
    assertThat(allocator.allocate(PAGE, end)).isEqualTo(-PAGE);
    assertThatThrownBy(() -> allocator.allocate(PAGE, end)).isInstanceOf(VfioException.class);
    allocator.free(-PAGE);
    assertThat(allocator.free()).containsExactly(IovaRange.ALL);
    assertThatThrownBy(() -> allocator.take(-PAGE, 2 * PAGE))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("beyond 2^64: iova=0xfffffffffffff000, bytes=0x2000");
  }

  @Test
  void shouldTellWindowsAndLimitWhenThereIsNoRoom() {
    IovaAllocator allocator = x86();
    allocator.allocate(PAGE, IovaRange.ALL);
    assertThatThrownBy(() -> allocator.allocate(0x10000000, IovaRange.ofWidth(28)))
        .isInstanceOf(VfioException.class)
        .hasMessage(
            "no room for 0x10000000 bytes, aligned to 0x200000, between 0x10000 and 0xfffffff: the"
                + " IOMMU allows [0x0-0xfedfffff] [0xfef00000-0xffffffffffff], mappings there: 1;"
                + " close some, allow the device higher addresses, or map less at once (ENOSPC)");
    assertThatThrownBy(() -> new IovaAllocator().allocate(PAGE, IovaRange.ALL))
        .hasMessageContaining("the IOMMU allows nothing");
  }

  @Test
  void shouldRefuseAPlaceThatIsTaken() {
    IovaAllocator allocator = x86();
    allocator.take(0x4000, 2 * PAGE);
    assertThatThrownBy(() -> allocator.take(0x5000, PAGE))
        .isInstanceOf(VfioException.class)
        .hasMessage("0x5000-0x5fff overlaps the mapping at 0x4000-0x5fff (EEXIST)");
    allocator.take(0x6000, PAGE);
    assertThatThrownBy(() -> allocator.free(0x5000)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void shouldKeepWhatIsTakenWhenTheWindowsChange() {
    IovaAllocator allocator = new IovaAllocator();
    allocator.allow(List.of(new IovaRange(0x10000, 0x13fff)));
    long kept = allocator.allocate(PAGE, IovaRange.ALL);
    allocator.allow(List.of(new IovaRange(0x10000, 0x10fff), new IovaRange(0x20000, 0x20fff)));
    assertThat(allocator.allocate(PAGE, IovaRange.ALL)).isEqualTo(0x20000);
    allocator.free(kept);
    assertThat(allocator.allocate(PAGE, IovaRange.ALL)).isEqualTo(kept);
  }

  @Test
  void shouldAgreeWithAModelThatTriesEveryPage() {
    long seed = Long.getLong("vfio4j.seed", System.nanoTime());
    Random random = new Random(seed);
    int given = 0;
    int refused = 0;
    for (int round = 0; round < 60; round++) {
      Model model = new Model(random);
      for (int step = 0; step < 300; step++) {
        String where = "-Dvfio4j.seed=%d, round %d, step %d".formatted(seed, round, step);
        Optional<Boolean> answer = model.step(where);
        given += answer.orElse(false) ? 1 : 0;
        refused += answer.orElse(true) ? 0 : 1;
      }
    }
    assertThat(given).as("-Dvfio4j.seed=%d", seed).isGreaterThan(1000);
    assertThat(refused).as("-Dvfio4j.seed=%d", seed).isGreaterThan(1000);
  }

  private static IovaAllocator x86() {
    IovaAllocator allocator = new IovaAllocator();
    allocator.allow(List.of(X86_LOW, X86_HIGH));
    return allocator;
  }

  /** A few windows of some pages, at the start, in the middle and at the very end of 2^64. */
  private static final class Model {
    private final Random random;
    private final IovaAllocator allocator = new IovaAllocator();
    private final TreeMap<Long, Long> taken = new TreeMap<>(Long::compareUnsigned);
    private List<IovaRange> windows;

    Model(Random random) {
      this.random = random;
      windows = randomWindows();
      allocator.allow(windows);
    }

    private List<IovaRange> randomWindows() {
      List<IovaRange> some = new ArrayList<>();
      for (long base : new long[] {0, 0x10000, 0x40000, 0xfee00000L, 1L << 47, -64 * PAGE}) {
        if (random.nextInt(3) > 0) {
          long start = base + random.nextInt(16) * PAGE;
          long pages = base < 0 && random.nextBoolean() ? -start / PAGE : 1 + random.nextInt(32);
          if (some.isEmpty() || Long.compareUnsigned(some.getLast().last(), start) < 0) {
            some.add(new IovaRange(start, start + pages * PAGE - 1));
          }
        }
      }
      return some;
    }

    /** True for given, false for refused, empty for anything else. */
    Optional<Boolean> step(String where) {
      Optional<Boolean> answer =
          switch (random.nextInt(8)) {
            case 0, 1 -> freeOne();
            case 2 -> random.nextInt(20) == 0 ? changeWindows() : freeOne();
            case 3 -> takeOne(where);
            default -> allocateOne(where);
          };
      assertThat(allocator.size()).as(where).isEqualTo(taken.size());
      assertThat(pagesOf(allocator.free())).as(where).isEqualTo(freePages());
      return answer;
    }

    private Optional<Boolean> allocateOne(String where) {
      long bytes = (1 + random.nextInt(random.nextBoolean() ? 2 : 12)) * PAGE;
      IovaRange within = randomLimit();
      Optional<Long> expected = firstFit(bytes, within);
      try {
        long iova = allocator.allocate(bytes, within);
        assertThat(Optional.of(iova)).as(where).isEqualTo(expected);
        taken.put(iova, iova + bytes - 1);
        return Optional.of(true);
      } catch (VfioException e) {
        assertThat(e.errno()).isEqualTo(Errno.ENOSPC);
        assertThat(expected).as(where).isEmpty();
        return Optional.of(false);
      }
    }

    private Optional<Boolean> takeOne(String where) {
      long iova = random.nextInt(0x60) * PAGE;
      long bytes = (1 + random.nextInt(4)) * PAGE;
      boolean free = isFree(iova, iova + bytes - 1);
      try {
        allocator.take(iova, bytes);
        assertThat(free).as(where).isTrue();
        taken.put(iova, iova + bytes - 1);
      } catch (VfioException e) {
        assertThat(e.errno()).isEqualTo(Errno.EEXIST);
        assertThat(free).as(where).isFalse();
      }
      return Optional.empty();
    }

    private Optional<Boolean> freeOne() {
      if (!taken.isEmpty()) {
        long iova = new ArrayList<>(taken.keySet()).get(random.nextInt(taken.size()));
        allocator.free(iova);
        taken.remove(iova);
      }
      return Optional.empty();
    }

    private Optional<Boolean> changeWindows() {
      windows = randomWindows();
      allocator.allow(windows);
      return Optional.empty();
    }

    private IovaRange randomLimit() {
      return switch (random.nextInt(4)) {
        case 0 -> IovaRange.ofWidth(18);
        case 1 -> IovaRange.ofWidth(32);
        case 2 -> new IovaRange(0x12345, 0x4ffff);
        default -> IovaRange.ALL;
      };
    }

    private Optional<Long> firstFit(long bytes, IovaRange within) {
      long alignment = PAGE;
      while (alignment < bytes) {
        alignment *= 2;
      }
      for (IovaRange window : windows) {
        long pages = (window.last() - window.start() + 1) / PAGE;
        for (long page = 0; page < pages; page++) {
          long iova = window.start() + page * PAGE;
          long last = iova + bytes - 1;
          if (iova % alignment == 0
              && Long.compareUnsigned(iova, 0x10000) >= 0
              && Long.compareUnsigned(iova, last) < 0
              && window.contains(iova, last)
              && within.contains(iova, last)
              && isFree(iova, last)) {
            return Optional.of(iova);
          }
        }
      }
      return Optional.empty();
    }

    private boolean isFree(long first, long last) {
      return taken.entrySet().stream()
          .noneMatch(t -> new IovaRange(t.getKey(), t.getValue()).overlaps(first, last));
    }

    private List<Long> freePages() {
      return pagesOf(windows).stream().filter(p -> isFree(p, p + PAGE - 1)).toList();
    }

    private static List<Long> pagesOf(List<IovaRange> ranges) {
      List<Long> pages = new ArrayList<>();
      for (IovaRange range : ranges) {
        for (long n = 0; n < (range.last() - range.start() + 1) / PAGE; n++) {
          pages.add(range.start() + n * PAGE);
        }
      }
      return pages;
    }
  }
}
