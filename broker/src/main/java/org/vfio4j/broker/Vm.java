// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.BitSet;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.linux.sysfs.KernelEvent;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.type1.Container;
import org.vfio4j.user.device.LeftReply;
import org.vfio4j.user.device.ServedDevice;

/** A VM of a broker: its container, its memory, and the functions that it may have. Thread-safe. */
public final class Vm implements AutoCloseable {
  private final Broker broker;
  private final VmSettings settings;
  private final Container container;
  private final VmMemory memory;
  private final RamFiles files;
  private final VmJournal journal;
  private final int number;
  private final List<PassedDevice> devices = new CopyOnWriteArrayList<>();

  /** What another process has left of it, until that is taken over. */
  private Optional<LeftVm> left;

  /**
   * A VM without devices.
   *
   * @param number nobody else's in the names of what is kept, but of what another process has left
   * @param left what another process has left of it
   */
  Vm(Broker broker, VmSettings settings, Container container, int number, Optional<LeftVm> left) {
    this.broker = broker;
    this.settings = settings;
    this.container = container;
    this.number = number;
    this.left = left;
    SystemCalls calls = broker.iommu().calls();
    files = new RamFiles(settings, calls, broker.kept(), ram());
    journal = VmJournal.create(calls, settings.name(), settings.memory());
    memory = new VmMemory(settings, container, journal, files);
    boolean done = false;
    try {
      if (left.isEmpty()) {
        keepJournal(1);
      }
      done = true;
    } finally {
      if (!done) {
        journal.close();
      }
    }
  }

  /** What cannot be mapped any more is missed by its ranges. */
  private void resumeRam(int ram, Descriptor file) {
    try {
      files.resume(file, ram);
    } catch (RuntimeException refused) {
      Broker.LOG.log(
          System.Logger.Level.ERROR,
          "%s: a file of its memory is not taken over: %s".formatted(this, refused.getMessage()));
    }
  }

  private void keepJournal(int generation) {
    broker.kept().hold(LeftVm.name(number, generation), journal.file());
  }

  /**
   * Nobody is to go on from a journal that is written no more. Where there is no room for both, the
   * old one goes first.
   */
  private void keepInPlaceOf(LeftVm from) {
    try {
      keepJournal(from.generation() + 1);
    } catch (SystemCallException full) {
      from.file().close();
      try {
        keepJournal(from.generation() + 1);
      } catch (SystemCallException refused) {
        Broker.LOG.log(
            System.Logger.Level.ERROR,
            "%s: its journal is not kept, so that it ends with this process: %s"
                .formatted(this, refused.getMessage()));
      }
    }
    from.file().close();
  }

  /** What the names begin with under which its RAM is kept. */
  private String ram() {
    return "m%d.".formatted(number);
  }

  /** The name under which something of a device is kept. */
  String name(char kind, int index) {
    return "%c%d.%d".formatted(kind, number, index);
  }

  /**
   * Takes over what another process has left of it. All of its devices are there.
   *
   * @return whether there was something
   */
  boolean resume() {
    if (left.isEmpty()) {
      return false;
    }
    LeftVm from = left.get();
    broker.kept().takeAll(ram()).forEach(this::resumeRam);
    Map<Integer, PassedDevice> places = new HashMap<>();
    devices.forEach(d -> places.put(d.place(), d));
    Map<Integer, Journal.OfClient> clients = new HashMap<>();
    for (Journal.OfDevice was : from.journal().devices()) {
      PassedDevice device = places.get(was.place());
      if (device == null) {
        Broker.LOG.log(
            System.Logger.Level.WARNING,
            "%s: %s is given back: the VM has it no more".formatted(this, was.address()));
      } else if (device.resume(was, from.journal().alive())) {
        clients.put(was.place(), was.client().orElseThrow());
      }
    }
    for (Journal.OfDevice was : from.journal().devices()) {
      PassedDevice device = places.get(was.place());
      if (device != null && !clients.containsKey(was.place())) {
        device.resumeDraining(was);
      }
    }
    memory
        .resume(from.journal().ranges(), clients)
        .forEach((n, share) -> Objects.requireNonNull(places.get(n)).resumed(share));
    devices.forEach(PassedDevice::write);
    keepInPlaceOf(from);
    left = Optional.empty();
    return true;
  }

  /**
   * A function for this VM, to be served at a socket. It is opened, and its group attached, when a
   * client comes, and given back when the client goes.
   *
   * @param address of the function, as in {@code 0000:03:00.0}; it is on a VFIO driver when a
   *     client comes
   */
  public ServedDevice device(String address, PassOptions options) {
    if (devices.size() == VmJournal.MOST_DEVICES) {
      throw new IllegalStateException(
          "%s: a VM has %d devices at most".formatted(this, VmJournal.MOST_DEVICES));
    }
    PassedDevice device = new PassedDevice(this, address, options, place(address));
    devices.add(device);
    if (left.isEmpty()) {
      device.write();
    }
    return device;
  }

  /** Where another process had it, or one that is free. */
  private int place(String address) {
    List<Journal.OfDevice> were = left.map(l -> l.journal().devices()).orElse(List.of());
    BitSet taken = new BitSet();
    devices.forEach(d -> taken.set(d.place()));
    OptionalInt before =
        were.stream()
            .filter(w -> w.address().equals(address) && !taken.get(w.place()))
            .sorted(Comparator.comparing(w -> w.phase() != BrokerState.Phase.CONNECTED))
            .mapToInt(Journal.OfDevice::place)
            .findFirst();
    BitSet known = (BitSet) taken.clone();
    were.forEach(w -> known.set(w.place()));
    int free = known.nextClearBit(0);
    return before.orElse(free < VmJournal.MOST_DEVICES ? free : taken.nextClearBit(0));
  }

  /**
   * A device is not this VM's any more. Its server must be closed before. While somebody still has
   * the function open it is shown as draining.
   *
   * @param device of this VM
   */
  public void remove(ServedDevice device) {
    devices.stream().filter(d -> d == device).findFirst().orElseThrow().remove();
  }

  void drop(PassedDevice device) {
    if (devices.remove(device)) {
      try {
        journal.remove(device.place());
      } catch (SystemCallException refused) {
        Broker.LOG.log(
            System.Logger.Level.ERROR,
            "%s: %s is gone, and that is not written down: %s"
                .formatted(this, device.address(), refused.getMessage()));
      }
    }
  }

  /** The name by which a device of this VM is known to the process that follows, of 9 bytes. */
  public String name(ServedDevice device) {
    PassedDevice passed = devices.stream().filter(d -> d == device).findFirst().orElseThrow();
    return "%d.%d".formatted(number, passed.place());
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

  void beat() {
    try {
      journal.beat(System.nanoTime());
    } catch (SystemCallException closed) {
      Broker.LOG.log(System.Logger.Level.DEBUG, "{0}: closed meanwhile", this);
    }
  }

  void write(Journal.OfDevice device) {
    journal.write(device);
  }

  void write(int index, Optional<LeftReply> reply) {
    journal.write(index, reply);
  }

  /**
   * A group that another process had in this VM's container, once for all its devices.
   *
   * @return whether it was kept
   */
  boolean resumeGroup(int group, String keptContainer) {
    boolean another =
        devices.stream().anyMatch(d -> d.attachedGroup().equals(OptionalInt.of(group)));
    return another || broker.iommu().resumeGroup(group, Optional.of(keptContainer));
  }

  /** What its journal says now. */
  Journal.OfVm journal() {
    return VmJournal.read(journal.file());
  }

  /** Whose a function was last is another than before. */
  void usersChanged(Set<String> functions) {
    devices.stream().filter(d -> functions.contains(d.address())).forEach(PassedDevice::write);
  }

  /** The same where that could not be written down everywhere. */
  void usersAsBefore(Set<String> functions) {
    devices.stream()
        .filter(d -> functions.contains(d.address()))
        .forEach(PassedDevice::writeIfPossible);
  }

  /** Something has happened to a function that may be one of its devices. */
  void heard(KernelEvent event) {
    devices.stream().filter(d -> d.address().equals(event.address())).forEach(d -> d.heard(event));
  }

  /** Something of it is another than before: whoever watches is told. */
  void changed() {
    broker.changed(this);
  }

  /** Gives everything back. The servers of its devices must be closed before. */
  @Override
  public void close() {
    devices.forEach(PassedDevice::close);
    container.close();
    journal.close();
    left.ifPresent(l -> l.file().close());
    broker.forget(this);
  }

  @Override
  public String toString() {
    return settings.name();
  }
}
