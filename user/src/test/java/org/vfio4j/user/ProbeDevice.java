// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.vfio4j.iommu.DmaFaultException;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.user.device.Emulation;
import org.vfio4j.user.device.Irq;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.device.Region;
import org.vfio4j.user.device.UserInterrupts;
import org.vfio4j.user.device.UserMemory;
import org.vfio4j.user.device.WriteSignal;

/**
 * A device to test servers with. BAR0 is memory without side effects, but for the registers below;
 * BAR1 can be mapped in two parts; BAR2 can be read only. Every access that the server lets through
 * is held against the regions.
 */
final class ProbeDevice implements Emulation, AutoCloseable {
  static final int BAR0_SIZE = 1 << 21;
  static final int PAGE = 4096;
  static final int VECTORS = 32;

  /** Registers of BAR0: a copy in the user's memory, done by a thread of the device. */
  static final long FROM = 0x100;

  static final long TO = 0x108;
  static final long COUNT = 0x110;

  /** Written, it starts the copy; read, it is 0 before, 1 after it, 2 if it faulted. */
  static final long GO = 0x118;

  /** A write here is also a signal. */
  static final long DOORBELL = 0x200;

  final AtomicInteger resets = new AtomicInteger();
  final AtomicInteger attaches = new AtomicInteger();
  final AtomicInteger detaches = new AtomicInteger();

  /** The first thing that must not have happened. */
  final AtomicReference<String> violation = new AtomicReference<>("");

  private final Arena arena = Arena.ofShared();
  private final MemorySegment bar0 = arena.allocate(BAR0_SIZE, 8);
  private final Descriptor file = Memfd.create(SystemCalls.libc(), "probe bar1", 4 * PAGE);
  private final MappedMemory bar1 =
      MappedMemory.ofFile(file, PAGE, 3 * PAGE, Constants.PROT_READ | Constants.PROT_WRITE);
  private final MemorySegment bar2 = arena.allocate(PAGE);
  private final MemorySegment config = arena.allocate(256);
  private final EventFd doorbell = EventFd.create(SystemCalls.libc());
  private final List<Region> regions = new ArrayList<>();
  private final List<Irq> irqs =
      List.of(
          new Irq(1, Irq.EVENTFD | Irq.MASKABLE | Irq.AUTOMASKED),
          Irq.NONE,
          new Irq(VECTORS, Irq.EVENTFD | Irq.NORESIZE),
          new Irq(1, Irq.EVENTFD),
          new Irq(1, Irq.EVENTFD));
  private final List<MemorySegment> memory;

  private volatile @Nullable UserMemory dma;
  private volatile @Nullable UserInterrupts interrupts;
  private @Nullable ExecutorService worker;

  /** Copies that are asked for and not over. */
  private int copies;

  ProbeDevice() {
    regions.add(Region.registers(BAR0_SIZE));
    regions.add(
        new Region(
            3 * PAGE,
            Region.READ | Region.WRITE | Region.MMAP,
            List.of(new Region.Area(0, PAGE), new Region.Area(2 * PAGE, PAGE)),
            Optional.of(new Region.Memory(file, PAGE))));
    regions.add(new Region(PAGE, Region.READ, List.of(), Optional.empty()));
    while (regions.size() < Pci.REGIONS) {
      regions.add(regions.size() == Pci.CONFIG ? Region.registers(256) : Region.NONE);
    }
    memory = List.of(bar0, bar1.segment(), bar2);
  }

  EventFd doorbell() {
    return doorbell;
  }

  @Nullable UserInterrupts interrupts() {
    return interrupts;
  }

  @Nullable UserMemory dma() {
    return dma;
  }

  MemorySegment bar0() {
    return bar0;
  }

  MemorySegment bar1() {
    return bar1.segment();
  }

  @Override
  public int flags() {
    return RESET | PCI;
  }

  @Override
  public List<Region> regions() {
    return regions;
  }

  @Override
  public List<Irq> irqs() {
    return irqs;
  }

  @Override
  public List<WriteSignal> writeSignals(int region) {
    if (region != Pci.BAR0) {
      return List.of();
    }
    return List.of(
        new WriteSignal(DOORBELL, 4, OptionalLong.empty(), doorbell),
        new WriteSignal(DOORBELL + 8, 8, OptionalLong.of(7), doorbell));
  }

  private void check(int region, long offset, int count, int right) {
    Region info = regions.get(region);
    if (offset < 0
        || count < 1
        || count > info.size() - offset
        || (info.flags() & right) == 0
        || dma == null) {
      violation.compareAndSet(
          "", "region=%d offset=0x%x count=%d".formatted(region, offset, count));
    }
  }

  private MemorySegment behind(int region) {
    return region == Pci.CONFIG ? config : memory.get(region);
  }

  @Override
  public void read(int region, long offset, MemorySegment target, long targetOffset, int count) {
    check(region, offset, count, Region.READ);
    MemorySegment.copy(behind(region), offset, target, targetOffset, count);
  }

  @Override
  public void write(int region, long offset, MemorySegment source, long sourceOffset, int count) {
    check(region, offset, count, Region.WRITE);
    MemorySegment.copy(source, sourceOffset, behind(region), offset, count);
    if (region == Pci.BAR0 && offset == GO) {
      bar0.set(ValueLayout.JAVA_INT, GO, 0);
      count(1);
      Objects.requireNonNull(worker)
          .execute(
              () -> {
                try {
                  copy();
                } finally {
                  count(-1);
                }
              });
    }
  }

  private synchronized void count(int change) {
    copies += change;
    notifyAll();
  }

  /** Waits until no copy is going on, or so long at most. */
  synchronized void awaitIdle(Duration most) throws InterruptedException {
    long end = System.nanoTime() + most.toNanos();
    while (copies > 0) {
      long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
      if (left <= 0) {
        return;
      }
      wait(left);
    }
  }

  private void copy() {
    int result = 2;
    try {
      long count = bar0.get(ValueLayout.JAVA_LONG, COUNT);
      if (count > 0 && count <= 1 << 22) {
        byte[] bytes = new byte[(int) count];
        MemorySegment buffer = MemorySegment.ofArray(bytes);
        UserMemory space = Objects.requireNonNull(dma);
        space.read(bar0.get(ValueLayout.JAVA_LONG, FROM), buffer, 0, count);
        space.write(bar0.get(ValueLayout.JAVA_LONG, TO), buffer, 0, count);
        result = 1;
      }
    } catch (DmaFaultException _) {
      // As a device does that meets one: the result says so.
    }
    bar0.set(ValueLayout.JAVA_INT, GO, result);
    UserInterrupts to = interrupts;
    if (to != null) {
      to.signal(Pci.MSIX, 0);
    }
  }

  @Override
  public void reset() {
    resets.incrementAndGet();
    bar0.fill((byte) 0);
  }

  @Override
  public void attached(UserMemory space, UserInterrupts signals) {
    if (dma != null) {
      violation.compareAndSet("", "attached twice");
    }
    attaches.incrementAndGet();
    dma = space;
    interrupts = signals;
    worker = Executors.newSingleThreadExecutor();
  }

  @Override
  public void detached() {
    ExecutorService stopping = Objects.requireNonNull(worker);
    stopping.shutdownNow();
    try {
      if (!stopping.awaitTermination(30, TimeUnit.SECONDS)) {
        violation.compareAndSet("", "the device's thread does not end");
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
    // Those that it was stopped before.
    count(-copies);
    dma = null;
    interrupts = null;
    bar0.fill((byte) 0);
    detaches.incrementAndGet();
  }

  @Override
  public void close() {
    doorbell.close();
    bar1.close();
    file.close();
    arena.close();
  }
}
