// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.vfio4j.assign.Check;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.assign.Mode;
import org.vfio4j.assign.Options;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.RunningVm;
import org.vfio4j.assign.Verdict;
import org.vfio4j.assign.VmRequest;
import org.vfio4j.host.PciAddress;

/**
 * The VMs of a host that come and go while it runs. A VM is changed by one at a time, and no change
 * of one waits for a change of another, but for the moment in which it is decided who gets a
 * device.
 */
final class Daemon implements AutoCloseable {
  private final Hosting hosting;

  /** By their names. This object's lock covers it. */
  private final Map<String, HostedVm> vms = new TreeMap<>();

  private final Set<String> changing = new HashSet<>();

  /** Held while it is decided who gets a device. */
  private final Object admission = new Object();

  Daemon(Hosting hosting) {
    this.hosting = hosting;
  }

  /** All VMs, by their names. */
  synchronized List<HostedVm> vms() {
    return List.copyOf(vms.values());
  }

  synchronized boolean isChanging(String name) {
    return changing.contains(name);
  }

  private synchronized Optional<HostedVm> vm(String name) {
    return Optional.ofNullable(vms.get(name));
  }

  /** Until it is closed nobody else changes these VMs. */
  private final class Change implements AutoCloseable {
    private final Collection<String> names;

    Change(Collection<String> names) {
      this.names = names;
      synchronized (Daemon.this) {
        for (String name : names) {
          if (changing.contains(name)) {
            throw new RefusedException(
                name + " is being changed just now: ask again when that is over");
          }
        }
        changing.addAll(names);
      }
    }

    @Override
    public void close() {
      synchronized (Daemon.this) {
        changing.removeAll(names);
      }
    }
  }

  /**
   * Reaches again what is written down, each VM by itself, and goes on with what a process before
   * this one has left.
   */
  void start(UpReport report) throws IOException {
    Set<String> left = hosting.broker().left();
    List<WantedVm> all = hosting.wanted().read(report::notServed);
    List<HostedVm> leaving = new ArrayList<>();
    Map<HostedVm, Boolean> taken = new LinkedHashMap<>();
    for (WantedVm wanted : all) {
      HostedVm vm = hosted(wanted);
      if (wanted.going() || !wanted.isComplete(all)) {
        leaving.add(vm);
        continue;
      }
      synchronized (this) {
        vms.put(wanted.name(), vm);
      }
      boolean goesOn =
          left.stream().anyMatch(l -> l.equals(wanted.name()) || l.startsWith(wanted.name() + " "));
      if (each(vm, report, () -> beginAgain(vm, goesOn, report))) {
        taken.put(vm, goesOn);
      }
    }
    report.resumed(hosting.broker().resume());
    taken.forEach((vm, goesOn) -> each(vm, report, () -> vm.serve(report, goesOn)));
    hosting.outliving().kept().closeRest();
    // Not before: what this process was given of them is open until then.
    leaving.forEach(vm -> each(vm, report, () -> release(vm, report)));
  }

  private HostedVm hosted(WantedVm wanted) {
    return new HostedVm(hosting, wanted, device -> isAnothers(wanted.name(), device));
  }

  private boolean isAnothers(String name, String device) {
    return vms().stream()
        .anyMatch(vm -> !vm.wanted().name().equals(name) && vm.hasOfThisMachine(device));
  }

  /**
   * One that nobody expects: it was being taken down, or was handed over and never acknowledged.
   */
  private void release(HostedVm vm, UpReport report) {
    if (!vm.wanted().going()) {
      report.notServed(
          "%s: was handed over with %s, of which not all were written down: hand them over again"
              .formatted(vm.wanted().name(), String.join(", ", vm.wanted().coming())));
    }
    String name = vm.wanted().name();
    if (!vm.release(report)) {
      // As long as it is written down it is known what is still to be given back.
      synchronized (this) {
        vms.put(name, vm);
      }
      throw new RefusedException(
          "not all of it is given back: then 'vfio down %s'".formatted(name));
    }
    hosting.wanted().remove(name);
  }

  private void beginAgain(HostedVm vm, boolean goesOn, UpReport report) throws IOException {
    if (!goesOn) {
      vm.meanAnew();
    }
    writeAgain(vm, vm.wanted().come(), goesOn, report);
    AskedAssignment asked = vm.ask();
    if (!goesOn) {
      admit(asked, asked.request().vms(), vm.wanted().forced(), vm.wanted().name());
    }
    writeAgain(vm, vm.wanted(), goesOn, report);
    vm.take(report, goesOn);
  }

  private static void writeAgain(HostedVm vm, WantedVm now, boolean goesOn, UpReport report) {
    if (goesOn) {
      vm.writeIfPossible(now, report);
    } else {
      vm.write(now);
    }
  }

  /** Something that is done for one VM, and may fail. */
  private interface Step {
    void run() throws IOException;
  }

  /** What one VM lacks keeps no other down. */
  private static boolean each(HostedVm vm, UpReport report, Step step) {
    String why;
    try {
      step.run();
      return true;
    } catch (NotAdmittedException e) {
      why = sentences(e.verdict());
    } catch (IOException | RuntimeException e) {
      why = String.valueOf(e.getMessage());
    }
    vm.failed(why);
    report.notServed(vm.wanted().name() + ": " + why);
    try {
      vm.end();
    } catch (RuntimeException e) {
      report.notServed(vm.wanted().name() + ": " + e.getMessage());
    }
    return false;
  }

  private static String sentences(Verdict verdict) {
    return verdict.vms().stream()
        .flatMap(vm -> vm.devices().stream())
        .flatMap(d -> d.refusal().stream())
        .map(r -> r.message())
        .distinct()
        .collect(Collectors.joining("; "));
  }

  /**
   * Decides whether VMs can have devices beside all that others have.
   *
   * @param but whose devices do not count
   */
  private void admit(
      AskedAssignment asked, List<VmRequest> wanted, List<String> forced, String but) {
    Request request = asked.request().with(wanted);
    if (request.running().isEmpty()) {
      request = request.beside(others(asked, but));
    }
    Options options =
        Options.DEFAULT.forcing(
            LocalDevices.addresses(forced).stream()
                .map(PciAddress::toString)
                .collect(Collectors.toUnmodifiableSet()));
    Verdict verdict = Check.verdict(request, asked.host(), options);
    if (!verdict.admitted()) {
      throw new NotAdmittedException(
          verdict, new AskedAssignment(request, asked.host(), asked.live()));
    }
  }

  /** Who has devices of the same host. */
  private List<RunningVm> others(AskedAssignment asked, String but) {
    List<RunningVm> ours =
        vms().stream()
            .filter(vm -> !vm.wanted().name().equals(but))
            .filter(vm -> vm.isOn(asked))
            .map(HostedVm::running)
            .toList();
    if (!asked.live()) {
      return ours;
    }
    Set<String> names = ours.stream().map(RunningVm::name).collect(Collectors.toSet());
    long self = ProcessHandle.current().pid();
    Stream<RunningVm> strangers =
        RunningVms.beside(Path.of("/"), self).stream().filter(r -> !names.contains(r.name()));
    return Stream.concat(ours.stream(), strangers).toList();
  }

  /**
   * Serves VMs of a file: all of them or none.
   *
   * @param report where the one who asks is told of it
   * @return whether anything was done: not if all are served so already
   */
  boolean up(List<WantedVm> wanted, UpReport report) throws IOException {
    try (Change _ = new Change(wanted.stream().map(WantedVm::name).toList())) {
      Map<String, HostedVm> begun = new LinkedHashMap<>();
      Map<String, HostedVm> before = new HashMap<>();
      synchronized (admission) {
        begin(wanted, begun);
        synchronized (this) {
          // Of those that could not be served.
          begun.keySet().forEach(name -> vm(name).ifPresent(vm -> before.put(name, vm)));
          vms.putAll(begun);
        }
      }
      List<HostedVm> come = new ArrayList<>();
      boolean done = false;
      try {
        take(begun.values(), before, report);
        for (HostedVm vm : begun.values()) {
          vm.serve(report, false);
        }
        for (HostedVm vm : begun.values()) {
          if (!vm.wanted().coming().isEmpty()) {
            come.add(vm);
            vm.write(vm.wanted().come());
          }
        }
        done = true;
        return !begun.isEmpty();
      } finally {
        if (!done) {
          // Who comes after a death in between is to find none of them whole.
          List<String> names = List.copyOf(begun.keySet());
          come.forEach(vm -> each(vm, report, () -> vm.write(vm.wanted().comingWith(names))));
          begun.forEach(
              (name, vm) ->
                  each(vm, report, () -> forget(vm, Optional.ofNullable(before.get(name)))));
        }
      }
    }
  }

  /**
   * Writes them down, so that a process after this one serves all of them or none, and takes what
   * they need.
   *
   * @param before what they are in place of, which is not to be lost with them: these come last
   */
  private static void take(
      Collection<HostedVm> begun, Map<String, HostedVm> before, UpReport report)
      throws IOException {
    List<String> names = begun.stream().map(vm -> vm.wanted().name()).toList();
    for (boolean replaced : new boolean[] {false, true}) {
      for (HostedVm vm : begun) {
        if (before.containsKey(vm.wanted().name()) == replaced) {
          boolean alone = replaced || names.size() == 1;
          vm.write(vm.wanted().comingWith(alone ? List.of() : names));
          vm.take(report, false);
        }
      }
    }
  }

  /** Finds out what they ask for, and that they can have it; from then on it is theirs. */
  private void begin(List<WantedVm> wanted, Map<String, HostedVm> begun) throws IOException {
    List<PluggedVm> plugged = new ArrayList<>();
    Optional<AskedAssignment> first = Optional.empty();
    List<VmRequest> requests = new ArrayList<>();
    for (WantedVm each : wanted) {
      Optional<HostedVm> there = vm(each.name());
      if (there.filter(vm -> vm.failed().isEmpty() && !vm.wanted().going()).isPresent()) {
        if (!there.get().wanted().sameAs(each)) {
          throw new RefusedException(
              "%s is up already, as %s had it: 'vfio down' it first, or change it by 'vfio attach'"
                  .formatted(each.name(), there.get().wanted().source()));
        }
        continue;
      }
      checkFolder(each.name(), begun.keySet());
      HostedVm vm = hosted(there.map(t -> t.wanted().again(each)).orElse(each));
      vm.meanAnew();
      AskedAssignment asked = vm.ask();
      plugged.add(PluggedVm.of(asked, hosting.base()).getFirst());
      requests.addAll(asked.request().vms());
      first = first.or(() -> Optional.of(asked));
      begun.put(each.name(), vm);
    }
    if (first.isPresent()) {
      admit(first.get(), requests, wanted.getFirst().forced(), "");
      vms().stream().flatMap(vm -> vm.plugged().stream()).forEach(plugged::add);
      UpCommand.checkLockedMemory(plugged, 0);
    }
  }

  /** Names may differ, and the names of their folders and files not. */
  private void checkFolder(String name, Set<String> begun) {
    String folder = PluggedVm.folderName(name);
    Stream.concat(begun.stream(), vms().stream().map(vm -> vm.wanted().name()))
        .filter(other -> !other.equals(name) && PluggedVm.folderName(other).equals(folder))
        .findFirst()
        .ifPresent(
            other -> {
              throw new RefusedException(
                  "%s: %s has the folder %s already: name it otherwise"
                      .formatted(name, other, folder));
            });
  }

  /** All is as it was before. */
  private void forget(HostedVm vm, Optional<HostedVm> before) {
    String name = vm.wanted().name();
    try {
      vm.end();
    } finally {
      synchronized (this) {
        before.ifPresentOrElse(b -> vms.put(name, b), () -> vms.remove(name));
      }
      if (before.isPresent()) {
        before.get().write(before.get().wanted());
      } else {
        hosting.wanted().remove(name);
      }
    }
  }

  private HostedVm required(String name) {
    return vm(name)
        .orElseThrow(() -> new RefusedException("no VM " + name + " here; see 'vfio ps'"));
  }

  /** A VM that is served. */
  HostedVm plugged(String name) {
    return required(name);
  }

  /**
   * Takes a VM down: everything is given back.
   *
   * @param force also while it runs
   */
  void down(String name, boolean force, UpReport report) {
    try (Change _ = new Change(List.of(name))) {
      HostedVm vm = required(name);
      if (!force) {
        for (Plug plug : vm.plugged().map(PluggedVm::plugs).orElse(List.of())) {
          unused(vm, plug, "end it first, or add --force, which takes its devices from it");
        }
      }
      writeGoing(vm);
      boolean done = false;
      try {
        if (vm.plugged().isEmpty()) {
          vm.release(report);
        }
        vm.end();
        hosting.wanted().remove(name);
        synchronized (this) {
          vms.remove(name);
        }
        done = true;
      } finally {
        if (!done) {
          vm.failed("was being taken down, which has failed: 'vfio down %s' again".formatted(name));
        }
      }
    }
  }

  private static void writeGoing(HostedVm vm) {
    try {
      vm.write(vm.wanted().goingDown());
    } catch (RefusedException e) {
      try {
        // It may be there all the same, and the VM is served on.
        vm.write(vm.wanted());
      } catch (RefusedException again) {
        e.addSuppressed(again);
      }
      throw e;
    }
  }

  private static void unused(HostedVm vm, Plug plug, String fix) {
    OptionalInt user = vm.user(plug);
    if (user.isPresent()) {
      throw new RefusedException(
          "%s: process %d uses %s: %s"
              .formatted(vm.wanted().name(), user.getAsInt(), plug.source().name(), fix));
    }
  }

  /**
   * The function that is meant, where a device is named by the UUID of a wrapped one.
   *
   * @throws RefusedException for a mediated device of the kernel's
   */
  WantedVm.Attached meant(String name, WantedVm.Attached one) throws IOException {
    if (one.device().mode() != Mode.MDEV) {
      return one;
    }
    AskedAssignment now = required(name).wanted().asked();
    Request alone = now.request().with(List.of(VmRequest.of(name, one.device())));
    // What is not defined any more may still be what the VM has.
    DeviceRequest device =
        alone.unwrapped(now.host()).wrapping(now.wrapped()).vms().getFirst().devices().getFirst();
    if (device.mode() != Mode.MDEV) {
      return new WantedVm.Attached(device, one.reset());
    }
    admit(now, alone.vms(), List.of(), name);
    throw new RefusedException(
        "%s is the kernel's: QEMU opens it by itself, and it is plugged into it by hand"
            .formatted(one.device()));
  }

  /** The function that a VM has by a UUID, whatever that means now. */
  Optional<String> had(String name, UUID uuid) {
    HostedVm vm = required(name);
    return Optional.ofNullable(vm.wanted().wrapped().get(uuid))
        .map(PciAddress::toString)
        .filter(function -> vm.plugOf(function).isPresent());
  }

  /**
   * Gives a VM one function more.
   *
   * @param uuid by which it was asked for, if it was
   * @return what it is plugged into
   */
  Plug attach(String name, WantedVm.Attached one, Optional<UUID> uuid, UpReport report)
      throws IOException {
    DeviceRequest device = one.device();
    try (Change _ = new Change(List.of(name))) {
      HostedVm vm = required(name);
      AskedAssignment asked =
          vm.asked()
              .filter(_ -> vm.failed().isEmpty())
              .orElseThrow(() -> new RefusedException(name + " is not served: " + vm.failed()));
      if (vm.plugOf(device.device()).isPresent()) {
        throw new RefusedException("%s has %s already".formatted(name, device.device()));
      }
      Plug plug = vm.plug(one);
      // As the host is now, not as it was when the VM came.
      AskedAssignment now = vm.wanted().plus(one).asked();
      synchronized (admission) {
        VmRequest with = asked.request().vms().getFirst().with(List.of(device));
        admit(now, List.of(with), vm.wanted().forced(), "");
        vm.reserve(now);
      }
      vm.attach(one, uuid, plug, report);
      return plug;
    }
  }

  /**
   * Takes a function from a VM.
   *
   * @param unplug has the VM let go of it first; whoever still uses it then is a refusal
   */
  void detach(String name, String address, boolean force, Unplug unplug) throws IOException {
    try (Change _ = new Change(List.of(name))) {
      HostedVm vm = required(name);
      Plug plug =
          vm.plugOf(address)
              .orElseThrow(
                  () ->
                      new RefusedException("%s has no %s; see 'vfio ps'".formatted(name, address)));
      if (!force && vm.user(plug).isPresent()) {
        unplug.unplug(vm, plug);
      }
      if (!force) {
        unused(vm, plug, "it has to let go of it; --force takes it away");
      }
      vm.detach(plug, address);
    }
  }

  /** How a running VM is made to let go of a device. */
  @FunctionalInterface
  interface Unplug {
    void unplug(HostedVm vm, Plug plug) throws IOException;
  }

  /** Gives everything back, and forgets nothing: the next process serves it again. */
  @Override
  public void close() {
    for (HostedVm vm : vms()) {
      vm.end();
    }
  }
}
