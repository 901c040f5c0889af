// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.List;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.type1.Container;
import org.vfio4j.user.device.ServedDevice;

/** A VM of a broker: its container, its memory, and the functions that it may have. Thread-safe. */
public final class Vm implements AutoCloseable {
  private final Broker broker;
  private final VmSettings settings;
  private final Container container;
  private final VmMemory memory;
  private final List<PassedDevice> devices = new CopyOnWriteArrayList<>();

  Vm(Broker broker, VmSettings settings, Container container) {
    this.broker = broker;
    this.settings = settings;
    this.container = container;
    memory = new VmMemory(settings, container, broker.iommu().calls());
  }

  /**
   * A function for this VM, to be served at a socket. It is opened, and its group attached, when a
   * client comes, and given back when the client goes.
   *
   * @param address of the function, as in {@code 0000:03:00.0}; it is on a VFIO driver when a
   *     client comes
   */
  public ServedDevice device(String address, PassOptions options) {
    PassedDevice device = new PassedDevice(this, address, options);
    devices.add(device);
    return device;
  }

  /**
   * Tries a function out before its VM starts: takes its group, opens it, and gives it back.
   *
   * @throws org.vfio4j.error.VfioException what a client would be refused with: EBUSY if somebody
   *     has the group, and what the kernel answers
   */
  public void tryOut(String address) {
    IommuGroup user = broker.iommu().user(address);
    attach(user);
    try {
      broker.iommu().openDevice(address).close();
    } finally {
      detach(user);
    }
  }

  VmSettings settings() {
    return settings;
  }

  Broker broker() {
    return broker;
  }

  VmMemory memory() {
    return memory;
  }

  /**
   * Attaches a user of a function's group: the first of them takes the group, every further one
   * joins.
   *
   * @throws org.vfio4j.error.VfioException EBUSY if another VM has the group, and what the kernel
   *     answers
   */
  void attach(IommuGroup user) {
    container.attach(user);
  }

  void detach(IommuGroup user) {
    container.detach(user);
    broker.givenBack();
  }

  /** Which of these functions its clients are using, but through one device. */
  List<String> uses(Set<String> functions, PassedDevice but) {
    return devices.stream()
        .filter(d -> d != but && d.uses(functions))
        .map(PassedDevice::address)
        .toList();
  }

  boolean snoops() {
    return container.coherent();
  }

  /** Asks the kernel for what is draining; whether something still is. */
  boolean settle() {
    return devices.stream().map(PassedDevice::settle).reduce(false, Boolean::logicalOr);
  }

  BrokerState.OfVm state() {
    Container.Contents now = container.snapshot();
    return new BrokerState.OfVm(
        settings.name(),
        BrokerState.OfGroup.count(devices.stream().flatMapToInt(d -> d.attachedGroup().stream())),
        now.bytes(),
        devices.stream().map(PassedDevice::state).toList());
  }

  Journal.OfVm journal() {
    return new Journal.OfVm(
        settings.name(),
        settings.memory(),
        memory.journal(),
        devices.stream().map(PassedDevice::journal).toList());
  }

  /** Something of it is another than before: whoever watches is told. */
  void changed() {
    broker.changed(this);
  }

  /** Gives everything back. The servers of its devices must be closed before. */
  @Override
  public void close() {
    container.close();
    broker.forget(this);
  }

  @Override
  public String toString() {
    return settings.name();
  }
}
