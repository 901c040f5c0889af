// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.user.device.DeviceSession;
import org.vfio4j.user.device.Peer;
import org.vfio4j.user.device.ServedDevice;

/**
 * A function of this machine, for one VM: opened for each client anew, since only the last close of
 * a device gives the next user fresh configuration space, interrupts that are off, and a device
 * that was reset.
 */
final class PassedDevice implements ServedDevice {
  private final Vm vm;
  private final String address;
  private final PassOptions options;

  /** Read without a lock: each is one value. They are changed under this object's. */
  private volatile BrokerState.Phase phase = BrokerState.Phase.IDLE;

  private volatile Optional<PassedSession> client = Optional.empty();
  private volatile OptionalInt group = OptionalInt.empty();

  PassedDevice(Vm vm, String address, PassOptions options) {
    this.vm = vm;
    this.address = address;
    this.options = options;
  }

  @Override
  public DeviceSession attach(Peer peer) {
    IommuGroup user = vm.broker().iommu().user(address);
    vm.attach(user);
    boolean done = false;
    try {
      PassedSession session = open(user, peer);
      client = Optional.of(session);
      group = groupNumber();
      connected();
      done = true;
      vm.changed();
      return session;
    } catch (RuntimeException e) {
      Broker.LOG.log(
          System.Logger.Level.WARNING, "%s: %s: %s".formatted(vm, address, e.getMessage()));
      throw e;
    } finally {
      if (!done) {
        vm.detach(user);
      }
    }
  }

  private PassedSession open(IommuGroup user, Peer peer) {
    DeviceCalls control = vm.broker().iommu().openDevice(address);
    boolean done = false;
    try {
      Resetting resetting = Resetting.of(vm.broker().iommu(), control, address);
      handOver(resetting);
      PassedSession session =
          new PassedSession(vm, address, options, control, resetting, peer, () -> left(user));
      vm.broker().used(address, vm.settings().name());
      done = true;
      return session;
    } finally {
      if (!done) {
        control.close();
      }
    }
  }

  /**
   * Nothing of the VM before is left in the device. A reset that would reach a function that this
   * VM is using is none.
   */
  private void handOver(Resetting resetting) {
    Set<String> together = resetting.together();
    String before = vm.broker().lastUser(address);
    boolean other = !before.isEmpty() && !before.equals(vm.settings().name());
    if (!together.isEmpty() && vm.uses(together, this).isEmpty()) {
      resetting.reset();
      vm.broker().clean(together);
    } else if (other && options.reset()) {
      throw new VfioException(
          Errno.EBUSY,
          Reason.DEVICE_BUSY,
          ("%s cannot be reset%s, and was %s's: it keeps what that VM has left in it. Say reset:"
                  + " none for it in the file if that does no harm")
              .formatted(
                  address, together.isEmpty() ? "" : " beside " + vm.uses(together, this), before),
          address);
    }
  }

  /** The session is closed. The group goes with its last user, or drains. */
  private void left(IommuGroup user) {
    phase = BrokerState.Phase.DRAINING;
    vm.detach(user);
    if (settle()) {
      vm.changed();
    }
  }

  private OptionalInt groupNumber() {
    return vm.broker().iommu().groupOf(address).map(g -> OptionalInt.of(g.id())).orElse(group);
  }

  /** Asks the kernel whether somebody still has the device open; whether that is so. */
  boolean settle() {
    if (phase != BrokerState.Phase.DRAINING) {
      return false;
    }
    boolean lingers = vm.broker().iommu().groupOf(address).filter(vm.broker()::lingers).isPresent();
    if (!lingers && free()) {
      vm.changed();
    }
    return lingers;
  }

  private synchronized void connected() {
    phase = BrokerState.Phase.CONNECTED;
  }

  /** Nobody has it open any more, unless the next has come since that was asked. */
  private synchronized boolean free() {
    boolean drained = phase == BrokerState.Phase.DRAINING;
    if (drained) {
      phase = BrokerState.Phase.IDLE;
      client = Optional.empty();
    }
    return drained;
  }

  /** Whether a client is using one of these functions through it. */
  boolean uses(Set<String> functions) {
    return phase == BrokerState.Phase.CONNECTED && functions.contains(address);
  }

  String address() {
    return address;
  }

  OptionalInt attachedGroup() {
    return phase == BrokerState.Phase.CONNECTED ? group : OptionalInt.empty();
  }

  Journal.OfDevice journal() {
    return new Journal.OfDevice(
        address, options.wrapped(), phase, group, client.map(PassedSession::journal));
  }

  BrokerState.OfDevice state() {
    OptionalInt pid = client.map(c -> OptionalInt.of(c.pid())).orElse(OptionalInt.empty());
    return new BrokerState.OfDevice(address, options.wrapped(), phase, pid);
  }
}
