// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.linux.sysfs.KernelEvent;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.user.device.DeviceSession;
import org.vfio4j.user.device.LeftClient;
import org.vfio4j.user.device.LeftReply;
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
  private final int index;

  /** Read without a lock: each is one value. They are changed under this object's. */
  private volatile BrokerState.Phase phase = BrokerState.Phase.IDLE;

  private volatile Optional<PassedSession> client = Optional.empty();
  private volatile OptionalInt group = OptionalInt.empty();

  /** The name under which the container of its group is kept. */
  private volatile String container = "";

  /** Whether it is the VM's no more, when nobody has it open any more. */
  private volatile boolean removed;

  /** What has happened to it. */
  private volatile Optional<BrokerState.Trouble> trouble = Optional.empty();

  /** What another process has left of it, until its client is served again. */
  private volatile Optional<LeftDevice> left = Optional.empty();

  /**
   * A device without a client.
   *
   * @param index its place among the VM's
   */
  PassedDevice(Vm vm, String address, PassOptions options, int index) {
    this.vm = vm;
    this.address = address;
    this.options = options;
    this.index = index;
  }

  /** What another process has left open, attached again. */
  private record LeftDevice(
      IommuGroup user,
      DeviceCalls control,
      Journal.OfClient client,
      long alive,
      PassedInterrupts.Left interrupts,
      Optional<VmMemory.Share> memory) {}

  @Override
  public DeviceSession attach(Peer peer) {
    IommuGroup user = vm.broker().iommu().user(address);
    vm.attach(user);
    PassedSession session;
    boolean opened = false;
    try {
      session = open(user, peer);
      opened = true;
    } catch (RuntimeException e) {
      Broker.LOG.log(
          System.Logger.Level.WARNING, "%s: %s: %s".formatted(vm, address, e.getMessage()));
      throw e;
    } finally {
      if (!opened) {
        vm.detach(user);
      }
    }
    boolean done = false;
    try {
      client = Optional.of(session);
      LinuxIommu iommu = vm.broker().iommu();
      Optional<IommuGroup> attached = iommu.groupOf(address);
      group = attached.map(g -> OptionalInt.of(g.id())).orElse(group);
      container = attached.flatMap(iommu::containerOf).orElse("");
      connected();
      write();
      done = true;
    } finally {
      if (!done) {
        // Nobody has it who would close it.
        session.close();
      }
    }
    vm.changed();
    return session;
  }

  private PassedSession open(IommuGroup user, Peer peer) {
    DeviceCalls control = vm.broker().iommu().openDevice(address);
    boolean done = false;
    try {
      vm.broker().kept().hold(vm.name('d', index), control.descriptor());
      Resetting resetting = Resetting.of(vm.broker().iommu(), control, address);
      handOver(resetting);
      vm.broker().used(address, vm.settings().name());
      PassedSession session =
          session(
              user,
              control,
              resetting,
              peer,
              PassedInterrupts.Left.NOTHING,
              Optional.empty(),
              () -> vm.memory().join(index, peer));
      done = true;
      return session;
    } finally {
      if (!done) {
        control.close();
      }
    }
  }

  private PassedSession session(
      IommuGroup user,
      DeviceCalls control,
      Resetting resetting,
      Peer peer,
      PassedInterrupts.Left before,
      Optional<LeftReply> reply,
      Supplier<VmMemory.Share> memory) {
    Optional<Incidents.Request> request =
        vm.broker().incidents().map(i -> i.request(() -> trouble(BrokerState.Trouble.WANTED)));
    boolean done = false;
    try {
      PassedInterrupts interrupts =
          new PassedInterrupts(
              control, vm.broker().kept(), this::name, before, request, this::write);
      PassedSession.Owner owner =
          new PassedSession.Owner(
              vm, address, options, this::write, this::answering, () -> left(user));
      PassedSession session =
          new PassedSession(owner, control, interrupts, resetting, peer, reply, memory);
      done = true;
      return session;
    } finally {
      if (!done) {
        request.ifPresent(Incidents.Request::close);
      }
    }
  }

  private String name(int kind) {
    return vm.name((char) kind, index);
  }

  /**
   * Takes over what another process has left of it: group and device, and whose it was. The kernel
   * is asked for nothing that the hardware would notice.
   *
   * @param alive when that process lived still
   * @return whether a client had it, and has it still; if so {@link #resumed} follows
   */
  boolean resume(Journal.OfDevice was, long alive) {
    if (!was.address().equals(address) || was.wrapped() != options.wrapped()) {
      notResumed("another device was here");
      return false;
    }
    if (was.used()) {
      vm.broker().used(address, vm.settings().name());
    }
    if (was.phase() == BrokerState.Phase.CONNECTED) {
      left = found(was, alive);
      if (left.isPresent()) {
        group = was.group();
        container = was.container();
        connected();
      }
    }
    return left.isPresent();
  }

  /**
   * Its client had left that process already, and somebody had it open still: the kernel knows
   * whether that is so. After all that are connected: they may have the group.
   */
  void resumeDraining(Journal.OfDevice was) {
    if (was.phase() == BrokerState.Phase.DRAINING && was.address().equals(address)) {
      group = was.group();
      was.group().ifPresent(number -> vm.broker().iommu().resumeGroup(number, Optional.empty()));
      phase = BrokerState.Phase.DRAINING;
    }
  }

  private Optional<LeftDevice> found(Journal.OfDevice was, long alive) {
    KeptDescriptors kept = vm.broker().kept();
    Optional<Descriptor> file = kept.take(vm.name('d', index));
    if (file.isEmpty() || was.client().isEmpty() || was.group().isEmpty()) {
      notResumed("its descriptor was not kept");
      file.ifPresent(Descriptor::close);
      return Optional.empty();
    }
    boolean attached = false;
    boolean done = false;
    IommuGroup user = vm.broker().iommu().user(address);
    try {
      if (!vm.resumeGroup(was.group().getAsInt(), was.container())) {
        notResumed("its group or its container was not kept");
        return Optional.empty();
      }
      vm.attach(user);
      attached = true;
      DeviceCalls control = vm.broker().iommu().resumeDevice(address, file.get());
      done = true;
      Journal.OfClient client = was.client().get();
      PassedInterrupts.Left interrupts =
          PassedInterrupts.Left.take(kept, this::name, client.vectors());
      return Optional.of(
          new LeftDevice(user, control, client, alive, interrupts, Optional.empty()));
    } catch (RuntimeException refused) {
      notResumed(refused.getMessage());
      return Optional.empty();
    } finally {
      if (!done) {
        file.get().close();
        if (attached) {
          vm.detach(user);
        }
      }
    }
  }

  private void notResumed(@Nullable String why) {
    Broker.LOG.log(
        System.Logger.Level.ERROR, "%s: %s is given back: %s".formatted(vm, address, why));
  }

  /** The memory that its client has announced is there. */
  void resumed(VmMemory.Share memory) {
    left =
        left.map(
            l ->
                new LeftDevice(
                    l.user, l.control, l.client, l.alive, l.interrupts, Optional.of(memory)));
  }

  @Override
  public Optional<LeftClient> left() {
    return left.map(
        l -> new LeftClient(l.client.connection(), l.client.agreed(), l.client.reply(), l.alive));
  }

  @Override
  public DeviceSession resume(Peer peer) {
    LeftDevice from = left.orElseThrow();
    boolean done = false;
    try {
      Resetting resetting = Resetting.of(vm.broker().iommu(), from.control, address);
      VmMemory.Share memory = from.memory.orElseThrow();
      memory.served(peer);
      PassedSession session =
          session(
              from.user,
              from.control,
              resetting,
              peer,
              from.interrupts,
              from.client.reply(),
              () -> memory);
      client = Optional.of(session);
      left = Optional.empty();
      write();
      if (memory.broken()) {
        session.stopVm("not all of its memory could be taken over");
      }
      vm.changed();
      done = true;
      return session;
    } finally {
      if (!done && left.isPresent()) {
        lost();
      }
    }
  }

  @Override
  public void lost() {
    LeftDevice from = left.orElseThrow();
    left = Optional.empty();
    try {
      PassedSession.quiet(from.control);
      from.memory.ifPresent(VmMemory.Share::close);
    } catch (RuntimeException e) {
      Broker.LOG.log(
          System.Logger.Level.ERROR, () -> vm + ": " + address + " is not given back whole", e);
    } finally {
      from.interrupts.close();
      from.control.close();
      left(from.user);
    }
  }

  /** What is left of a client that nobody has served on is given back. */
  void close() {
    if (left.isPresent()) {
      lost();
    }
  }

  /** Whole records are written by other threads, too. */
  private synchronized void answering(Optional<LeftReply> reply) {
    vm.write(index, reply);
  }

  /** Writes down what is known of it. */
  synchronized void write() {
    vm.write(journal());
  }

  /** The same where something is given back, which goes on whatever happens. */
  void writeIfPossible() {
    try {
      write();
    } catch (SystemCallException refused) {
      Broker.LOG.log(
          System.Logger.Level.ERROR,
          "%s: %s: what is written down of it is old: %s"
              .formatted(vm, address, refused.getMessage()));
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

  /** The kernel tells of it. */
  void heard(KernelEvent event) {
    switch (event) {
      case KernelEvent.Removed _ -> trouble(BrokerState.Trouble.GONE);
      case KernelEvent.Recovering(_, KernelEvent.Recovery recovery) -> {
        switch (recovery) {
          case BEGUN -> trouble(BrokerState.Trouble.ERROR);
          case FAILED -> trouble(BrokerState.Trouble.FAILED);
          case DONE -> noTrouble(BrokerState.Trouble.ERROR);
        }
      }
    }
  }

  private void trouble(BrokerState.Trouble what) {
    synchronized (this) {
      boolean less = trouble.map(t -> t.compareTo(what) >= 0).orElse(false);
      if (less) {
        return;
      }
      trouble = Optional.of(what);
    }
    vm.changed();
  }

  private void noTrouble(BrokerState.Trouble what) {
    synchronized (this) {
      if (!trouble.equals(Optional.of(what))) {
        return;
      }
      trouble = Optional.empty();
    }
    vm.changed();
  }

  /** The session is closed. The group goes with its last user, or drains. */
  private void left(IommuGroup user) {
    phase = BrokerState.Phase.DRAINING;
    writeIfPossible();
    vm.detach(user);
    if (settle()) {
      vm.changed();
    }
  }

  /** Asks the kernel whether somebody still has the device open; whether that is so. */
  boolean settle() {
    if (phase != BrokerState.Phase.DRAINING) {
      return false;
    }
    boolean lingers = vm.broker().iommu().groupOf(address).filter(vm.broker()::lingers).isPresent();
    if (!lingers && free()) {
      if (removed) {
        vm.drop(this);
      } else {
        writeIfPossible();
      }
      vm.changed();
    }
    return lingers;
  }

  /** It is the VM's no more: at once, or when nobody has it open any more. */
  void remove() {
    close();
    removed = true;
    if (phase == BrokerState.Phase.IDLE) {
      vm.drop(this);
    }
  }

  /** Its place among the VM's. */
  int place() {
    return index;
  }

  private synchronized void connected() {
    trouble = Optional.empty();
    phase = BrokerState.Phase.CONNECTED;
  }

  /** Nobody has it open any more, unless the next has come since that was asked. */
  private synchronized boolean free() {
    boolean drained = phase == BrokerState.Phase.DRAINING;
    if (drained) {
      phase = BrokerState.Phase.IDLE;
      client = Optional.empty();
      // What is gone stays so; of the rest the next user begins anew.
      trouble = trouble.filter(t -> t == BrokerState.Trouble.GONE);
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

  private Journal.OfDevice journal() {
    Optional<Journal.OfClient> of =
        client.map(PassedSession::journal).or(() -> left.map(LeftDevice::client));
    return new Journal.OfDevice(
        index,
        address,
        options.wrapped(),
        vm.settings().name().equals(vm.broker().lastUser(address)),
        phase,
        group,
        container,
        of);
  }

  BrokerState.OfDevice state() {
    OptionalInt pid =
        client
            .map(PassedSession::pid)
            .or(() -> left.map(l -> l.client.pid()))
            .map(OptionalInt::of)
            .orElse(OptionalInt.empty());
    return new BrokerState.OfDevice(address, options.wrapped(), phase, pid, trouble);
  }
}
