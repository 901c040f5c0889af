// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.vfio4j.user.device.Agreed;

/**
 * What a broker knows that neither the kernel nor its descriptors tell: with both, everything that
 * somebody else needs to go on in its place. {@link JournalText} is its written form.
 *
 * @param vms in the order they were made
 * @param lastUsers which VM had a function last that has not been reset since, by its address
 */
public record Journal(List<OfVm> vms, Map<String, String> lastUsers) {
  /** Copies what it is given. */
  public Journal {
    vms = List.copyOf(vms);
    lastUsers = Map.copyOf(lastUsers);
  }

  /**
   * One VM.
   *
   * @param name as its settings have it
   * @param memory bytes that it is to have
   * @param ranges of its addresses, in their order
   * @param devices in the order they were made
   */
  public record OfVm(String name, long memory, List<Range> ranges, List<OfDevice> devices) {
    /** Copies the lists. */
    public OfVm {
      ranges = List.copyOf(ranges);
      devices = List.copyOf(devices);
    }
  }

  /**
   * A range of a VM's addresses that its clients have announced. The kernel lists no mappings; who
   * is in doubt whether one is there maps it again, and EEXIST says that it is.
   *
   * @param iova the first address
   * @param size bytes, a multiple of 4096
   * @param access what devices may do there: 1 read, 2 write, or'ed; 0 without memory
   * @param memory what is there; empty for what came without a descriptor, which no device reaches
   * @param pinned whether devices reach it now
   * @param holders the devices through whose connections it was announced, in the order of their
   *     addresses
   */
  public record Range(
      long iova,
      long size,
      int access,
      Optional<OfFile> memory,
      boolean pinned,
      List<String> holders) {
    /** Copies the list. */
    public Range {
      holders = List.copyOf(holders);
    }
  }

  /**
   * A place in a file that a client has sent.
   *
   * @param device {@code st_dev} of the file, by which it is found among the descriptors
   * @param inode {@code st_ino}
   * @param offset bytes from its beginning
   */
  public record OfFile(long device, long inode, long offset) {}

  /**
   * One device.
   *
   * @param address of the function
   * @param wrapped whether a device that wraps the function is served
   * @param phase where it is
   * @param group the number of its IOMMU group, once it was attached
   * @param client who has it, or had it last while it is draining
   */
  public record OfDevice(
      String address,
      boolean wrapped,
      BrokerState.Phase phase,
      OptionalInt group,
      Optional<OfClient> client) {}

  /**
   * The client of a device.
   *
   * @param pid its process
   * @param started when that began, in ticks since the machine did ({@code /proc/PID/stat}, field
   *     22), since numbers of processes are used again; 0 where it could not be read
   * @param agreed what the connection keeps to
   * @param vectors how many interrupts are switched on, by the index of {@code
   *     VFIO_DEVICE_SET_IRQS}
   */
  public record OfClient(int pid, long started, Agreed agreed, List<Integer> vectors) {
    /** Copies the list. */
    public OfClient {
      vectors = List.copyOf(vectors);
    }
  }

  /** What the broker has in its hands, as far as it follows. */
  public BrokerState state() {
    return new BrokerState(vms.stream().map(Journal::state).toList());
  }

  private static BrokerState.OfVm state(OfVm vm) {
    List<BrokerState.OfDevice> devices = new ArrayList<>();
    for (OfDevice device : vm.devices) {
      OptionalInt pid = device.client.map(c -> OptionalInt.of(c.pid)).orElse(OptionalInt.empty());
      devices.add(new BrokerState.OfDevice(device.address, device.wrapped, device.phase, pid));
    }
    List<BrokerState.OfGroup> groups =
        BrokerState.OfGroup.count(
            vm.devices.stream()
                .filter(d -> d.phase == BrokerState.Phase.CONNECTED)
                .flatMapToInt(d -> d.group.stream()));
    long pinned = vm.ranges.stream().filter(Range::pinned).mapToLong(Range::size).sum();
    return new BrokerState.OfVm(vm.name, groups, pinned, devices);
  }
}
