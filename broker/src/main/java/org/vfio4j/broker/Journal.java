// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.vfio4j.user.device.Agreed;
import org.vfio4j.user.device.LeftReply;

/**
 * What a broker knows that neither the kernel nor its descriptors tell: with both, everything that
 * another process needs to go on in its place. {@link VmJournal} is its written form.
 *
 * @param vms in the order they were made
 */
public record Journal(List<OfVm> vms) {
  /** Copies the list. */
  public Journal {
    vms = List.copyOf(vms);
  }

  /**
   * One VM.
   *
   * @param name as its settings have it
   * @param memory bytes that it is to have
   * @param alive when the process that wrote it lived still, of {@link System#nanoTime}
   * @param ranges of its addresses, in their order
   * @param devices in the order of their places
   */
  public record OfVm(
      String name, long memory, long alive, List<Range> ranges, List<OfDevice> devices) {
    /** Copies the lists. */
    public OfVm {
      ranges = List.copyOf(ranges);
      devices = List.copyOf(devices);
    }
  }

  /** How far the devices of a VM have a range of its memory. */
  public enum Reach {
    /** Not yet. */
    NOTED,

    /** A call was begun that makes it reachable: the kernel knows whether it was done. */
    PINNING,

    /** They reach it. */
    PINNED,

    /** A call was begun that takes it from them: the kernel knows whether it was done. */
    LEAVING,

    /** It came without a descriptor: no device will ever reach it. */
    NEVER
  }

  /**
   * A range of a VM's addresses that its clients have announced.
   *
   * @param iova the first address
   * @param size bytes, a multiple of 4096
   * @param access what devices may do there: 1 read, 2 write, or'ed; 0 without memory
   * @param memory what is there; empty for what came without a descriptor
   * @param reach how far the devices have it
   * @param holders the devices through whose connections it was announced, by their places among
   *     the VM's, rising
   */
  public record Range(
      long iova,
      long size,
      int access,
      Optional<OfFile> memory,
      Reach reach,
      List<Integer> holders) {
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
   * @param writable whether the descriptor may write
   * @param offset bytes from its beginning
   */
  public record OfFile(long device, long inode, boolean writable, long offset) {}

  /**
   * One device.
   *
   * @param place among the VM's devices, from 0 on
   * @param address of the function
   * @param wrapped whether a device that wraps the function is served
   * @param used whether something of the VM's may be left in the function: no other VM has had it
   *     since, and it was not reset
   * @param phase where it is
   * @param group the number of its IOMMU group, once it was attached
   * @param container the name under which the group's container is kept; empty without one
   * @param client who has it, or had it last while it is draining
   */
  public record OfDevice(
      int place,
      String address,
      boolean wrapped,
      boolean used,
      BrokerState.Phase phase,
      OptionalInt group,
      String container,
      Optional<OfClient> client) {}

  /**
   * The client of a device.
   *
   * @param connection the name under which its connection is kept; empty where none is
   * @param pid its process
   * @param started when that began, in ticks since the machine did ({@code /proc/PID/stat}, field
   *     22), since numbers of processes are used again; 0 where it could not be read
   * @param admitted whether its VM was found to be one whose memory devices reach
   * @param failed whether something that it announced was refused before that, so that its VM is
   *     not to be started
   * @param agreed what the connection keeps to
   * @param vectors how many interrupts are switched on, by the index of {@code
   *     VFIO_DEVICE_SET_IRQS}
   * @param reply what it is about to be answered
   */
  public record OfClient(
      String connection,
      int pid,
      long started,
      boolean admitted,
      boolean failed,
      Agreed agreed,
      List<Integer> vectors,
      Optional<LeftReply> reply) {
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
      devices.add(
          new BrokerState.OfDevice(
              device.address, device.wrapped, device.phase, pid, Optional.empty()));
    }
    List<BrokerState.OfGroup> groups =
        BrokerState.OfGroup.count(
            vm.devices.stream()
                .filter(d -> d.phase == BrokerState.Phase.CONNECTED)
                .flatMapToInt(d -> d.group.stream()));
    long pinned =
        vm.ranges.stream()
            .filter(r -> r.reach == Reach.PINNED)
            .mapToLong(Range::size)
            .reduce(0, Long::sum);
    return new BrokerState.OfVm(vm.name, groups, pinned, devices);
  }
}
