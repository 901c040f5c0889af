// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * A device that exists in this process only: what it looks like and what it does, while its
 * client's memory and eventfds are kept by an {@link EmulatedSession}. Whoever writes a PCI device
 * starts with {@link EmulatedDevice}, which is one.
 *
 * <p>A device has one user at a time. Between {@link #attached} and {@link #detached} every call
 * comes from one thread at a time, and none may block: the user's processor waits for the answer,
 * and QEMU gives up on a device after five seconds. Work goes to a thread of the device's own.
 */
public interface Emulation extends ServedDevice {
  /**
   * {@code VFIO_DEVICE_GET_INFO}: {@link ServedDevice#RESET} and {@link ServedDevice#PCI}, or'ed.
   */
  int flags();

  /**
   * {@code VFIO_DEVICE_GET_REGION_INFO}: the regions by index. The list is the same at every call.
   */
  List<Region> regions();

  /** {@code VFIO_DEVICE_GET_IRQ_INFO}: the interrupts by index; the same at every call. */
  List<Irq> irqs();

  /**
   * Where a user may signal an eventfd instead of writing: the same at every call.
   *
   * @param region its index
   */
  default List<WriteSignal> writeSignals(int region) {
    return List.of();
  }

  /**
   * Reads registers or memory of a region.
   *
   * @param region its index
   * @param offset bytes into the region
   * @param target where the bytes go, from {@code targetOffset} on; off-heap
   * @param count bytes, at least 1, inside the region
   * @throws org.vfio4j.error.VfioException with the errno for the user, EINVAL or EIO
   */
  void read(int region, long offset, MemorySegment target, long targetOffset, int count);

  /**
   * Writes registers or memory of a region.
   *
   * @param region its index
   * @param offset bytes into the region
   * @param source where the bytes are, from {@code sourceOffset} on; off-heap, valid during the
   *     call
   * @param count bytes, at least 1, inside the region
   * @throws org.vfio4j.error.VfioException with the errno for the user, EINVAL or EIO
   */
  void write(int region, long offset, MemorySegment source, long sourceOffset, int count);

  /**
   * {@code VFIO_DEVICE_RESET}: everything back as after power on, DMA under way given up. Mappings
   * and the descriptors of interrupts are the user's and stay.
   */
  void reset();

  @Override
  default DeviceSession attach(Peer peer) {
    return new EmulatedSession(this, peer);
  }

  /**
   * A user has come.
   *
   * @param dma the user's memory
   * @param interrupts where to signal; nothing is delivered until the user asks for it
   */
  void attached(UserMemory dma, UserInterrupts interrupts);

  /**
   * The user has gone. When this returns the device uses neither {@code dma} nor {@code interrupts}
   * any more, and is as after power on.
   */
  void detached();
}
