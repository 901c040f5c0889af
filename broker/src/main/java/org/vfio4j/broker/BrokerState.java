// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/**
 * What a broker has in its hands, as of one moment.
 *
 * @param vms in the order they were made
 */
public record BrokerState(List<OfVm> vms) {
  /** Copies the list. */
  public BrokerState {
    vms = List.copyOf(vms);
  }

  /**
   * One VM.
   *
   * @param name as its settings have it
   * @param groups IOMMU groups that its container has attached, in the order of their devices
   * @param pinned bytes of its memory that its devices can reach
   * @param devices in the order they were made
   */
  public record OfVm(String name, List<OfGroup> groups, long pinned, List<OfDevice> devices) {
    /** Copies the lists. */
    public OfVm {
      groups = List.copyOf(groups);
      devices = List.copyOf(devices);
    }
  }

  /**
   * One group.
   *
   * @param number the kernel's
   * @param users how many devices of the VM are in it, whole or wrapped
   */
  public record OfGroup(int number, int users) {
    /** Counts the groups of devices, one for each that is in use, in the order of the first. */
    static List<OfGroup> count(IntStream ofDevices) {
      Map<Integer, Integer> users = new LinkedHashMap<>();
      ofDevices.forEach(g -> users.merge(g, 1, Integer::sum));
      return users.entrySet().stream().map(e -> new OfGroup(e.getKey(), e.getValue())).toList();
    }
  }

  /**
   * One device.
   *
   * @param address of the function
   * @param wrapped whether a device that wraps the function is served
   * @param phase where it is
   * @param pid of the process that has it, or had it last; a hint for one that is draining
   * @param trouble what has happened to it, where the broker hears of that ({@link Broker#listen})
   */
  public record OfDevice(
      String address, boolean wrapped, Phase phase, OptionalInt pid, Optional<Trouble> trouble) {}

  /** What happens to a device while somebody has it. */
  public enum Trouble {
    /**
     * An error was reported for it or for a port above it (AER), and the kernel recovers. Its VM
     * was told as by the kernel's own vfio-pci: QEMU stops it.
     */
    ERROR,

    /** The kernel could not recover it. */
    FAILED,

    /**
     * It is to be taken from VFIO, as somebody unbinds it or pulls it out. Who does that waits
     * until nobody has it open.
     */
    WANTED,

    /** It is not there any more. */
    GONE
  }

  /** Where a device is between two VMs. */
  public enum Phase {
    /** Nobody has it. */
    IDLE,

    /** A client has it. */
    CONNECTED,

    /**
     * Its client has gone, and the kernel says that somebody still has the device open, by a
     * descriptor or by mapped registers. Nobody else can have the group until that has ended.
     */
    DRAINING
  }
}
