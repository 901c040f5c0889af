// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.vfio4j.profile.KernelProfile;

/**
 * The machine that scenarios of the user API run on: QEMU's q35, with drivers, mediated devices and
 * processes. One implementation for each back end, chosen by {@code -Dvfio4j.backend}.
 */
abstract class ScenarioBench implements AutoCloseable {
  static final String A = "0000:00:02.0";
  static final String B = "0000:00:03.0";
  static final String C = "0000:00:04.0";

  /** Two functions of one group. */
  static final String M0 = "0000:00:0a.0";

  static final String M1 = "0000:00:0a.1";

  /** Two functions and a host's network card, with the bridge above them in one group. */
  static final String R1 = "0000:02:01.0";

  static final String R2 = "0000:02:02.0";
  static final String H = "0000:02:03.0";

  /** Virtual functions in groups of their own, once {@link #enableVirtualFunctions} has run. */
  static final String V1 = "0000:03:00.1";

  static final String V2 = "0000:03:00.2";
  static final String PF = "0000:03:00.0";

  /** A member of a group without VFIO driver. */
  static final String L = "0000:00:1f.2";

  /** Functions on a host driver that offer plain and aux mediated devices. */
  static final String PLAIN_PARENT = "0000:00:05.0";

  static final String HOST_DRIVER_OF_H = "e1000";

  /** The machine with interrupt remapping. */
  static ScenarioBench open(KernelProfile kernel) {
    return open(kernel, true);
  }

  /** The machine of the chosen back end; H, R1, R2 and so on have the drivers of section 11. */
  static ScenarioBench open(KernelProfile kernel, boolean interruptRemapping) {
    return Backend.chosen().open(kernel, interruptRemapping);
  }

  /** A new process. */
  abstract User process(String name);

  /** Binds a driver, {@code none} for no driver; false if the kernel would wait for a user. */
  abstract boolean bind(String device, String driver);

  /** The driver of a device, {@code none} without one. */
  abstract String driver(String device);

  /**
   * Whether the function's requests can carry this address, and somebody here can make it do so.
   */
  abstract boolean drives(String function, long iova);

  /** Writes a module parameter of type1. */
  abstract void parameter(String name, String value);

  /** Binds the wrapping driver and makes the one mediated device; returns its name: W(x). */
  abstract String wrap(String function);

  /** The same with several mediated devices of one function: W1(x), W2(x), ... */
  abstract List<String> wrap(String function, int count);

  /** Makes the wrapping driver's mediated device, of a function that it is bound to. */
  abstract String createWrapped(String function);

  /** Wrapped devices that the function could still have. */
  abstract int wrappedAvailable(String function);

  /** Makes a plain mediated device of a parent: P(x). */
  abstract String plain(String parent);

  /** Removes a mediated device; false if that waits for a user. */
  abstract boolean removeMdev(String name);

  /** Takes a function off the bus. It has no driver. */
  abstract void unplug(String function);

  /** Enables {@link #V1} and {@link #V2}, on vfio-pci, of {@link #PF} on this driver. */
  abstract void enableVirtualFunctions(String driverOfPf);

  /** Numbers of the IOMMU groups that exist. */
  abstract Set<Integer> groups();

  /** The group of a device. */
  abstract int groupOf(String device);

  /** What the function's own requests read at an IOVA, one byte; empty if that faults. */
  abstract OptionalInt reads(String function, long iova);

  /** Whether the function's own requests change memory at an IOVA, by writing one byte there. */
  abstract boolean writes(String function, long iova, byte value);

  /** The driver of an open plain mediated device pins pages. */
  abstract void pin(User user, int container, String mdev, int prot, long... iovas);

  /** The driver unpins pages; returns how many were mapped. */
  abstract int unpin(User user, int container, String mdev, long... iovas);

  /** Whoever holds the hardware of the device's group for user space, where that can be asked. */
  abstract Optional<String> holder(String function);

  /** Ends all processes and checks that nothing of them is left on the machine. */
  @Override
  public abstract void close();
}
