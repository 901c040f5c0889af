// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

/**
 * What a server serves. Each client gets a {@link DeviceSession} of its own, and a server has one
 * client at a time: the next is attached when the session before it is closed.
 *
 * <p>There are two kinds. An {@link Emulation} is a device written in Java, whose sessions keep the
 * client's memory and eventfds for it. Any other implementation gets the client's commands as they
 * came, with the client's descriptors, and can hand them on: to the kernel, for a real device.
 */
public interface ServedDevice {
  /** {@code VFIO_DEVICE_FLAGS_RESET}: the device can be reset. */
  int RESET = 1;

  /** {@code VFIO_DEVICE_FLAGS_PCI}: regions and interrupts are numbered as {@link Pci} says. */
  int PCI = 2;

  /**
   * A client has come and has agreed on a version.
   *
   * @param peer who it is; may be used until the session is closed
   * @return what its commands go to, until the server closes it
   * @throws org.vfio4j.error.VfioException if this client is not served: it is answered the errno
   *     and disconnected
   */
  DeviceSession attach(Peer peer);
}
