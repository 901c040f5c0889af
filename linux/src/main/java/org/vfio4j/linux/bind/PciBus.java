// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.bind;

import java.util.List;
import java.util.Optional;

/**
 * The drivers of the PCI bus, one method for each thing the kernel lets one do. What is refused
 * throws {@link org.vfio4j.posix.SystemCallException}.
 */
interface PciBus {
  /** The driver that has the function. */
  Optional<String> driver(String address);

  /** The only driver that may have it ({@code driver_override}). */
  Optional<String> override(String address);

  /** Lets only this driver have it from now on; empty: any that knows its id. */
  void override(String address, Optional<String> driver);

  /** Takes it from its driver. Blocks while a driver of VFIO has users for it. */
  void unbind(String address);

  /** Lets the kernel look for a driver ({@code drivers_probe}). Finding none is no error. */
  void probe(String address);

  /** Whether the driver is there, built in or as a module that is loaded. */
  boolean knows(String driver);

  /** Loads the module of a driver; does nothing if that fails. */
  void load(String driver);

  /**
   * Processes that have the VFIO group of the function open, as in {@code 812 (qemu-system-x86)}.
   */
  List<String> users(String address);
}
