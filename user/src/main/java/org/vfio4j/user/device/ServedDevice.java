// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.util.Optional;

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

  /**
   * The client that another process has served, if there is one to go on with. Asked for before
   * anybody else is served; {@link #resume} or {@link #lost} follows, after which there is none.
   */
  default Optional<LeftClient> left() {
    return Optional.empty();
  }

  /**
   * The client of {@link #left} is served from now on.
   *
   * @param peer as of {@link #attach}
   * @return what its commands go to, from the first that it has not been answered
   * @throws org.vfio4j.error.VfioException if that is not possible: it is disconnected
   */
  default DeviceSession resume(Peer peer) {
    throw new IllegalStateException("nobody was left to be served");
  }

  /** The connection of {@link #left} is not there: what is held for its client is given back. */
  default void lost() {
    throw new IllegalStateException("nobody was left to be served");
  }
}
