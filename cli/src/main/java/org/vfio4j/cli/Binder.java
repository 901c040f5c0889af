// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.vfio4j.linux.bind.BindingException;
import org.vfio4j.linux.bind.DriverBinding.Change;

/**
 * Who hands functions of this machine to VFIO and back: this process, or {@code vfio binder}, which
 * does it as root for one that is not.
 */
interface Binder {
  /** Where {@code vfio binder} is asked; vfio4j-bind.socket listens there. */
  Path SOCKET = Path.of("/run/vfio4j-bind.sock");

  /**
   * Hands all of them to vfio-pci, or none. Those that have it already stay as they are.
   *
   * @param functions PCI addresses as the kernel writes them
   * @param forced of these, what may be taken although the host lives on it
   * @return what has changed
   * @throws BindingException if one cannot be had, or may not; the message says how things stand
   */
  List<Change> bind(List<String> functions, List<String> forced);

  /**
   * Gives them back to the drivers they had.
   *
   * @return what has changed
   * @throws BindingException if somebody uses one, or some could not be given back
   */
  List<Change> release(List<String> functions);

  /** Root does it itself, others ask where somebody listens. */
  static Binder ofThisMachine() {
    boolean root = "root".equals(System.getProperty("user.name"));
    return !root && Files.exists(SOCKET)
        ? new AskedBinder(SOCKET)
        : new OwnBinder(LocalDevices.ofThisMachine());
  }
}
