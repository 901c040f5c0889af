// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.UUID;
import java.util.function.Predicate;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.assign.RunningVm;
import org.vfio4j.assign.VmRequest;
import org.vfio4j.broker.BrokerState;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.input.BadInputException;

/**
 * A VM of a daemon, from when it is asked for until it is taken down. One change of it at a time,
 * of which {@link Daemon} takes care; what it is now may be asked at any time.
 */
final class HostedVm {
  private final Hosting hosting;
  private final Predicate<String> others;
  private final GivenBack all = GivenBack.untilClosed();

  /** By their addresses. */
  private final Map<String, BoundFunctions> bound = new HashMap<>();

  private volatile WantedVm wanted;
  private volatile Optional<AskedAssignment> asked = Optional.empty();
  private volatile Optional<ServedVm> served = Optional.empty();
  private volatile String failed = "";

  /**
   * One that is asked for; nothing is begun.
   *
   * @param others whether another VM has a device of this machine
   */
  HostedVm(Hosting hosting, WantedVm wanted, Predicate<String> others) {
    this.hosting = hosting;
    this.others = others;
    this.wanted = wanted;
  }

  /** What is written down of it. */
  WantedVm wanted() {
    return wanted;
  }

  /** Why it is not served; empty if it is. */
  String failed() {
    return failed;
  }

  void failed(String why) {
    failed = why;
  }

  /** What it asks for; empty where that could not be found out. */
  Optional<AskedAssignment> asked() {
    return asked;
  }

  /** What is served; empty where nothing is. */
  Optional<PluggedVm> plugged() {
    return served.map(ServedVm::plugged);
  }

  /** Whether it has devices of the host of which others ask for some. */
  boolean isOn(AskedAssignment other) {
    return failed.isEmpty()
        && asked.isPresent()
        && asked.get().live() == other.live()
        && asked.get().host().name().equals(other.host().name());
  }

  /** Whether a device of this machine is its own. */
  boolean hasOfThisMachine(String device) {
    return failed.isEmpty()
        && asked.stream()
            .filter(AskedAssignment::live)
            .flatMap(a -> a.request().vms().getFirst().devices().stream())
            .anyMatch(d -> d.device().equals(device));
  }

  /** As others see it that ask for devices of its host. */
  RunningVm running() {
    VmRequest vm = asked.orElseThrow().request().vms().getFirst();
    List<String> devices = vm.devices().stream().map(DeviceRequest::device).toList();
    return new RunningVm(vm.name(), OptionalLong.empty(), vm.viommu(), Set.of(), devices);
  }

  /**
   * Finds out what it asks for; nothing is begun.
   *
   * @throws BadInputException for what cannot be served, with its place
   */
  AskedAssignment ask() throws IOException {
    AskedAssignment now = wanted.asked();
    if (wanted.bind() && !now.live()) {
      throw new BadInputException(
          wanted.source(), 0, "host", "is not this machine: nothing is to be bound for it");
    }
    wanted = wanted.wrapping(now.wrapped());
    asked = Optional.of(now);
    return now;
  }

  /** Is to find out anew which functions UUIDs mean. */
  void meanAnew() throws IOException {
    wanted = wanted.meantAnew();
  }

  /**
   * Takes what it needs, short of its sockets.
   *
   * @throws RefusedException if something cannot be had
   */
  void take(UpReport report, boolean resumed) throws IOException {
    AskedAssignment now = asked.orElseThrow();
    PluggedVm plugged = PluggedVm.of(now, hosting.base()).getFirst();
    ServedVm vm =
        new ServedVm(
            plugged,
            wanted.source(),
            Optional.of(hosting.broker()),
            all,
            hosting.lines(),
            hosting.outliving().kept(),
            resumed);
    vm.folder();
    drivers(now, plugged.plugs(), report);
    // What it had before, and has not any more.
    all.<AutoCloseable>take(
        () ->
            () ->
                giveBack(
                    wanted.bound().stream().filter(a -> !bound.containsKey(a)).toList(), report));
    KernelDevices.start(now, hosting.mdevs(), all, report, started());
    vm.prepare();
    served = Optional.of(vm);
  }

  private KernelDevices.Started started() {
    return new KernelDevices.Started() {
      @Override
      public Optional<List<UUID>> before() {
        // After a boot they are gone.
        return Optional.of(wanted.started().stream().map(UUID::fromString).toList())
            .filter(all -> hosting.outliving().resumed() && !all.isEmpty());
      }

      @Override
      public void write(List<UUID> uuids) {
        HostedVm.this.write(wanted.starting(uuids.stream().map(UUID::toString).toList()));
      }
    };
  }

  /** Every function is on a driver of VFIO, or is put there. */
  private void drivers(AskedAssignment now, List<Plug> plugs, UpReport report) {
    FunctionDrivers before = FunctionDrivers.of(now.host(), plugs);
    if (before.functions().isEmpty()) {
      return;
    }
    if (!wanted.bind()) {
      before.require();
      return;
    }
    Binder binder = hosting.binder().get();
    List<String> names = before.names();
    // Written down before: who comes after a death in between gives them back.
    List<String> others = before.others();
    write(wanted.binding(others));
    if (!others.isEmpty()) {
      bind(binder, names, others, report);
    }
    for (String address : wanted.bound()) {
      if (names.contains(address)) {
        all.take(() -> new BoundFunctions(binder, List.of(address), report))
            .ifPresent(b -> bound.put(address, b));
      }
    }
  }

  private void bind(Binder binder, List<String> names, List<String> others, UpReport report) {
    boolean done = false;
    try {
      BoundFunctions.bind(binder, names, wanted.forced(), report);
      done = true;
    } finally {
      if (!done) {
        // The answer may be lost of what was done. What was not bound stays as it is.
        BoundFunctions.of(binder, others, report).close();
        write(wanted.released(others));
      }
    }
  }

  /** Makes its sockets. Those who connected to the process before this one are served on. */
  void serve(UpReport report, boolean resumed) {
    ServedVm vm = served.orElseThrow();
    if (!resumed) {
      vm.tryOut().forEach(report::held);
    }
    vm.serve();
    failed = "";
    report.serving(vm.plugged(), hosting.outliving().kept().lasts());
  }

  /** Writes down what it is to be from now on. */
  void write(WantedVm now) {
    hosting.wanted().write(now);
    wanted = now;
  }

  /** The same of one that runs, which is not to end for a disk that takes nothing. */
  void writeIfPossible(WantedVm now, UpReport report) {
    try {
      write(now);
    } catch (RefusedException e) {
      wanted = now;
      report.notWritten(String.valueOf(e.getMessage()));
    }
  }

  /** Gives everything back, and is to be forgotten. */
  void end() {
    try {
      all.close();
    } finally {
      served = Optional.empty();
    }
  }

  /**
   * Gives back what a process before this one has taken, where nothing is served: drivers, and
   * devices of the kernel's that it has started.
   *
   * @return whether nothing of it is left
   */
  boolean release(UpReport report) {
    boolean stopped = KernelDevices.stop(started(), others, hosting.mdevs(), report);
    return giveBack(wanted.bound(), report) && stopped;
  }

  /** Gives drivers back, but for what another VM is served; whether all are given back. */
  private boolean giveBack(List<String> functions, UpReport report) {
    List<String> theirs = functions.stream().filter(others).toList();
    theirs.forEach(
        a ->
            report.stuck(
                "%s is another VM's now; when that is down 'vfio release %s' gives it back"
                    .formatted(a, a)));
    List<String> free = functions.stream().filter(a -> !theirs.contains(a)).toList();
    boolean done =
        free.isEmpty() || BoundFunctions.of(hosting.binder().get(), free, report).giveBack();
    return done && theirs.isEmpty();
  }

  /** What a device asked for later needs: nothing is begun. */
  Plug plug(WantedVm.Attached one) throws IOException {
    WantedVm more = wanted.plus(one);
    return PluggedVm.of(more.asked(), hosting.base()).getFirst().plugs().stream()
        .filter(p -> is(p, one.device().device()))
        .findFirst()
        .orElseThrow();
  }

  private static boolean is(Plug plug, String address) {
    return switch (plug.source()) {
      case Plug.Function f -> f.address().equals(address);
      case Plug.StandIn s -> s.wanted().device().equals(address);
      case Plug.Own _ -> false;
    };
  }

  /** The device at this address that is served. */
  Optional<Plug> plugOf(String address) {
    return served.stream().flatMap(s -> s.plugs().stream()).filter(p -> is(p, address)).findFirst();
  }

  /** From now on it has a device more for those who ask for it. */
  void reserve(AskedAssignment now) {
    asked = Optional.of(now);
  }

  /** Serves one device more that is reserved, and writes it down; or none, and reserves none. */
  void attach(WantedVm.Attached one, Optional<UUID> uuid, Plug plug, UpReport report)
      throws IOException {
    WantedVm before = wanted;
    boolean done = false;
    try {
      drivers(asked.orElseThrow(), List.of(plug), report);
      served.orElseThrow().attach(plug).ifPresent(report::held);
      WantedVm more = wanted.plus(one);
      write(uuid.map(u -> more.knowing(u, one.device())).orElse(more));
      done = true;
    } finally {
      if (!done) {
        served.orElseThrow().detach(plug);
        release(one.device().device());
        asked = Optional.of(before.asked());
        write(before);
      }
    }
  }

  /** Serves one device less, and writes it down. */
  void detach(Plug plug, String address) throws IOException {
    served.orElseThrow().detach(plug);
    WantedVm fewer = wanted.minus(address);
    asked = Optional.of(fewer.asked());
    if (!sharesGroup(address)) {
      release(address);
      fewer = fewer.released(List.of(address));
    }
    write(fewer);
  }

  /** A driver of the host's beside a function that the VM has would not be let in by the kernel. */
  private boolean sharesGroup(String address) {
    AskedAssignment now = asked.orElseThrow();
    Optional<Integer> group = group(now, address);
    return group.isPresent()
        && now.request().vms().getFirst().devices().stream()
            .anyMatch(d -> group(now, d.device()).equals(group));
  }

  private static Optional<Integer> group(AskedAssignment asked, String device) {
    return PciAddress.tryParse(device).flatMap(asked.host()::groupOf).map(g -> g.id());
  }

  private void release(String address) {
    BoundFunctions was = bound.remove(address);
    if (was != null) {
      all.giveBack(was);
    }
  }

  /** Who uses a device: the process' number. */
  OptionalInt user(Plug plug) {
    return served.map(s -> s.client(plug)).orElse(OptionalInt.empty());
  }

  /** Waits until nobody uses a device, so long at most; whether that is so. */
  boolean awaitNobody(Plug plug, Duration most) throws InterruptedException {
    return served.isEmpty() || served.get().awaitNobody(plug, most);
  }

  /** What the broker has of it: of one whose guest has an IOMMU a state for each function. */
  List<BrokerState.OfVm> states() {
    Optional<VmRequest> vm = asked.map(a -> a.request().vms().getFirst());
    return vm.isEmpty()
        ? List.of()
        : hosting.broker().state().vms().stream()
            .filter(
                s -> s.name().equals(vm.get().name()) || s.name().startsWith(vm.get().name() + " "))
            .toList();
  }
}
