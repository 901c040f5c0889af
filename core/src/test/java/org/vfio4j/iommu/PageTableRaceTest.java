// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** A reader beside the one that maps and unmaps. */
class PageTableRaceTest {
  private static final long PAGE = 4096;
  private static final long SUPERPAGE = 2L << 20;
  private static final int RW = Mapping.READ | Mapping.WRITE;

  /** The number of the last mapping whose unmap has returned. */
  private volatile int gone;

  private volatile boolean stop;

  /** Each at another place, so that nodes come, empty and go; few enough places to meet again. */
  private static long place(int i) {
    return (1 + i % 97 * 5L) * SUPERPAGE;
  }

  @Test
  void shouldNotFindWhatWasUnmappedBeforeTheLookupBegan() throws InterruptedException {
    PageTable table = new PageTable(48, 0x40201000L);
    Mapping neighbour = new Mapping(0, PAGE, Hole.MEMORY, RW);
    table.map(neighbour);
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    Thread reader =
        Thread.ofPlatform()
            .uncaughtExceptionHandler((thread, problem) -> failure.set(problem))
            .start(() -> readUntilStopped(table));
    for (int i = 1; i <= 300_000 && failure.get() == null; i++) {
      // The number of a mapping is the offset of its memory.
      table.map(new Mapping(place(i), 2 * PAGE, Hole.MEMORY.asSlice(i * PAGE), RW));
      // First cut, then cleared: what is kept must be there all the time.
      assertThat(table.unmap(place(i) + PAGE, PAGE)).isEqualTo(PAGE);
      assertThat(table.unmap(place(i), PAGE)).isEqualTo(PAGE);
      gone = i;
    }
    stop = true;
    reader.join();
    assertThat(failure.get()).isNull();
    assertThat(table.find(0)).isSameAs(neighbour);
    assertThat(table.mappedBytes()).isEqualTo(PAGE);
  }

  private void readUntilStopped(PageTable table) {
    while (!stop) {
      int before = gone;
      for (int i = before; i <= before + 1; i++) {
        Mapping m = table.find(place(i));
        long number = (m.memory().address() + m.offset(m.iova()) - Hole.MEMORY.address()) / PAGE;
        if (m != Mapping.NONE && (number <= before || m.iova() != place(i))) {
          throw new AssertionError("found %d after %d was gone".formatted(number, before));
        }
      }
      if (table.find(0) == Mapping.NONE) {
        throw new AssertionError("a neighbour vanished");
      }
    }
  }
}
