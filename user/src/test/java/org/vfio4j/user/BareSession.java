// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.user.device.DeviceSession;
import org.vfio4j.user.device.DmaSource;
import org.vfio4j.user.device.Irq;
import org.vfio4j.user.device.IrqSet;
import org.vfio4j.user.device.Region;
import org.vfio4j.user.device.ServedDevice;

/** A session that takes everything and does nothing, for tests to say what theirs does. */
class BareSession implements DeviceSession {
  @Override
  public int flags() {
    return ServedDevice.RESET | ServedDevice.PCI;
  }

  @Override
  public List<Region> regions() {
    return List.of(Region.registers(4096));
  }

  @Override
  public List<Irq> irqs() {
    return List.of(
        new Irq(1, Irq.EVENTFD | Irq.MASKABLE | Irq.AUTOMASKED), new Irq(4, Irq.EVENTFD));
  }

  @Override
  public void read(int region, long offset, MemorySegment target, long at, int count) {}

  @Override
  public void write(int region, long offset, MemorySegment source, long at, int count) {}

  @Override
  public void dmaMap(long iova, long size, int prot, DmaSource source) {}

  @Override
  public long dmaUnmap(long iova, long size, int flags) {
    return size;
  }

  @Override
  public void setIrqs(IrqSet set) {
    if (set instanceof IrqSet.EventFds given) {
      given.eventFds().forEach(fd -> fd.ifPresent(Descriptor::close));
    }
  }

  @Override
  public void reset() {}

  @Override
  public void close() {}
}
