// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.race;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAdder;
import org.junit.jupiter.api.Test;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.iommu.PageTable;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.Container;

/** Lookups while one thread maps and unmaps. */
class LookupRaceTest {
  private static final long PAGE = Fixture.PAGE;

  /** The pages lie in areas 1 GiB apart, so that nodes of the tree come and go. */
  private static final int AREAS = 24;

  private static final int AREA_PAGES = 512;
  private static final int CHANGES = 300_000;

  private final PageTable table = new PageTable(48, PAGE);

  /**
   * The memory of mapping number n starts n * 8 bytes behind where its address says, so that each
   * piece of it, however it was split, tells n. Nobody reads it.
   */
  private final MemorySegment memory =
      Arena.ofAuto().allocate(AREAS * AREA_PAGES * PAGE + (CHANGES + 1) * 8L, PAGE);

  /** For each page the mapping that is there and will stay until it is cleared here; 0 if none. */
  private final AtomicLongArray live = new AtomicLongArray(AREAS * AREA_PAGES);

  /** For each page the newest mapping of which an unmap that returned left nothing. */
  private final AtomicLongArray gone = new AtomicLongArray(AREAS * AREA_PAGES);

  private final LongAdder lookups = new LongAdder();
  private final LongAdder found = new LongAdder();
  private volatile boolean over;

  private static long iova(int page) {
    return (long) (page / AREA_PAGES) << 30 | page % AREA_PAGES * PAGE;
  }

  private long number(Mapping m) {
    long packed = (m.iova() >>> 30) * AREA_PAGES * PAGE + (m.iova() & ((1L << 30) - 1));
    return (m.memory().address() + m.offset(m.iova()) - memory.address() - packed) / 8;
  }

  @Test
  void nothingIsFoundAfterUnmapReturned() throws InterruptedException {
    Threads threads = new Threads("lookup against unmap");
    threads.add(
        random -> {
          try {
            change(random, threads);
          } finally {
            over = true;
          }
        });
    threads.add(this::lookUp).add(this::lookUp);
    threads.run();
    System.out.printf("%d changes, %d lookups, %d found%n", CHANGES, lookups.sum(), found.sum());
    assertThat(found.sum()).isPositive();
    assertThat(lookups.sum()).isGreaterThan(found.sum());
    for (int area = 0; area < AREAS; area++) {
      table.unmap(iova(area * AREA_PAGES), AREA_PAGES * PAGE);
    }
    assertThat(table.mappedBytes()).isZero();
    assertThat(table.nodes()).isEqualTo(1);
  }

  private void change(Random random, Threads threads) {
    for (int n = 1; n <= CHANGES && !threads.failed(); n++) {
      // Seasons: the table fills, then it empties and loses nodes.
      boolean filling = n % 2000 < 1000;
      boolean whole = random.nextInt(16) == 0;
      int first = whole ? 0 : random.nextInt(AREA_PAGES);
      int count = whole ? AREA_PAGES : 1 + random.nextInt(Math.min(8, AREA_PAGES - first));
      int page = random.nextInt(AREAS) * AREA_PAGES + first;
      if (random.nextInt(8) < (filling ? 6 : 1)) {
        map(n, page, count);
      } else {
        unmap(n, page, count);
      }
    }
  }

  private void map(int n, int page, int count) {
    long packed = page * PAGE;
    MemorySegment part = memory.asSlice(packed + n * 8L, count * PAGE);
    try {
      table.map(new Mapping(iova(page), count * PAGE, part, Mapping.READ));
    } catch (IllegalStateException overlap) {
      return;
    }
    for (int i = page; i < page + count; i++) {
      live.set(i, n);
    }
  }

  private void unmap(int n, int page, int count) {
    for (int i = page; i < page + count; i++) {
      live.set(i, 0);
    }
    table.unmap(iova(page), count * PAGE);
    for (int i = page; i < page + count; i++) {
      gone.set(i, n);
    }
  }

  private void lookUp(Random random) {
    int page = 0;
    while (!over) {
      // Stays a while: an unmap is to happen between two lookups of one page.
      page = random.nextInt(64) == 0 ? random.nextInt(AREAS * AREA_PAGES) : page;
      long at = iova(page) + random.nextInt((int) PAGE);
      long unmapped = gone.get(page);
      long before = live.get(page);
      Mapping m = table.find(at);
      long after = live.get(page);
      lookups.increment();
      if (before != 0 && before == after && (m == Mapping.NONE || number(m) != before)) {
        throw new AssertionError("page %d is mapping %d, found %s".formatted(page, before, m));
      }
      if (m != Mapping.NONE) {
        found.increment();
        if (number(m) <= unmapped || !m.allows(at, 1, Mapping.READ)) {
          throw new AssertionError(
              "page %d: found %s, number %d; unmapped up to %d before the lookup"
                  .formatted(page, m, number(m), unmapped));
        }
      }
    }
  }

  /** Two containers, each with a writer and a reader of its device. */
  @Test
  void portsReadWhatIsMappedThere() throws InterruptedException {
    int slots = 16;
    int changes = 8000;
    Fixture fixture = new Fixture(KernelProfile.DEFAULT);
    Threads threads = new Threads("data truth");
    LongAdder reads = new LongAdder();
    LongAdder faults = new LongAdder();
    Container[] containers = new Container[2];
    Fixture.Memory[] memories = new Fixture.Memory[2];
    for (int i = 0; i < 2; i++) {
      Fixture.Function function = new Fixture.Function("0000:00:0" + i + ".0");
      Container container = fixture.container("c" + i);
      Fixture.Memory own = fixture.new Memory(32);
      container.attach(fixture.group(IommuUnit.VT_D, function));
      containers[i] = container;
      memories[i] = own;
      History[] histories = new History[slots];
      for (int s = 0; s < slots; s++) {
        histories[s] = new History(Fixture.FAULT, changes);
      }
      threads.add(r -> write(r, container, own, histories, changes));
      threads.add(r -> read(r, fixture.iommu.port(function), histories, changes, reads, faults));
    }
    threads.run();
    System.out.printf("%d reads, %d faults%n", reads.sum(), faults.sum());
    assertThat(faults.sum()).isPositive().isLessThan(reads.sum());
    for (int i = 0; i < 2; i++) {
      containers[i].close();
      assertThat(memories[i].mm.lockedPages()).isZero();
    }
    assertThat(fixture.iommu.census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  private static void write(
      Random random, Container container, Fixture.Memory own, History[] histories, int changes) {
    int left = changes * 4;
    while (left-- > 0) {
      int slot = random.nextInt(histories.length);
      History history = histories[slot];
      if (history.done() == changes) {
        continue;
      }
      if (history.now() == Fixture.FAULT) {
        int page = random.nextInt(32);
        history.change(own.value(page), () -> own.map(container, page, slot * PAGE));
      } else {
        history.change(Fixture.FAULT, () -> container.unmap(own.mm, slot * PAGE, PAGE));
      }
    }
    // The reader's sign that this was all.
    for (int slot = 0; slot < histories.length; slot++) {
      long iova = slot * PAGE;
      History history = histories[slot];
      while (history.done() < changes && slot == 0) {
        history.change(Fixture.FAULT, () -> container.unmap(own.mm, iova, PAGE));
      }
    }
  }

  private static void read(
      Random random,
      DmaPort port,
      History[] histories,
      int changes,
      LongAdder reads,
      LongAdder faults) {
    byte[] buffer = new byte[64];
    while (histories[0].done() < changes) {
      int slot = random.nextInt(histories.length);
      int from = histories[slot].done();
      int seen = Fixture.read(port, slot * PAGE + random.nextInt((int) PAGE - 64), buffer);
      histories[slot].check(from, seen);
      reads.increment();
      if (seen == Fixture.FAULT) {
        faults.increment();
      }
    }
  }
}
