// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.vfio4j.iommu.GroupState;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.linux.iommu.Kernels;
import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.linux.sysfs.KernelEvent;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/**
 * Owns functions of this machine for several VMs. Thread-safe; {@link #state} takes no lock that an
 * attach, a map or a reset holds.
 */
public final class Broker implements AutoCloseable {
  /** What the names of all that a broker keeps begin with; others' begin with other letters. */
  private static final String OWN = "vmdeigc";

  static final Logger LOG = System.getLogger("org.vfio4j.broker");

  /** How often the kernel is asked whether a group is free that somebody has kept open. */
  private static final long ASK_MILLIS = 200;

  /** How often it is written down that this process lives. */
  private static final long BEAT_MILLIS = 1000;

  private final LinuxIommu iommu;
  private final KernelProfile profile;
  private final KeptDescriptors kept;
  private final Consumer<BrokerState.OfVm> watcher;
  private final List<Vm> vms = new CopyOnWriteArrayList<>();

  /** By their names, until a VM of that name is made. */
  private final Map<String, LeftVm> left = new HashMap<>();

  private int lastVm;

  /** Which VM had a function last, by its address. */
  private final Map<String, String> lastUsers = new ConcurrentHashMap<>();

  private volatile Optional<Incidents> incidents = Optional.empty();

  private final AtomicBoolean closed = new AtomicBoolean();
  private final Object draining = new Object();
  private boolean asked;
  private final Thread settling;

  /**
   * A broker without VMs.
   *
   * @param iommu whose groups it may have
   * @param profile of the kernel
   */
  public Broker(LinuxIommu iommu, KernelProfile profile) {
    this(iommu, profile, vm -> {});
  }

  /**
   * A broker without VMs that is watched.
   *
   * @param iommu whose groups it may have
   * @param profile of the kernel
   * @param watcher told of a VM when a device of it is taken, may be used, is draining or is free
   *     again; by the threads that serve its devices, which wait for it
   */
  public Broker(LinuxIommu iommu, KernelProfile profile, Consumer<BrokerState.OfVm> watcher) {
    this(iommu, profile, KeptDescriptors.NONE, watcher);
  }

  /**
   * A broker that others follow, and that may follow another: VMs and devices are made as that one
   * had them, in the same order, then {@link #resume} takes over what it had of them, then they are
   * served.
   *
   * @param iommu whose groups it may have, with the same store
   * @param profile of the kernel
   * @param kept where its descriptors are kept, and what is there. A name is a letter for what it
   *     is, the number of the VM, and where a VM has several the number of it: {@code v} the
   *     journal, {@code m} a file with RAM, {@code d} a device, {@code e} what stops a VM, {@code
   *     i} an interrupt that would have to be given again
   * @param watcher as of {@link #Broker(LinuxIommu, KernelProfile, Consumer)}
   * @throws IllegalStateException if a later version of this program has left what is there;
   *     nothing of it was touched
   */
  public Broker(
      LinuxIommu iommu,
      KernelProfile profile,
      KeptDescriptors kept,
      Consumer<BrokerState.OfVm> watcher) {
    this.iommu = iommu;
    this.profile = profile;
    this.kept = kept;
    this.watcher = watcher;
    for (LeftVm vm : LeftVm.all(kept)) {
      left.put(vm.journal().name(), vm);
      lastVm = Math.max(lastVm, vm.number());
    }
    settling = Thread.ofPlatform().daemon().name("broker asks for groups").start(this::settle);
  }

  /** A broker on the IOMMU that all of this process shares, watched by nobody. */
  public static Broker ofThisMachine() {
    return ofThisMachine(vm -> {});
  }

  /**
   * A broker on the IOMMU that all of this process shares.
   *
   * @param watcher as of {@link #Broker(LinuxIommu, KernelProfile, Consumer)}
   */
  public static Broker ofThisMachine(Consumer<BrokerState.OfVm> watcher) {
    return new Broker(LinuxIommu.ofThisProcess(), Kernels.running(), watcher);
  }

  /**
   * Hears from now on what happens to devices, and tells who watches: {@link BrokerState.Trouble}.
   * For devices that are taken, or taken over, after this; their clients are told that nobody asks
   * for them (no {@code VFIO_PCI_REQ_IRQ_INDEX}).
   *
   * @throws org.vfio4j.posix.SystemCallException EMFILE, ENFILE, ENOMEM
   */
  public synchronized void listen() {
    if (incidents.isEmpty() && !closed.get()) {
      incidents = Optional.of(new Incidents(iommu.calls(), this::heard));
    }
  }

  Optional<Incidents> incidents() {
    return incidents;
  }

  /** The kernel tells of a device, maybe of one here. */
  void heard(KernelEvent event) {
    vms.forEach(vm -> vm.heard(event));
  }

  /**
   * A VM: an address space of its own, in which its devices will be.
   *
   * @throws IllegalStateException if the broker is closed, or has a VM of that name
   */
  public synchronized Vm vm(VmSettings settings) {
    if (closed.get() || vms.stream().anyMatch(v -> v.settings().name().equals(settings.name()))) {
      throw new IllegalStateException("no VM %s here".formatted(settings.name()));
    }
    Type1Parameters parameters = new Type1Parameters();
    iommu.sysfs().entryLimit().ifPresent(parameters::entryLimit);
    Container container = new Container(settings.name(), iommu, profile, Type1.V2, parameters);
    Optional<LeftVm> before = Optional.ofNullable(left.remove(settings.name()));
    int number = before.isPresent() ? before.get().number() : ++lastVm;
    Vm made = new Vm(this, settings, container, number, before);
    vms.add(made);
    return made;
  }

  /** The names of VMs that another broker has left, and that are not made yet. */
  public synchronized Set<String> left() {
    return Set.copyOf(left.keySet());
  }

  /**
   * Takes over what another broker has left of these VMs: groups, containers and devices, without
   * touching the hardware, so that devices go on as they were. What cannot be taken over is given
   * back, and logged. Clients that were connected are served again when their devices are. What was
   * left besides is given back, but for listeners and connections ({@code l}, {@code s}).
   *
   * @return the VMs of which there was something
   */
  public synchronized List<String> resume() {
    List<String> resumed = new ArrayList<>();
    for (Vm vm : vms) {
      try {
        if (vm.resume()) {
          resumed.add(vm.settings().name());
        }
      } catch (RuntimeException e) {
        // The others go on.
        LOG.log(Level.ERROR, () -> vm + ": not all of it could be taken over", e);
      }
    }
    left.values().forEach(vm -> vm.file().close());
    left.clear();
    iommu.resumed();
    // Before anybody is served: what comes is kept under the same names.
    kept.closeRest(name -> OWN.indexOf(name.charAt(0)) >= 0);
    vms.forEach(this::changed);
    givenBack();
    return resumed;
  }

  /** What the broker has in its hands now. Waits for nothing. */
  public BrokerState state() {
    return new BrokerState(vms.stream().map(Vm::state).toList());
  }

  /** What nobody could find out who had this broker's descriptors, as it is written down. */
  public Journal journal() {
    return new Journal(vms.stream().map(Vm::journal).toList());
  }

  KeptDescriptors kept() {
    return kept;
  }

  LinuxIommu iommu() {
    return iommu;
  }

  /** Which VM had a function last; empty if none had since the broker began. */
  String lastUser(String address) {
    return lastUsers.getOrDefault(address, "");
  }

  void used(String address, String vm) {
    changeUsers(Set.of(address), () -> lastUsers.put(address, vm));
  }

  /** Functions that were reset: nothing of their last users is left in them. */
  void clean(Set<String> functions) {
    changeUsers(functions, () -> lastUsers.keySet().removeAll(functions));
  }

  /** What cannot be written down is as before, for who comes after this process too. */
  private void changeUsers(Set<String> functions, Runnable change) {
    Map<String, String> before = new HashMap<>(lastUsers);
    before.keySet().retainAll(functions);
    change.run();
    boolean done = false;
    try {
      vms.forEach(v -> v.usersChanged(functions));
      done = true;
    } finally {
      if (!done) {
        lastUsers.keySet().removeAll(functions);
        lastUsers.putAll(before);
        vms.forEach(v -> v.usersAsBefore(functions));
      }
    }
  }

  void forget(Vm vm) {
    vms.remove(vm);
  }

  /** Who watches cannot fail what is watched. */
  void changed(Vm vm) {
    try {
      watcher.accept(vm.state());
    } catch (RuntimeException e) {
      LOG.log(Level.ERROR, () -> vm + ": nobody was told of a change", e);
    }
  }

  /** A device has been given back: whether its group is free is the kernel's to say. */
  void givenBack() {
    synchronized (draining) {
      asked = true;
      draining.notifyAll();
    }
  }

  boolean lingers(IommuGroup group) {
    return iommu.state(group) == GroupState.LINGERING;
  }

  /** What a client asks while nobody serves it has come since the last of these. */
  private void beat() {
    if (kept.lasts()) {
      vms.forEach(Vm::beat);
    }
  }

  /** The kernel tells nobody that a group has become free: it has to be asked. */
  @SuppressWarnings("WaitNotInLoop") // It is asked anew after every wait.
  private void settle() {
    try {
      while (!closed.get()) {
        synchronized (draining) {
          while (!asked && !closed.get()) {
            draining.wait(kept.lasts() ? BEAT_MILLIS : 0);
            beat();
          }
          asked = false;
        }
        boolean more = vms.stream().map(Broker::settle).reduce(false, Boolean::logicalOr);
        if (more) {
          synchronized (draining) {
            asked = true;
            draining.wait(ASK_MILLIS);
            beat();
          }
        }
      }
    } catch (InterruptedException _) {
      LOG.log(Level.DEBUG, "interrupted: groups are not asked for any more");
    }
  }

  private static boolean settle(Vm vm) {
    try {
      return vm.settle();
    } catch (RuntimeException e) {
      // It may have been closed meanwhile. The others are asked all the same.
      LOG.log(Level.DEBUG, () -> vm + ": not asked whether its groups are free", e);
      return false;
    }
  }

  /** Closes all VMs. The servers of their devices must be closed before. */
  @Override
  public void close() {
    if (!closed.compareAndSet(false, true)) {
      return;
    }
    vms.forEach(Vm::close);
    incidents.ifPresent(Incidents::close);
    synchronized (draining) {
      draining.notifyAll();
    }
    boolean interrupted = false;
    while (settling.isAlive()) {
      try {
        settling.join();
      } catch (InterruptedException _) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
