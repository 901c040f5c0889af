// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.VfioIrqInfo;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.user.device.Irq;
import org.vfio4j.user.device.IrqSet;
import org.vfio4j.user.device.Pci;

/**
 * The interrupts of a real function: the client's eventfds go to the kernel, which signals them
 * with nothing of ours in between.
 *
 * <p>A kernel may not take vectors one after another (NORESIZE). MSI-X is therefore switched on
 * once with all its vectors, none connected, after which any run, hole or single vector can be set.
 * MSI tells the device how many there are, so it can be switched on only with as many as the guest
 * has asked for: its eventfds are kept, and all given again when there are more. The same serves
 * MSI-X where the host has not as many vectors free.
 */
final class PassedInterrupts implements AutoCloseable {
  private final DeviceCalls device;
  private final KeptDescriptors store;
  private final IntFunction<String> name;
  private final Optional<Incidents.Request> request;
  private final Runnable changed;
  private final List<Irq> told = new ArrayList<>();

  /** By index: what was given, of those that must be given again; in the store, too. */
  private final List<List<Optional<Descriptor>>> kept = new ArrayList<>();

  /** By index: how many vectors are switched on. */
  private final AtomicIntegerArray live = new AtomicIntegerArray(Pci.IRQS);

  /** Whether MSI-X could be switched on whole. */
  private boolean whole = true;

  private Optional<EventFd> error = Optional.empty();

  /**
   * What another process was given, and has left.
   *
   * @param switchedOn how many vectors are, by index; empty for none
   * @param eventFds of those that must be given again, by their places, by index
   * @param error what stops the VM
   */
  record Left(
      List<Integer> switchedOn,
      List<Map<Integer, Descriptor>> eventFds,
      Optional<Descriptor> error) {
    /** All off. */
    static final Left NOTHING = new Left(List.of(), List.of(), Optional.empty());

    /** Takes it over. */
    static Left take(KeptDescriptors store, IntFunction<String> name, List<Integer> switchedOn) {
      List<Map<Integer, Descriptor>> eventFds = new ArrayList<>();
      for (int index = 0; index < Pci.IRQS; index++) {
        eventFds.add(store.takeAll(prefix(name, index)));
      }
      return new Left(switchedOn, eventFds, store.take(name.apply('e')));
    }

    /** Nobody goes on with it. */
    void close() {
      eventFds.forEach(some -> some.values().forEach(Descriptor::close));
      error.ifPresent(Descriptor::close);
    }

    private int live(int index) {
      return index < switchedOn.size() ? switchedOn.get(index) : 0;
    }

    private List<Optional<Descriptor>> kept(int index) {
      List<Optional<Descriptor>> all = new ArrayList<>();
      if (index < eventFds.size()) {
        eventFds
            .get(index)
            .forEach(
                (n, file) -> {
                  while (all.size() <= n) {
                    all.add(Optional.empty());
                  }
                  all.set(n, Optional.of(file));
                });
      }
      return all;
    }
  }

  /**
   * Those of a device.
   *
   * @param store has what was given, of those that must be given again
   * @param name under which such a thing of the device is kept, by its kind's letter
   * @param left as another process has left them
   * @param request where the kernel asks for the device, of which the client is told nothing then
   * @param changed what to do when there are more or fewer
   */
  PassedInterrupts(
      DeviceCalls device,
      KeptDescriptors store,
      IntFunction<String> name,
      Left left,
      Optional<Incidents.Request> request,
      Runnable changed) {
    this.device = device;
    this.request = request;
    this.store = store;
    this.name = name;
    this.changed = changed;
    for (int index = 0; index < Pci.IRQS; index++) {
      told.add(irq(device, index));
      kept.add(left.kept(index));
      live.set(index, left.live(index));
    }
    int msix = live.get(Pci.MSIX);
    whole = msix == 0 || msix == told.get(Pci.MSIX).count();
    request.ifPresent(this::hear);
    error = left.error().map(EventFd::of);
  }

  /** In place of what another process has heard by. */
  private void hear(Incidents.Request asked) {
    told.set(Pci.REQUEST, new Irq(0, 0));
    try {
      device.trigger(Pci.REQUEST, 0, List.of(Optional.of(asked.descriptor())));
    } catch (VfioException none) {
      Broker.LOG.log(
          System.Logger.Level.DEBUG, "nobody can ask for the device: {0}", none.getMessage());
    }
  }

  private String prefix(int index) {
    return prefix(name, index);
  }

  private static String prefix(IntFunction<String> name, int index) {
    return "%s.%d.".formatted(name.apply('i'), index);
  }

  private void live(int index, int count) {
    if (live.getAndSet(index, count) != count) {
      changed.run();
    }
  }

  private static Irq irq(DeviceCalls device, int index) {
    VfioIrqInfo info;
    try {
      info = device.interrupts(index);
    } catch (VfioException none) {
      if (none.errno() != Errno.EINVAL) {
        throw none;
      }
      info = new VfioIrqInfo(index, 0, 0);
    }
    // Its eventfd is how a VM is stopped that must not go on, whatever the device can report.
    boolean error = index == Pci.ERROR && info.count() == 0;
    return error ? new Irq(1, Irq.EVENTFD | Irq.NORESIZE) : new Irq(info.count(), info.flags());
  }

  /** What the client is told. */
  List<Irq> told() {
    return Collections.unmodifiableList(told);
  }

  /** How many vectors are switched on, by index. */
  List<Integer> switchedOn() {
    return IntStream.range(0, Pci.IRQS).mapToObj(live::get).toList();
  }

  /** SET_IRQS. */
  void set(IrqSet set) {
    switch (set) {
      case IrqSet.EventFds given -> connect(given);
      case IrqSet.Whole(int index, _, int count, IrqSet.Action action)
          when count == 0 && action == IrqSet.Action.TRIGGER ->
          disable(index);
      case IrqSet.Whole all -> act(all.index(), all.start(), all.count(), all.action());
      case IrqSet.Chosen some ->
          some.chosen().stream()
              .forEach(n -> act(some.index(), some.start() + n, 1, some.action()));
    }
  }

  private void act(int index, int start, int count, IrqSet.Action action) {
    switch (action) {
      case MASK -> device.mask(index, start, count);
      case UNMASK -> device.unmask(index, start, count);
      case TRIGGER -> device.loopback(index, start, count);
    }
  }

  private void connect(IrqSet.EventFds given) {
    boolean keep = false;
    try {
      if (given.action() == IrqSet.Action.UNMASK) {
        unmaskOn(given);
        return;
      }
      if (given.action() == IrqSet.Action.MASK) {
        throw new VfioException(
            Errno.ENOTTY, Reason.NOT_SUPPORTED, "the kernel masks no interrupt by an eventfd");
      }
      keep = true;
      connect(given.index(), given.start(), given.eventFds());
    } finally {
      if (!keep) {
        close(given.eventFds());
      }
    }
  }

  private void unmaskOn(IrqSet.EventFds given) {
    Optional<Descriptor> eventFd = given.eventFds().getFirst();
    if (eventFd.isPresent()) {
      device.unmaskOn(given.index(), eventFd.get());
    } else {
      device.noUnmask(given.index());
    }
  }

  /** Takes the eventfds over. */
  private void connect(int index, int start, List<Optional<Descriptor>> eventFds) {
    if (index == Pci.ERROR) {
      connectError(eventFds);
      return;
    }
    boolean kernels = index == Pci.INTX || index == Pci.REQUEST || (index == Pci.MSIX && whole);
    if (index == Pci.MSIX && whole && live.get(index) == 0) {
      kernels = enableWhole();
    }
    if (!kernels) {
      again(index, start, eventFds);
      return;
    }
    try {
      give(index, start, eventFds, Math.max(live.get(index), start + eventFds.size()));
    } finally {
      close(eventFds);
    }
  }

  /** Whether the host had vectors for all of MSI-X. */
  private boolean enableWhole() {
    int count = told.get(Pci.MSIX).count();
    whole = device.trigger(Pci.MSIX, 0, Collections.nCopies(count, Optional.empty())) == 0;
    if (whole) {
      live(Pci.MSIX, count);
    }
    return whole;
  }

  /**
   * Gives all of them anew, these among them. What is refused is not kept; the kernel may have
   * disconnected what stood in its place ({@code vfio_msi_set_block}).
   */
  private void again(int index, int start, List<Optional<Descriptor>> eventFds) {
    List<Optional<Descriptor>> all = new ArrayList<>(kept.get(index));
    while (all.size() < start + eventFds.size()) {
      all.add(Optional.empty());
    }
    for (int n = 0; n < eventFds.size(); n++) {
      all.set(start + n, eventFds.get(n));
    }
    boolean done = false;
    try {
      if (all.size() <= live.get(index)) {
        check(index, device.trigger(index, start, eventFds));
      } else {
        if (live.get(index) > 0) {
          off(index);
        }
        anew(index, all);
      }
      done = true;
    } finally {
      if (!done) {
        close(eventFds);
      }
    }
    keep(index, start, eventFds);
  }

  /** Gives all of an index, which is off: what was given before is kept open until then. */
  private void anew(int index, List<Optional<Descriptor>> all) {
    boolean done = false;
    try {
      live(index, 0);
      give(index, 0, all, all.size());
      done = true;
    } finally {
      if (!done) {
        drop(index);
      }
    }
  }

  /** Has the kernel signal them, and that written down, or neither. */
  private void give(int index, int start, List<Optional<Descriptor>> eventFds, int count) {
    check(index, device.trigger(index, start, eventFds));
    boolean done = false;
    try {
      live(index, count);
      done = true;
    } finally {
      if (!done) {
        disable(index);
      }
    }
  }

  /** Another process does the command again that this one dies in: what was done is kept after. */
  private void keep(int index, int start, List<Optional<Descriptor>> eventFds) {
    List<Optional<Descriptor>> all = kept.get(index);
    while (all.size() < start + eventFds.size()) {
      all.add(Optional.empty());
    }
    for (int n = 0; n < eventFds.size(); n++) {
      all.set(start + n, eventFds.get(n)).ifPresent(Descriptor::close);
    }
    boolean done = false;
    try {
      for (int n = 0; n < eventFds.size(); n++) {
        String as = prefix(index) + (start + n);
        eventFds.get(n).ifPresent(given -> store.hold(as, given));
      }
      done = true;
    } finally {
      if (!done) {
        // Who comes after this process could not give them again.
        disable(index);
      }
    }
  }

  /** A positive answer is how many there could be, with nothing done. */
  private static void check(int index, int answer) {
    if (answer > 0) {
      throw new VfioException(
          Errno.ENOSPC,
          Reason.NO_MEMORY,
          "the host has only %d interrupt vectors left for index %d".formatted(answer, index));
    }
  }

  private void connectError(List<Optional<Descriptor>> eventFds) {
    Optional<Descriptor> given = eventFds.getFirst();
    boolean done = false;
    try {
      reportErrors(eventFds);
      error.ifPresent(EventFd::close);
      error = Optional.empty();
      given.ifPresent(file -> store.hold(name.apply('e'), file));
      error = given.map(EventFd::of);
      done = true;
    } finally {
      if (!done) {
        close(eventFds);
      }
    }
  }

  /** A device without PCIe reports nothing: then only we signal it. */
  private void reportErrors(List<Optional<Descriptor>> eventFds) {
    try {
      device.trigger(Pci.ERROR, 0, eventFds);
    } catch (VfioException refused) {
      if (refused.errno() != Errno.EINVAL) {
        throw refused;
      }
    }
  }

  private void disable(int index) {
    off(index);
    forget(index);
  }

  /** What was given for it goes, and that is written down. */
  private void forget(int index) {
    drop(index);
    live(index, 0);
  }

  private void drop(int index) {
    if (index == Pci.ERROR) {
      error.ifPresent(EventFd::close);
      error = Optional.empty();
    }
    close(kept.get(index));
    kept.get(index).clear();
  }

  private void off(int index) {
    try {
      device.disable(index);
    } catch (VfioException off) {
      // The kernel's answer for what is off already.
      if (off.errno() != Errno.EINVAL) {
        throw off;
      }
    }
  }

  /** Stops the VM: what its device would do now is not what its guest expects. */
  void stopVm() {
    error.ifPresent(EventFd::signal);
  }

  private static void close(List<Optional<Descriptor>> eventFds) {
    eventFds.forEach(fd -> fd.ifPresent(Descriptor::close));
  }

  /** All off. What the kernel does not switch off goes with the device's last descriptor. */
  @Override
  public void close() {
    for (int index = 0; index < Pci.IRQS; index++) {
      if (told.get(index).count() > 0) {
        try {
          off(index);
        } catch (VfioException refused) {
          Broker.LOG.log(
              System.Logger.Level.DEBUG,
              "interrupts of index {0} stay until the close: {1}",
              index,
              refused.getMessage());
        } finally {
          // Its session writes down the whole that it is closed.
          live.set(index, 0);
          drop(index);
        }
      }
    }
    request.ifPresent(Incidents.Request::close);
  }
}
