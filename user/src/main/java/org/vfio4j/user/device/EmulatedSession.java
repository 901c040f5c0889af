// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import java.util.function.BiConsumer;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Descriptor;

/**
 * The session of a device that exists in this process only: keeps the client's memory in a {@link
 * UserMemory} and its eventfds in {@link UserInterrupts}, where the device finds both.
 */
public final class EmulatedSession implements DeviceSession {
  private final Emulation device;
  private final UserMemory memory;
  private final UserInterrupts interrupts;

  /** Attaches a device to a client. */
  public EmulatedSession(Emulation device, Peer peer) {
    this(device, peer, new UserInterrupts(device.irqs()), device::attached);
  }

  /** The same in another way. */
  EmulatedSession(
      Emulation device,
      Peer peer,
      UserInterrupts interrupts,
      BiConsumer<UserMemory, UserInterrupts> attach) {
    this.device = device;
    memory = new UserMemory(peer);
    this.interrupts = interrupts;
    boolean done = false;
    try {
      attach.accept(memory, interrupts);
      done = true;
    } finally {
      if (!done) {
        close();
      }
    }
  }

  @Override
  public int flags() {
    return device.flags();
  }

  @Override
  public List<Region> regions() {
    return device.regions();
  }

  @Override
  public List<Irq> irqs() {
    return device.irqs();
  }

  @Override
  public List<WriteSignal> writeSignals(int region) {
    return device.writeSignals(region);
  }

  @Override
  public void read(int region, long offset, MemorySegment target, long targetOffset, int count) {
    device.read(region, offset, target, targetOffset, count);
  }

  @Override
  public void write(int region, long offset, MemorySegment source, long sourceOffset, int count) {
    device.write(region, offset, source, sourceOffset, count);
  }

  @Override
  public void dmaMap(long iova, long size, int prot, DmaSource source) {
    switch (source) {
      case DmaSource.Messages _ -> memory.map(iova, size, prot, Optional.empty(), 0);
      case DmaSource.File(Descriptor file, long offset) ->
          memory.map(iova, size, prot, Optional.of(file), offset);
    }
  }

  @Override
  public long dmaUnmap(long iova, long size, int flags) {
    return memory.unmap(iova, size, flags);
  }

  @Override
  public void setIrqs(IrqSet set) {
    switch (set) {
      case IrqSet.EventFds given -> connect(given);
      case IrqSet.Chosen some ->
          some.chosen().stream().forEach(n -> act(some, some.start() + n, 1));
      case IrqSet.Whole all when all.count() == 0 && all.action() == IrqSet.Action.TRIGGER ->
          interrupts.disconnect(all.index());
      case IrqSet.Whole all -> act(all, all.start(), all.count());
    }
  }

  private void connect(IrqSet.EventFds set) {
    if (set.action() != IrqSet.Action.TRIGGER) {
      set.eventFds().forEach(fd -> fd.ifPresent(Descriptor::close));
      throw new VfioException(
          Errno.EOPNOTSUPP,
          Reason.BAD_ARGUMENT,
          "an eventfd cannot mask or unmask an interrupt here");
    }
    interrupts.connect(set.index(), set.start(), set.eventFds());
  }

  private void act(IrqSet set, int start, int count) {
    switch (set.action()) {
      case MASK -> interrupts.mask(set.index(), start, count);
      case UNMASK -> interrupts.unmask(set.index(), start, count);
      case TRIGGER -> interrupts.trigger(set.index(), start, count);
    }
  }

  @Override
  public void reset() {
    device.reset();
  }

  /** The device stops first: it may be waiting for the client, and must not find memory gone. */
  @Override
  public void close() {
    try {
      device.detached();
    } finally {
      memory.close();
      interrupts.close();
    }
  }
}
