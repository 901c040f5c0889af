// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.race;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.Container;

/** Detach against lookup, close against everything. */
class DetachRaceTest {
  private static final int CHANGES = 20_000;

  /** How long one kernel's container is closed again and again. */
  private static final long NANOSECONDS = 500_000_000;

  private static final long IOVA = 0x100000;

  /** A device moves between two containers, each of which a second one keeps alive. */
  @Test
  void deviceReadsFromWhereItIsAttached() throws InterruptedException {
    Fixture fixture = new Fixture(KernelProfile.DEFAULT);
    Fixture.Function function = new Fixture.Function("0000:00:02.0");
    moves(fixture, fixture.group(IommuUnit.VT_D, function), fixture.iommu.port(function));
  }

  @Test
  void plainDeviceReadsWhileAttached() throws InterruptedException {
    Fixture fixture = new Fixture(KernelProfile.DEFAULT);
    Container container = fixture.container("c");
    Fixture.Memory memory = fixture.new Memory(1);
    container.attach(fixture.group(IommuUnit.VT_D, new Fixture.Function("0000:00:02.0")));
    memory.map(container, 0, IOVA);
    IommuGroup plain = fixture.mdev(new Isolation.Plain());
    DmaPort port = container.emulatedPort("mdev", fixture.iommu::report);
    toggle(port, List.of(container), List.of(memory), plain);
    container.close();
    assertThat(fixture.iommu.census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  private static void moves(Fixture fixture, IommuGroup group, DmaPort port)
      throws InterruptedException {
    List<Container> containers = List.of(fixture.container("a"), fixture.container("b"));
    List<Fixture.Memory> memories = List.of(fixture.new Memory(1), fixture.new Memory(1));
    for (int i = 0; i < 2; i++) {
      Fixture.Function keeper = new Fixture.Function("0000:01:0" + i + ".0");
      containers.get(i).attach(fixture.group(IommuUnit.VT_D, keeper));
      memories.get(i).map(containers.get(i), 0, IOVA);
    }
    toggle(port, containers, memories, group);
    containers.forEach(Container::close);
    assertThat(fixture.iommu.census()).isEqualTo(SoftIommu.Census.EMPTY);
    assertThat(memories).allSatisfy(m -> assertThat(m.mm.lockedPages()).isZero());
  }

  private static void toggle(
      DmaPort port, List<Container> containers, List<Fixture.Memory> memories, IommuGroup group)
      throws InterruptedException {
    History history = new History(Fixture.FAULT, 2 * CHANGES);
    LongAdder reads = new LongAdder();
    Threads threads = new Threads("detach against lookup");
    threads.add(
        random -> {
          for (int i = 0; i < CHANGES; i++) {
            int to = random.nextInt(containers.size());
            history.change(memories.get(to).value(0), () -> containers.get(to).attach(group));
            history.change(Fixture.FAULT, () -> containers.get(to).detach(group));
          }
        });
    for (int reader = 0; reader < 2; reader++) {
      threads.add(
          random -> {
            byte[] buffer = new byte[64];
            while (history.done() < 2 * CHANGES && !threads.failed()) {
              int from = history.done();
              history.check(from, Fixture.read(port, IOVA + random.nextInt(4000), buffer));
              reads.increment();
            }
          });
    }
    threads.run();
    System.out.printf("%d changes, %d reads%n", 2 * CHANGES, reads.sum());
    assertThat(reads.sum()).isPositive();
  }

  @Test
  void closeAgainstEverything() throws InterruptedException {
    for (KernelProfile kernel : KernelProfile.all()) {
      new Everything(kernel).run();
    }
  }

  /** One container that many threads use and one closes, again and again. */
  private static final class Everything {
    private static final int PAGES = 8;

    final Fixture fixture;
    final Fixture.Memory memory;
    final Container container;
    final Fixture.Function function = new Fixture.Function("0000:00:02.0");
    final IommuGroup group;
    final IommuGroup wrapped;
    final IommuGroup plain;
    final AtomicInteger unmapping = new AtomicInteger();
    final LongAdder calls = new LongAdder();
    final LongAdder refused = new LongAdder();
    final LongAdder closes = new LongAdder();
    volatile boolean over;

    Everything(KernelProfile kernel) {
      fixture = new Fixture(kernel);
      memory = fixture.new Memory(PAGES);
      container = fixture.container("c");
      group = fixture.group(IommuUnit.VT_D, function);
      wrapped = fixture.mdev(new Isolation.Backed(function));
      plain = fixture.mdev(new Isolation.Plain());
    }

    void run() throws InterruptedException {
      Threads threads = new Threads("close against everything, " + fixture.kernel.name());
      threads.add(
          random -> {
            long end = System.nanoTime() + NANOSECONDS;
            while (System.nanoTime() < end && !threads.failed()) {
              long until = calls.sum() + random.nextInt(40);
              while (calls.sum() < until && !threads.failed()) {
                Thread.onSpinWait();
              }
              container.close();
              closes.increment();
            }
            over = true;
          });
      threads.add(r -> repeat(threads, () -> attaching(r)));
      threads.add(r -> repeat(threads, () -> mapping(r)));
      threads.add(r -> repeat(threads, () -> pinning(r)));
      threads.add(r -> repeat(threads, () -> asking(r)));
      threads.run();
      container.close();
      System.out.printf(
          "%d closes, %d calls, %d refused%n", closes.sum(), calls.sum(), refused.sum());
      assertThat(closes.sum()).isPositive();
      assertThat(refused.sum()).isLessThan(calls.sum());
      assertThat(container.mappings()).isZero();
      assertThat(memory.mm.lockedPages()).isZero();
      assertThat(fixture.iommu.census()).isEqualTo(SoftIommu.Census.EMPTY);
    }

    void repeat(Threads threads, Runnable call) {
      while (!over && !threads.failed()) {
        try {
          call.run();
        } catch (VfioException answer) {
          refused.increment();
        }
        calls.increment();
        // The container's lock is not fair: let the closer have it now and then.
        Thread.yield();
      }
    }

    void attaching(Random random) {
      IommuGroup which = List.of(group, wrapped, plain).get(random.nextInt(3));
      if (random.nextInt(3) == 0) {
        container.detach(which);
      } else {
        container.attach(which);
        if (which == plain) {
          container.onUnmap(plain, (iova, size) -> container.unpinAll(plain, iova, size));
        }
      }
    }

    void mapping(Random random) {
      long iova = IOVA + random.nextInt(PAGES) * Fixture.PAGE;
      if (random.nextBoolean()) {
        memory.map(container, random.nextInt(PAGES), iova);
      } else {
        unmapping.incrementAndGet();
        try {
          container.unmap(memory.mm, iova, Fixture.PAGE);
        } finally {
          unmapping.decrementAndGet();
        }
      }
    }

    /** A driver that pins on and on while it is asked to unpin would be a defective one. */
    void pinning(Random random) {
      List<Long> pages = List.of(IOVA + random.nextInt(PAGES) * Fixture.PAGE);
      if (unmapping.get() == 0) {
        container.pin(plain, pages, Mapping.READ);
      }
      if (random.nextBoolean()) {
        container.unpin(plain, pages);
      }
    }

    void asking(Random random) {
      switch (random.nextInt(6)) {
        case 0 -> container.info();
        case 1 -> container.startDirtyTracking();
        case 2 -> container.stopDirtyTracking();
        case 3 -> container.dirtyBitmap(IOVA, PAGES * Fixture.PAGE, Fixture.PAGE, new long[1]);
        case 4 -> assertThat(container.useCount(group)).isBetween(0, 2);
        default -> {
          long iova = IOVA + random.nextInt(PAGES) * Fixture.PAGE;
          Fixture.read(fixture.iommu.port(function), iova, new byte[8]);
          DmaPort emulated = container.emulatedPort("mdev", fixture.iommu::report);
          Fixture.read(emulated, iova, new byte[8]);
        }
      }
    }
  }
}
