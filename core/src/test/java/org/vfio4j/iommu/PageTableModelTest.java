// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Random maps and unmaps, compared page by page with a model of the table. */
class PageTableModelTest {
  private static final long PAGE = 4096;

  /** What the table must answer, page by page: the dullest thing that can be right. */
  private static final class Model {
    private final long base;
    private final long pageSize;
    private final @Nullable Mapping[] pages;

    Model(long base, long pageSize, int count) {
      this.base = base;
      this.pageSize = pageSize;
      this.pages = new @Nullable Mapping[count];
    }

    boolean isFree(int first, int end) {
      for (int i = first; i < end; i++) {
        if (pages[i] != null) {
          return false;
        }
      }
      return true;
    }

    long clear(int first, int end) {
      Mapping head = pages[first];
      Mapping tail = pages[end - 1];
      long cleared = 0;
      for (int i = first; i < end; i++) {
        cleared += pages[i] != null ? pageSize : 0;
        pages[i] = null;
      }
      if (head != null) {
        keep(head, index(head.iova()), first);
      }
      if (tail != null) {
        keep(tail, end, index(tail.iova()) + (int) (tail.size() / pageSize));
      }
      return cleared;
    }

    private void keep(Mapping old, int from, int to) {
      if (from < to) {
        long size = (to - from) * pageSize;
        MemorySegment part = old.memory().asSlice(iova(from) - old.iova(), size);
        Arrays.fill(pages, from, to, new Mapping(iova(from), size, part, old.prot()));
      }
    }

    int index(long iova) {
      return (int) ((iova - base) / pageSize);
    }

    long iova(int index) {
      return base + index * pageSize;
    }

    void check(PageTable table, int index, long inPage) {
      Mapping want = pages[index];
      Mapping got = table.find(iova(index) + inPage);
      if (want == null) {
        assertThat(got).isSameAs(Mapping.NONE);
      } else if (got.iova() != want.iova()
          || got.size() != want.size()
          || got.prot() != want.prot()
          || got.memory().address() + got.offset(got.iova())
              != want.memory().address() + want.offset(want.iova())) {
        assertThat(got).as("page %d", index).isEqualTo(want);
      }
    }
  }

  /** Windows of the address space: all of a small one, and pieces at the ends of large ones. */
  @ParameterizedTest
  @CsvSource({
    "24, 0x1000,     0x0,                0x1000,   3000",
    "48, 0x40201000, 0x0,                0x100000, 1500",
    "48, 0x40201000, 0x7fffc0000000,     0x100000, 1500",
    "57, -0x1000,    0x1ffff00000000,    0x100000, 1500",
    "64, -0x1000,    -0x100000000,       0x100000, 1500",
    "39, 0x2004000,  0x7f00000000,       0x1000,   3000",
    "64, 0x20010000, -0x10000000,        0x1000,   3000",
  })
  void shouldAgreeWithAPageByPageModel(
      int addressBits, String pageSizes, String base, String pages, int operations) {
    long seed = Long.getLong("vfio4j.seed", System.nanoTime());
    System.out.println("PageTableModelTest: replay with -Dvfio4j.seed=" + seed);
    Random random = new Random(seed);
    long sizes = Long.decode(pageSizes);
    PageTable table = new PageTable(addressBits, sizes);
    Model model = new Model(Long.decode(base), Long.lowestOneBit(sizes), Integer.decode(pages));
    long mapped = 0;
    for (int i = 0; i < operations; i++) {
      int[] range = randomRange(random, model.pages.length);
      if (random.nextInt(5) < 3) {
        mapped += mapBoth(table, model, range[0], range[1], random);
      } else {
        mapped -= unmapBoth(table, model, range[0], range[1]);
      }
      assertThat(table.mappedBytes()).isEqualTo(mapped);
      checkPages(table, model, range, random);
    }
    assertThat(unmapBoth(table, model, 0, model.pages.length)).isEqualTo(mapped);
    assertThat(table.nodes()).isOne();
  }

  /** Ends on all scales, often aligned to a superpage or one page off. */
  private static int[] randomRange(Random random, int pages) {
    int scale = 1 << 9 * random.nextInt(3);
    int first = random.nextInt(pages);
    int count = 1 + random.nextInt(4) * (scale < pages ? scale : 1);
    if (random.nextBoolean()) {
      first &= -scale;
      count = Math.max(1, count & -scale);
    }
    count += random.nextInt(4) == 0 ? 1 : 0;
    return new int[] {first, Math.min(pages, first + count)};
  }

  private static long mapBoth(PageTable table, Model model, int first, int end, Random random) {
    long size = (end - first) * model.pageSize;
    MemorySegment part = Hole.MEMORY.asSlice(random.nextInt(1000) * PAGE, size);
    Mapping m = new Mapping(model.iova(first), size, part, random.nextInt(4));
    if (model.isFree(first, end)) {
      table.map(m);
      Arrays.fill(model.pages, first, end, m);
      return size;
    }
    long nodes = table.nodes();
    assertThatThrownBy(() -> table.map(m)).isInstanceOf(IllegalStateException.class);
    assertThat(table.nodes()).isEqualTo(nodes);
    return 0;
  }

  private static long unmapBoth(PageTable table, Model model, int first, int end) {
    long cleared = table.unmap(model.iova(first), (end - first) * model.pageSize);
    assertThat(cleared).isEqualTo(model.clear(first, end));
    return cleared;
  }

  private static void checkPages(PageTable table, Model model, int[] range, Random random) {
    int last = model.pages.length - 1;
    for (int end : range) {
      for (int index = end - 2; index <= end + 2; index++) {
        model.check(table, Math.clamp(index, 0, last), random.nextLong(model.pageSize));
      }
    }
    // All pages of a small window, as many of a large one.
    int step = model.pages.length / 0x1000;
    for (int index = random.nextInt(step); index <= last; index += step) {
      model.check(table, index, random.nextLong(model.pageSize));
    }
  }
}
