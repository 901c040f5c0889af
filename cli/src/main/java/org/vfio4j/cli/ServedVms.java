// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
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
import org.vfio4j.user.Server;
import org.vfio4j.user.device.ServedDevice;

/** VMs whose devices are served: folders, sockets, and what is behind them. */
final class ServedVms {
  private final GivenBack all;
  private final EventLines lines;
  private final String source;
  private final Map<String, SocketAccess> access = new LinkedHashMap<>();
  private final List<Server> servers = new ArrayList<>();
  private final Map<String, Vm> vms = new LinkedHashMap<>();
  private final Map<Plug, ServedDevice> devices = new IdentityHashMap<>();
  private final KeptDescriptors kept;
  private final boolean resumed;

  /**
   * Nothing yet.
   *
   * @param all takes everything that is begun
   * @param source of the request, for messages
   * @param outliving where connections are kept for another process, and are from one before
   */
  ServedVms(GivenBack all, EventLines lines, String source, Outliving outliving) {
    kept = outliving.kept();
    resumed = outliving.resumed();
    this.all = all;
    this.lines = lines;
    this.source = source;
  }

  /**
   * Looks up who may connect, before anything is begun.
   *
   * @throws BadInputException for who is not known here
   */
  void admit(PluggedVm vm) throws IOException {
    Serving serving = vm.vm().serving();
    try {
      access.put(vm.vm().name(), SocketAccess.of(serving.user(), serving.group(), serving.mode()));
    } catch (SocketAccess.UnknownException e) {
      throw new BadInputException(
          source, 0, "vms." + vm.vm().name(), String.valueOf(e.getMessage()));
    }
  }

  /**
   * Tries the functions of a VM out.
   *
   * @return what is held by somebody else, in a sentence each: it is served all the same, and had
   *     when that one lets go
   * @throws RefusedException if one cannot be had at all
   */
  List<String> tryOut(Broker broker, PluggedVm vm) {
    List<String> held = new ArrayList<>();
    for (Plug plug : vm.plugs()) {
      if (plug.source() instanceof Plug.Function f) {
        try {
          vmOf(broker, vm.vm(), f).tryOut(f.address());
        } catch (VfioException e) {
          String what = "%s: %s: %s".formatted(vm.vm().name(), f.name(), e.getMessage());
          if (e.errno() != Errno.EBUSY) {
            throw new RefusedException(what);
          }
          held.add(
              what
                  + Orphan.at(Path.of("/proc"), plug.socket())
                      .map(
                          pid ->
                              "; process %s has it from a 'vfio up' that has died".formatted(pid))
                      .orElse(""));
        }
      }
    }
    return held;
  }

  /** Behind an IOMMU of the guest each device is an address space of its own. */
  private Vm vmOf(Broker broker, VmRequest vm, Plug.Function f) {
    String name = vm.viommu() ? vm.name() + " " + f.address() : vm.name();
    return vms.computeIfAbsent(
        name,
        n ->
            broker.vm(
                new VmSettings(
                    n, vm.memory().orElseThrow(), vm.serving().timeout(), vm.serving().shared())));
  }

  /** Makes the devices of a VM. */
  void prepare(Optional<Broker> broker, PluggedVm vm) {
    vm.plugs().forEach(plug -> devices.put(plug, device(broker, vm.vm(), plug.source())));
  }

  /**
   * Serves a VM.
   *
   * @param number its place among the VMs
   */
  void serve(PluggedVm vm, int number) {
    SocketAccess whose = Objects.requireNonNull(access.get(vm.vm().name()));
    int index = 0;
    for (Plug plug : vm.plugs()) {
      ServedDevice device = Objects.requireNonNull(devices.get(plug));
      Server.Builder builder = Server.at(plug.socket());
      if (plug.source() instanceof Plug.Function) {
        builder.kept(kept, number + "." + index);
      }
      index++;
      builder.events(new ClientEvents(lines, Optional.of(vm.vm().name()), plug.source().name()));
      begin(
          () ->
              all.take(() -> ServeCommand.start(whose.apply(builder), device, plug.socket()))
                  .ifPresent(servers::add));
    }
  }

  private ServedDevice device(Optional<Broker> broker, VmRequest vm, Plug.Source source) {
    return switch (source) {
      case Plug.Own own -> OwnDevices.create(own.device());
      case Plug.StandIn standIn -> OwnDevices.create(standIn.device());
      case Plug.Function f ->
          vmOf(broker.orElseThrow(), vm, f)
              .device(
                  f.address(),
                  new PassOptions(f.wrapped(), f.handling().mmap(), f.handling().reset()));
    };
  }

  /** The folder of a VM. */
  void folder(PluggedVm vm) {
    begin(() -> all.take(() -> VmFolder.take(vm.vm().name(), vm.base(), vm.folder())));
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

  /** Waits until all are ended. */
  void join() throws InterruptedException {
    for (Server server : servers) {
      server.join();
    }
  }
}
