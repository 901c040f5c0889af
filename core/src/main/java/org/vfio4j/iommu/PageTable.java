// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The translation of one IOMMU domain in software: a radix tree in the heap, shaped like the page
 * table of an IOMMU, whose leaves refer to {@link Mapping}s. A leaf stands as high as its range
 * allows, so that with 4 KiB pages an aligned 2 MiB or 1 GiB costs one slot.
 *
 * <p>Threads: {@link #find} takes no lock, allocates nothing and may run at any time. All other
 * methods need the lock of the domain, which the caller holds. A lookup by whoever has learned that
 * {@link #unmap} returned (through a lock, a volatile, any message) does not find what was
 * unmapped. What an earlier lookup found stays in the finder's hands: who must know that no device
 * still uses the memory waits for the lookups under way, after a full fence of his own. A device
 * that announces its lookup by a volatile write needs no fence: lookups read as volatile.
 *
 * <p>Why readers need no lock: a slot changes by one store of a reference to something complete,
 * and only nodes without mappings leave the tree, never to be put to use again. A reader that is
 * still inside such a node finds nothing, which was true while its lookup ran.
 */
public final class PageTable {

  /** A node has 512 slots, as on x86. */
  private static final int BITS = 9;

  private static final int SLOTS = 1 << BITS;
  private static final int MASK = SLOTS - 1;

  /** How many unused nodes may stay in the tree, above as many as are in use. */
  private static final int SPARE_NODES = 16;

  /** The root of every table in which nothing was mapped yet; nothing is ever put into it. */
  private static final @Nullable Object[] BARE = newNode(null);

  private static final VarHandle SLOT = MethodHandles.arrayElementVarHandle(Object[].class);

  /**
   * The writer's notes on a node. The node itself is a bare array, its slots (each null, a Mapping
   * or the node one level below) and after them its Use: a class around the array would cost every
   * lookup another dependent load per level.
   */
  private static final class Use {
    /** How many slots hold a leaf or a node that is itself in use. */
    int slots;

    /** That of the node above, null at the root. */
    @Nullable Use above;

    Use(@Nullable Use above) {
      this.above = above;
    }
  }

  /**
   * Where a walk begins: the tree is only as high as the highest address mapped so far asks for.
   *
   * @param level of the root; level 0 holds single pages
   * @param shift how far to shift an IOVA for its index in the root
   */
  private record Top(@Nullable Object[] root, int level, int shift) {}

  private final int pageShift;

  /** The number of pages in the address space, at most 2^52: no page arithmetic overflows. */
  private final long pages;

  private volatile Top top;
  private long mappedPages;

  /** Nodes with a mapping below them, but for the root. */
  private long usedNodes;

  /** At least the number of linked nodes without. */
  private long unusedNodes;

  /**
   * An empty table.
   *
   * @param addressBits the width of an IOVA, 1 to 64
   * @param pageSizes one bit per page size in bytes; only the lowest matters, the granule of all
   *     ranges, which is 4 KiB or more: larger pages serve ranges of any size here
   * @throws IllegalArgumentException if one of these does not hold
   */
  public PageTable(int addressBits, long pageSizes) {
    pageShift = Long.numberOfTrailingZeros(pageSizes);
    if (addressBits < 1 || addressBits > 64 || pageShift < 12 || pageShift > 62) {
      throw new IllegalArgumentException(
          "no such table: addressBits=%d, pageSizes=0x%x".formatted(addressBits, pageSizes));
    }
    pages = addressBits < pageShift ? 0 : 1L << (addressBits - pageShift);
    top = new Top(BARE, 0, pageShift);
  }

  /**
   * The mapping at an address.
   *
   * @param iova the address in bytes, unsigned, of any alignment
   * @return the mapping whose range holds it, or {@link Mapping#NONE}
   */
  public Mapping find(long iova) {
    Top t = top;
    @Nullable Object[] node = t.root;
    int shift = t.shift;
    long index = iova >>> shift;
    if (index > MASK) {
      return Mapping.NONE;
    }
    while (true) {
      Object entry = SLOT.getVolatile(node, (int) index & MASK);
      if (entry == null) {
        return Mapping.NONE;
      }
      if (entry.getClass() == Mapping.class) {
        return (Mapping) entry;
      }
      node = (@Nullable Object[]) entry;
      shift -= BITS;
      index = iova >>> shift;
    }
  }

  /**
   * Maps a range. Until this returns, a lookup may see a part of it.
   *
   * @throws IllegalStateException if a page of it is mapped already; nothing has changed then
   * @throws IllegalArgumentException if it is not page aligned or ends beyond the address width
   */
  public void map(Mapping m) {
    long first = firstPage(m.iova(), m.size());
    long end = first + (m.size() >>> pageShift);
    Top t = top;
    if (end > reach(t) || t.root == BARE) {
      check(m, firstIn(t.root, t.level, first, reach(t)));
      t = grown(end - 1);
    }
    int level = Math.min(levelOf(first, end), t.level);
    @Nullable Object[] node = t.root;
    for (int n = t.level; n > level; n--) {
      int index = index(first, n);
      if (node[index] instanceof Mapping other) {
        check(m, other);
      }
      node = below(node, index);
    }
    check(m, firstIn(node, level, first, end));
    install(node, level, first, end, m);
    mappedPages += end - first;
  }

  /**
   * Unmaps whatever is mapped in a range; holes are no error. A mapping that the range cuts is
   * split: what lies outside stays mapped at every moment, as new mappings of the same memory.
   *
   * @param iova first address, page aligned
   * @param size bytes, page aligned, unsigned
   * @return how many bytes were mapped there
   * @throws IllegalArgumentException if it is not page aligned or ends beyond the address width
   */
  public long unmap(long iova, long size) {
    if (size == 0) {
      return 0;
    }
    long first = firstPage(iova, size);
    Top t = top;
    long end = Math.min(first + (size >>> pageShift), reach(t));
    Mapping m = find(iova);
    if (m.iova() != iova || m.size() != size) {
      keepOutside(iova, size);
    }
    long cleared = first < end ? clear(t, first, end) : 0;
    mappedPages -= cleared;
    if (unusedNodes > usedNodes + SPARE_NODES) {
      prune(t.root, t.level);
      unusedNodes = 0;
    }
    return cleared << pageShift;
  }

  /** How much is mapped, in bytes, unsigned. */
  public long mappedBytes() {
    return mappedPages << pageShift;
  }

  /**
   * How many nodes of the tree are in use: the root, and each with a mapping below it, so 1 when
   * nothing is mapped. Nodes that became empty are not counted. As many as are in use and a few
   * more may stay linked until the next map, since memory is often mapped where it just was.
   */
  public long nodes() {
    return 1 + usedNodes;
  }

  private long firstPage(long iova, long size) {
    long first = iova >>> pageShift;
    boolean aligned = ((iova | size) & ((1L << pageShift) - 1)) == 0;
    if (!aligned || first >= pages || size >>> pageShift > pages - first) {
      throw new IllegalArgumentException(
          "not pages of the table: iova=0x%x, size=0x%x".formatted(iova, size));
    }
    return first;
  }

  private static void check(Mapping m, Mapping other) {
    if (other != Mapping.NONE) {
      throw new IllegalStateException("%s overlaps %s".formatted(m, other));
    }
  }

  private static int index(long page, int level) {
    return (int) (page >>> level * BITS) & MASK;
  }

  /** Where the part of a range ends that is in the same slot as its first page. */
  private static long slotEnd(long page, int level, long end) {
    return Math.min(((page >>> level * BITS) + 1) << level * BITS, end);
  }

  /** The level of the node that alone holds the leaves of a range or the ways to them. */
  private static int levelOf(long first, long end) {
    int level = (63 - Long.numberOfLeadingZeros(first ^ (end - 1) | 1)) / BITS;
    return end - first == 1L << (level + 1) * BITS ? level + 1 : level;
  }

  private static @Nullable Object[] newNode(@Nullable Use above) {
    @Nullable Object[] node = new @Nullable Object[SLOTS + 1];
    node[SLOTS] = new Use(above);
    return node;
  }

  private static Use use(@Nullable Object[] node) {
    return (Use) Objects.requireNonNull(node[SLOTS]);
  }

  /** A slot of the node is taken; so is the node's own in the one above, if it was the first. */
  private void take(Use use) {
    Use above = use.above;
    while (use.slots++ == 0 && above != null) {
      usedNodes++;
      unusedNodes--;
      use = above;
      above = use.above;
    }
  }

  private void release(Use use) {
    Use above = use.above;
    while (--use.slots == 0 && above != null) {
      usedNodes--;
      unusedNodes++;
      use = above;
      above = use.above;
    }
  }

  /** The page after the last that the tree has a slot for. */
  private static long reach(Top t) {
    return 1L << (t.level + 1) * BITS;
  }

  /** Makes the tree so high that it reaches the page. */
  private Top grown(long page) {
    @Nullable Object[] root = top.root == BARE ? newNode(null) : top.root;
    int level = top.level;
    for (; page >>> level * BITS > MASK; level++) {
      @Nullable Object[] above = newNode(null);
      if (use(root).slots != 0) {
        above[0] = root;
        use(above).slots = 1;
        use(root).above = use(above);
        usedNodes++;
      }
      root = above;
    }
    Top t = new Top(root, level, pageShift + level * BITS);
    top = t;
    return t;
  }

  /** The node under a slot; made if there is none, the same leaf in smaller pages if there is. */
  private @Nullable Object[] below(@Nullable Object[] node, int index) {
    Object entry = node[index];
    if (entry instanceof @Nullable Object[] child) {
      return child;
    }
    @Nullable Object[] child = newNode(use(node));
    if (entry instanceof Mapping) {
      Arrays.fill(child, 0, SLOTS, entry);
      use(child).slots = SLOTS;
      usedNodes++;
    } else {
      unusedNodes++;
    }
    SLOT.setRelease(node, index, child);
    return child;
  }

  /** The first mapping in a range, or NONE. */
  private static Mapping firstIn(@Nullable Object[] node, int level, long first, long end) {
    Mapping found = Mapping.NONE;
    long page = use(node).slots == 0 ? end : first;
    while (page < end && found == Mapping.NONE) {
      long next = slotEnd(page, level, end);
      Object entry = node[index(page, level)];
      if (entry instanceof Mapping m) {
        found = m;
      } else if (entry instanceof @Nullable Object[] child) {
        found = firstIn(child, level - 1, page, next);
      }
      page = next;
    }
    return found;
  }

  /** Lets the pages refer to m, whether nothing or a larger mapping was there. */
  private void install(@Nullable Object[] node, int level, long first, long end, Mapping m) {
    for (long page = first; page < end; ) {
      long next = slotEnd(page, level, end);
      int index = index(page, level);
      if (next - page < 1L << level * BITS) {
        install(below(node, index), level - 1, page, next, m);
      } else {
        if (!(node[index] instanceof Mapping)) {
          take(use(node));
        }
        SLOT.setRelease(node, index, m);
      }
      page = next;
    }
  }

  /** Before a range is cleared: the mappings that its ends cut shrink to what lies outside. */
  private void keepOutside(long iova, long size) {
    Mapping head = find(iova);
    if (head != Mapping.NONE && head.iova() != iova) {
      keep(head.part(head.iova(), iova - head.iova()));
    }
    long end = iova + size;
    Mapping tail = find(end - 1);
    long after = tail.iova() + tail.size() - end;
    if (tail != Mapping.NONE && after != 0) {
      keep(tail.part(end, after));
    }
  }

  private void keep(Mapping part) {
    long first = part.iova() >>> pageShift;
    install(top.root, top.level, first, first + (part.size() >>> pageShift), part);
  }

  private long clear(Top t, long first, long end) {
    int level = Math.min(levelOf(first, end), t.level);
    @Nullable Object[] node = t.root;
    for (int n = t.level; n > level; n--) {
      if (!(node[index(first, n)] instanceof @Nullable Object[] child)) {
        return 0;
      }
      node = child;
    }
    return clear(node, level, first, end);
  }

  /** Clears the pages, of which no leaf may be cut, and says how many were mapped. */
  private long clear(@Nullable Object[] node, int level, long first, long end) {
    Use use = use(node);
    long cleared = 0;
    for (long page = first; page < end && use.slots != 0; ) {
      long next = slotEnd(page, level, end);
      int index = index(page, level);
      Object entry = node[index];
      if (entry instanceof Mapping) {
        SLOT.setRelease(node, index, null);
        release(use);
        cleared += next - page;
      } else if (entry instanceof @Nullable Object[] child) {
        cleared += clear(child, level - 1, page, next);
      }
      page = next;
    }
    return cleared;
  }

  /** Takes the nodes that are not in use out of the tree. */
  private static void prune(@Nullable Object[] node, int level) {
    for (int i = 0; level > 0 && i < SLOTS; i++) {
      if (node[i] instanceof @Nullable Object[] child) {
        if (use(child).slots == 0) {
          SLOT.setRelease(node, i, null);
        } else {
          prune(child, level - 1);
        }
      }
    }
  }
}
