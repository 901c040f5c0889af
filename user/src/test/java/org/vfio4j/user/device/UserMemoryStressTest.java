// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import org.junit.jupiter.api.Test;
import org.vfio4j.iommu.DmaFaultException;

/**
 * Devices in the middle of an access while their user unmaps the memory or takes it away. Every
 * mapping is of a file of its own, so an unmap really unmaps, and the next map tends to get the
 * same address: an access that is late reads another file's pattern, or the process dies.
 */
class UserMemoryStressTest {
  private static final long PAGE = 4096;
  private static final int PAGES = 16;
  private static final long SIZE = PAGES * PAGE;
  private static final int SLOTS = 2;
  private static final int FILES = 12;
  private static final int BOTH = UserMemory.READ | UserMemory.WRITE;
  private static final int NOBODY = 0xff;
  private static final int READERS = 2;
  private static final long SEED = Long.getLong("vfio4j.seed", System.nanoTime());

  /** What is mapped at a slot, and how often that has changed. */
  private static long state(long changes, int file) {
    return changes << 8 | file;
  }

  @Test
  void shouldNeverReadWhatIsUnmapped() throws Exception {
    List<ClientPages> files = new ArrayList<>();
    for (int n = 0; n < FILES; n++) {
      // Every third can shrink: its accesses go through the kernel.
      ClientPages file = n % 3 == 2 ? ClientPages.unsealed(SIZE) : ClientPages.sealed(SIZE);
      file.segment().fill((byte) (n + 1));
      files.add(file);
    }
    AtomicLongArray slots = new AtomicLongArray(SLOTS);
    for (int n = 0; n < SLOTS; n++) {
      slots.set(n, state(0, NOBODY));
    }
    AtomicBoolean over = new AtomicBoolean();
    AtomicLong good = new AtomicLong();
    AtomicLong faulted = new AtomicLong();
    try (UserMemory dma = new UserMemory("stressed");
        ExecutorService threads = Executors.newFixedThreadPool(READERS)) {
      List<Future<Void>> readers = new ArrayList<>();
      for (int n = 0; n < READERS; n++) {
        long seed = SEED + n;
        readers.add(
            threads.submit(reader(dma, slots, over, good, faulted, new SplittableRandom(seed))));
      }
      try {
        churn(dma, files, slots, over, good);
      } finally {
        over.set(true);
      }
      for (Future<Void> reader : readers) {
        reader.get();
      }
    }
    System.out.printf("seed %d: %d reads, %d faults%n", SEED, good.get(), faulted.get());
    assertThat(good.get()).as("reads that found memory").isPositive();
    assertThat(faulted.get()).as("reads that came too late").isPositive();
    files.forEach(ClientPages::close);
  }

  /** Replaces mappings at least 8,000 times, and until the readers have seen enough. */
  private static void churn(
      UserMemory dma,
      List<ClientPages> files,
      AtomicLongArray slots,
      AtomicBoolean over,
      AtomicLong good) {
    SplittableRandom random = new SplittableRandom(SEED);
    for (int round = 0; !over.get() && (round < 8_000 || good.get() < 2_000); round++) {
      int slot = random.nextInt(SLOTS);
      long changes = slots.get(slot) >>> 8;
      if ((slots.get(slot) & 0xff) != NOBODY) {
        assertThat(dma.unmap(slot * SIZE, SIZE, 0)).isEqualTo(SIZE);
        slots.set(slot, state(++changes, NOBODY));
      }
      int file = random.nextInt(FILES);
      slots.set(slot, state(changes + 1, file));
      dma.map(slot * SIZE, SIZE, BOTH, files.get(file).file(), 0);
    }
  }

  private static Callable<Void> reader(
      UserMemory dma,
      AtomicLongArray slots,
      AtomicBoolean over,
      AtomicLong good,
      AtomicLong faulted,
      SplittableRandom random) {
    MemorySegment buffer = Arena.ofAuto().allocate(SIZE);
    return () -> {
      while (!over.get()) {
        int slot = random.nextInt(SLOTS);
        long count = SIZE - random.nextLong(PAGE);
        long before = slots.get(slot);
        try {
          dma.read(slot * SIZE, buffer, 0, count);
        } catch (DmaFaultException _) {
          faulted.incrementAndGet();
          continue;
        }
        long after = slots.get(slot);
        good.incrementAndGet();
        byte first = buffer.get(ValueLayout.JAVA_BYTE, 0);
        for (long at = 0; at < count; at++) {
          if (buffer.get(ValueLayout.JAVA_BYTE, at) != first) {
            throw wrong(over, "one access saw two files");
          }
        }
        if (after >>> 8 <= (before >>> 8) + 1
            && first != (byte) (before + 1)
            && first != (byte) (after + 1)) {
          throw wrong(over, "read %d of %x to %x".formatted(first, before, after));
        }
      }
      return null;
    };
  }

  /** Ends the test: nothing else would, with the readers gone. */
  private static AssertionError wrong(AtomicBoolean over, String what) {
    over.set(true);
    return new AssertionError("%s, seed %d".formatted(what, SEED));
  }

  @Test
  void shouldKeepAShrinkingFileToItsOwner() throws Exception {
    AtomicBoolean over = new AtomicBoolean();
    AtomicLong gone = new AtomicLong();
    AtomicLong done = new AtomicLong();
    try (ClientPages shrinking = ClientPages.unsealed(SIZE);
        ClientPages other = ClientPages.sealed(SIZE);
        UserMemory victim = new UserMemory("of who shrinks");
        UserMemory bystander = new UserMemory("of another");
        ExecutorService threads = Executors.newFixedThreadPool(READERS + 1)) {
      victim.map(0, SIZE, BOTH, shrinking.file(), 0);
      victim.map(SIZE, SIZE, BOTH, other.file(), 0);
      bystander.map(0, SIZE, BOTH, other.file(), 0);
      List<Future<Void>> running = new ArrayList<>();
      for (int n = 0; n < READERS; n++) {
        SplittableRandom random = new SplittableRandom(SEED + n);
        running.add(
            threads.submit(
                () -> {
                  MemorySegment buffer = Arena.ofAuto().allocate(SIZE);
                  while (!over.get()) {
                    try {
                      anyAccess(victim, buffer, random);
                      done.incrementAndGet();
                    } catch (DmaFaultException _) {
                      gone.incrementAndGet();
                    }
                  }
                  return null;
                }));
      }
      running.add(
          threads.submit(
              () -> {
                MemorySegment buffer = Arena.ofAuto().allocate(SIZE);
                while (!over.get()) {
                  bystander.read(0, buffer, 0, SIZE);
                }
                return null;
              }));
      for (int round = 0; round < 2_000 || gone.get() < 500 || done.get() < 500; round++) {
        shrinking.truncate(round % 3 * PAGE);
        Thread.yield();
        shrinking.truncate(SIZE);
      }
      over.set(true);
      for (Future<Void> each : running) {
        each.get();
      }
    }
    System.out.printf("seed %d: %d accesses, %d lost their memory%n", SEED, done.get(), gone.get());
  }

  private static void anyAccess(UserMemory dma, MemorySegment buffer, SplittableRandom random) {
    long at = random.nextLong(SIZE - 8) & -8;
    long count = 1 + random.nextLong(SIZE - at);
    switch (random.nextInt(5)) {
      case 0 -> dma.read(at, buffer, 0, count);
      case 1 -> dma.write(at, buffer, 0, count);
      case 2 -> dma.publish(at, 1);
      case 3 -> dma.copy(at, SIZE + at, count);
      default -> dma.copy(SIZE + at, at, count);
    }
  }
}
