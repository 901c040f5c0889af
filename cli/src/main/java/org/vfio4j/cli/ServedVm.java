// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CopyOnWriteArrayList;
import org.vfio4j.assign.Serving;
import org.vfio4j.assign.VmRequest;
import org.vfio4j.broker.Broker;
import org.vfio4j.broker.PassOptions;
import org.vfio4j.broker.Vm;
import org.vfio4j.broker.VmSettings;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.user.Server;
import org.vfio4j.user.device.EmulatedDevice;
import org.vfio4j.user.device.ServedDevice;

/** A VM whose devices are served: its folder, its sockets, and what is behind them. */
final class ServedVm {
  private final PluggedVm vm;
  private final Optional<Broker> broker;
  private final GivenBack all;
  private final EventLines lines;
  private final SocketAccess access;
  private final KeptDescriptors kept;
  private final boolean resumed;

  /** Behind an IOMMU of the guest one for each function, else one. */
  private final Map<String, Vm> spaces = new LinkedHashMap<>();

  private final Map<Plug, Behind> devices = Collections.synchronizedMap(new IdentityHashMap<>());

  /** Those that are served, in the order in which they came. */
  private final List<Plug> plugs = new CopyOnWriteArrayList<>();

  /** What a socket leads to. */
  private record Behind(
      ServedDevice device,
      Optional<Vm> space,
      Optional<String> lasting,
      Optional<Server> server,
      ClientEvents clients) {}

  /**
   * Looks up who may connect; nothing is begun.
   *
   * @param source of the request, for messages
   * @param all takes everything that is begun
   * @param kept where connections are kept for another process, and are from one before
   * @param resumed whether it goes on: what it lacks keeps nothing else down then
   * @throws BadInputException for who is not known here
   */
  ServedVm(
      PluggedVm vm,
      String source,
      Optional<Broker> broker,
      GivenBack all,
      EventLines lines,
      KeptDescriptors kept,
      boolean resumed)
      throws IOException {
    this.vm = vm;
    plugs.addAll(vm.plugs());
    this.broker = broker;
    this.all = all;
    this.lines = lines;
    this.kept = kept;
    this.resumed = resumed;
    Serving serving = vm.vm().serving();
    try {
      access = SocketAccess.of(serving.user(), serving.group(), serving.mode());
    } catch (SocketAccess.UnknownException e) {
      throw new BadInputException(
          source, 0, "vms." + vm.vm().name(), String.valueOf(e.getMessage()));
    }
  }

  /** What is served. */
  PluggedVm plugged() {
    return vm.with(plugs());
  }

  /** What is served now. */
  List<Plug> plugs() {
    return List.copyOf(plugs);
  }

  /** The process that uses a device. */
  OptionalInt client(Plug plug) {
    Behind behind = devices.get(plug);
    return behind == null ? OptionalInt.empty() : behind.clients().served();
  }

  /** Makes its folder. */
  void folder() {
    begin(() -> all.take(() -> VmFolder.take(vm.vm().name(), vm.base(), vm.folder())));
  }

  /** Makes its devices. */
  void prepare() {
    vm.plugs().forEach(this::prepare);
  }

  private void prepare(Plug plug) {
    ClientEvents clients =
        new ClientEvents(lines, Optional.of(vm.vm().name()), plug.source().name());
    Behind behind =
        switch (plug.source()) {
          case Plug.Own own -> ofOurs(OwnDevices.create(own.device()), plug, clients);
          case Plug.StandIn s -> ofOurs(OwnDevices.create(s.device()), plug, clients);
          case Plug.Function f -> {
            Vm space = space(f);
            PassOptions options =
                new PassOptions(f.wrapped(), f.handling().mmap(), f.handling().reset());
            yield new Behind(
                space.device(f.address(), options),
                Optional.of(space),
                Optional.empty(),
                Optional.empty(),
                clients);
          }
        };
    devices.put(plug, behind);
  }

  /** Waits until nobody uses a device, so long at most; whether that is so. */
  boolean awaitNobody(Plug plug, Duration most) throws InterruptedException {
    Behind behind = devices.get(plug);
    return behind == null || behind.clients().awaitNobody(most);
  }

  private Behind ofOurs(EmulatedDevice device, Plug plug, ClientEvents clients) {
    if (!kept.lasts() || !device.lasts()) {
      return new Behind(device, Optional.empty(), Optional.empty(), Optional.empty(), clients);
    }
    String name = OwnDevices.keptAs(plug.socket());
    ServedDevice lasting = device.lasting(SystemCalls.libc(), kept, name);
    return new Behind(lasting, Optional.empty(), Optional.of(name), Optional.empty(), clients);
  }

  /** Behind an IOMMU of the guest each device is an address space of its own. */
  private Vm space(Plug.Function f) {
    VmRequest request = vm.vm();
    String name = request.viommu() ? request.name() + " " + f.address() : request.name();
    return spaces.computeIfAbsent(
        name,
        n ->
            all.take(
                    () ->
                        broker
                            .orElseThrow()
                            .vm(
                                new VmSettings(
                                    n,
                                    request.memory().orElseThrow(),
                                    request.serving().timeout(),
                                    request.serving().shared())))
                .orElseThrow(() -> new RefusedException("everything is given back already")));
  }

  /**
   * Tries its functions out.
   *
   * @return what is held by somebody else, in a sentence each: it is served all the same, and had
   *     when that one lets go
   * @throws RefusedException if one cannot be had at all
   */
  List<String> tryOut() {
    List<String> held = new ArrayList<>();
    for (Plug plug : vm.plugs()) {
      tryOut(plug).ifPresent(held::add);
    }
    return held;
  }

  private Optional<String> tryOut(Plug plug) {
    if (!(plug.source() instanceof Plug.Function f)) {
      return Optional.empty();
    }
    try {
      space(f).tryOut(f.address());
      return Optional.empty();
    } catch (VfioException e) {
      String what = "%s: %s: %s".formatted(vm.vm().name(), f.name(), e.getMessage());
      if (e.errno() != Errno.EBUSY) {
        throw new RefusedException(what);
      }
      Optional<String> orphan = Orphan.at(Path.of("/proc"), plug.socket());
      return Optional.of(
          what
              + orphan
                  .map(pid -> "; process %s has it from a 'vfio up' that has died".formatted(pid))
                  .orElse(""));
    }
  }

  /** Serves all of its devices. */
  void serve() {
    plugs.forEach(plug -> begin(() -> serve(plug)));
  }

  private void serve(Plug plug) {
    Behind behind = Objects.requireNonNull(devices.get(plug));
    Server.Builder builder = Server.at(plug.socket());
    behind
        .space()
        .map(space -> space.name(behind.device()))
        .or(behind::lasting)
        .ifPresent(name -> builder.kept(kept, name));
    builder.events(behind.clients());
    Optional<Server> server =
        all.take(() -> ServeCommand.start(access.apply(builder), behind.device(), plug.socket()));
    devices.put(
        plug,
        new Behind(behind.device(), behind.space(), behind.lasting(), server, behind.clients()));
  }

  /**
   * One device more.
   *
   * @return what is held by somebody else, as of {@link #tryOut()}
   */
  Optional<String> attach(Plug plug) {
    boolean done = false;
    try {
      prepare(plug);
      plugs.add(plug);
      Optional<String> held = tryOut(plug);
      serve(plug);
      done = true;
      return held;
    } finally {
      if (!done) {
        detach(plug);
      }
    }
  }

  /** One device less, of those that are served or were to be: whoever has it is disconnected. */
  void detach(Plug plug) {
    Behind behind = devices.remove(plug);
    plugs.remove(plug);
    if (behind == null) {
      return;
    }
    behind.server().ifPresent(all::giveBack);
    if (behind.space().isPresent()) {
      Vm space = behind.space().get();
      space.remove(behind.device());
      if (vm.vm().viommu() && spaces.values().remove(space)) {
        all.giveBack(space);
      }
    }
  }

  /** Where VMs run already, what one of them lacks keeps no other down. */
  private void begin(Runnable what) {
    try {
      what.run();
    } catch (RuntimeException e) {
      if (!resumed) {
        throw e;
      }
      String why = String.valueOf(e.getMessage());
      lines.event(
          "failed", g -> Json.put(g, "why", why), () -> "not served: " + Text.printable(why));
    }
  }

  /** Waits until its servers have ended. */
  void join() throws InterruptedException {
    for (Behind behind : List.copyOf(devices.values())) {
      if (behind.server().isPresent()) {
        behind.server().get().join();
      }
    }
  }
}
