// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import org.vfio4j.assign.Sizes;
import org.vfio4j.broker.BrokerState;
import org.vfio4j.linux.bind.DriverBinding.Change;
import picocli.CommandLine.Help.Ansi.Style;

/** What {@code vfio up} prints. */
final class UpReport {
  private final EventLines lines;
  private final boolean libvirt;

  /**
   * Nothing yet.
   *
   * @param libvirt print what to put into libvirt's domain XML, not QEMU's arguments
   */
  UpReport(EventLines lines, boolean libvirt) {
    this.lines = lines;
    this.libvirt = libvirt;
  }

  /**
   * A VM can be started.
   *
   * @param lasts whether another process can go on with its functions
   */
  void serving(PluggedVm vm, boolean lasts) {
    lines.event(
        "serving",
        g -> {
          Json.put(g, "vm", vm.vm().name());
          Json.objects(
              g,
              "devices",
              vm.plugs(),
              (o, plug) -> {
                switch (plug.source()) {
                  case Plug.Function f -> {
                    Json.put(o, "device", f.address());
                    o.writeBooleanProperty("wrapped", f.wrapped());
                  }
                  case Plug.Own own -> Json.put(o, "device", own.device().word());
                  case Plug.StandIn s -> {
                    Json.put(o, "device", s.device().word());
                    Json.put(o, "inPlaceOf", s.wanted().toString());
                  }
                }
                if (ends(plug, lasts)) {
                  o.writeBooleanProperty("endsWithThisProcess", true);
                }
                Json.put(o, "socket", plug.socket().toString());
              });
          vm.qemu().write(g);
          Json.put(g, "libvirt", vm.libvirt());
        },
        () -> text(vm, lasts));
  }

  /** With some devices of ours no other process can go on. */
  private static boolean ends(Plug plug, boolean lasts) {
    return lasts
        && switch (plug.source()) {
          case Plug.Function _ -> false;
          case Plug.Own own -> !OwnDevices.lasts(own.device());
          case Plug.StandIn s -> !OwnDevices.lasts(s.device());
        };
  }

  private String text(PluggedVm vm, boolean lasts) {
    StringBuilder text = new StringBuilder();
    String memory = vm.vm().memory().map(m -> ", " + Sizes.of(m)).orElse("");
    text.append(lines.paint(Style.bold, Text.printable(vm.vm().name()))).append(memory);
    for (Plug plug : vm.plugs()) {
      text.append("\n  %s at %s".formatted(plug.source().name(), plug.socket()))
          .append(ends(plug, lasts) ? "; ends with this process, and its VM with it" : "");
    }
    if (libvirt) {
      return text + "\n  Put into its domain XML of libvirt:\n" + vm.libvirt();
    }
    return text + "\n  Give QEMU 10.1 or newer:\n" + vm.qemu().shell("  ") + "\n";
  }

  /** A mediated device is there now, or is not any more. */
  void mdev(String uuid, boolean started) {
    lines.event(
        started ? "started" : "stopped",
        g -> Json.put(g, "device", uuid),
        () -> "mdev %s: %s".formatted(uuid, started ? "started" : "stopped"));
  }

  /**
   * A device of a VM is not served here: its QEMU opens it.
   *
   * @param arguments for QEMU
   * @param xml for libvirt's domain XML
   */
  void takenByQemu(String vm, String device, String arguments, String xml) {
    lines.event(
        "taken-by-qemu",
        g -> {
          Json.put(g, "vm", vm);
          Json.put(g, "device", device);
          Json.put(g, "qemu", arguments);
          Json.put(g, "libvirt", xml);
        },
        () ->
            "%s: %s is not served here; QEMU, with a right to its file in /dev/vfio, takes it by\n  %s"
                .formatted(
                    lines.paint(Style.bold, Text.printable(vm)),
                    device,
                    libvirt ? xml : arguments));
  }

  /** Somebody else has what a VM is to get. */
  void held(String what) {
    lines.event(
        "held",
        g -> Json.put(g, "what", what),
        () ->
            "%s: %s; it is served, and can be had when that ends"
                .formatted(lines.paint(Style.fg_yellow, "held"), Text.printable(what)));
  }

  /** Everything is served that can be. */
  void ready(boolean lasts) {
    lines.event(
        "ready",
        g -> {
          if (lasts) {
            g.writeBooleanProperty("outlives", true);
          }
        },
        () ->
            "Ctrl-C gives everything back."
                + (lasts
                    ? " SIGTERM and crashes leave the VMs as they are, until process %d is followed"
                            .formatted(ProcessHandle.current().pid())
                        + " by another."
                    : ""));
  }

  /** A VM that is written down cannot be served now, or something that is written down is no VM. */
  void notServed(String why) {
    lines.event("failed", g -> Json.put(g, "why", why), () -> "not served: " + Text.printable(why));
  }

  /** A VM that runs is served on, and what it is now could not be written down. */
  void notWritten(String why) {
    lines.event(
        "failed",
        g -> Json.put(g, "why", why),
        () -> "served all the same: " + Text.printable(why));
  }

  /** A daemon can be asked. */
  void answering(Path socket, boolean lasts) {
    lines.event(
        "ready",
        g -> {
          Json.put(g, "socket", socket.toString());
          if (lasts) {
            g.writeBooleanProperty("outlives", true);
          }
        },
        () ->
            "Answers at %s.".formatted(Text.printable(socket.toString()))
                + (lasts
                    ? " SIGTERM and crashes leave the VMs as they are."
                    : " VMs lose their devices when this process ends: 'vfio keep -- vfio daemon',"
                        + " or systemd, has them outlive it."));
  }

  /** VMs that another process has served go on. */
  void resumed(List<String> vms) {
    for (String vm : vms) {
      lines.event(
          "resumed",
          g -> Json.put(g, "vm", vm),
          () -> "%s: goes on as the process before has left it".formatted(Text.printable(vm)));
    }
  }

  /** Drivers have changed. */
  void bound(List<Change> changes) {
    for (Change change : changes) {
      lines.event(
          "bound",
          g -> {
            Json.put(g, "device", change.address());
            Json.put(g, "before", change.before());
            Json.put(g, "now", change.now());
          },
          () ->
              "%s: %s → %s".formatted(change.address(), name(change.before()), name(change.now())));
    }
  }

  private static String name(Optional<String> driver) {
    return driver.map(Text::printable).orElse("no driver");
  }

  /** Something stays as it is although it is to be given back. */
  void stuck(String why) {
    lines.event(
        "stuck",
        g -> Json.put(g, "why", why),
        () -> "%s: %s".formatted(lines.paint(Style.fg_red, "not given back"), Text.printable(why)));
  }

  /** A driver stays as it is although it was to change. */
  void notBound(String why) {
    lines.event("failed", g -> Json.put(g, "why", why), () -> "not bound: " + Text.printable(why));
  }

  /** Something of a VM is another than before. */
  void state(BrokerState.OfVm vm) {
    lines.event(
        "state",
        g -> {
          Json.put(g, "vm", vm.name());
          Json.objects(
              g,
              "groups",
              vm.groups(),
              (o, group) -> {
                o.writeNumberProperty("group", group.number());
                o.writeNumberProperty("users", group.users());
              });
          g.writeNumberProperty("mapped", vm.pinned());
          Json.objects(
              g,
              "devices",
              vm.devices(),
              (o, device) -> {
                Json.put(o, "device", device.address());
                o.writeBooleanProperty("wrapped", device.wrapped());
                Json.put(o, "phase", device.phase().name().toLowerCase(Locale.ROOT));
                device.pid().ifPresent(pid -> o.writeNumberProperty("pid", pid));
                device.trouble().ifPresent(t -> Json.put(o, "trouble", word(t)));
              });
        },
        () -> "%s: %s".formatted(Text.printable(vm.name()), stateOf(vm)));
  }

  private static String stateOf(BrokerState.OfVm vm) {
    String groups =
        vm.groups().stream()
            .map(g -> "group %d with %s, ".formatted(g.number(), Text.count(g.users(), "user")))
            .collect(Collectors.joining());
    String devices =
        vm.devices().stream()
            .map(d -> d.address() + " " + phase(d) + d.trouble().map(UpReport::said).orElse(""))
            .collect(Collectors.joining(", "));
    return "%s%s mapped; %s".formatted(groups, Sizes.of(vm.pinned()), devices);
  }

  private static String phase(BrokerState.OfDevice device) {
    return switch (device.phase()) {
      case IDLE -> "free";
      case CONNECTED -> "in use";
      case DRAINING ->
          "draining: somebody still has it open"
              + (device.pid().isPresent() ? ", perhaps process " + device.pid().getAsInt() : "");
    };
  }

  /** As JSON has it. */
  static String word(BrokerState.Trouble trouble) {
    return trouble.name().toLowerCase(Locale.ROOT);
  }

  private static String said(BrokerState.Trouble trouble) {
    return " ("
        + switch (trouble) {
          case ERROR ->
              "an error was reported for it, its VM is told, and the kernel recovers: 'dmesg'";
          case FAILED -> "the kernel could not recover it from an error: 'dmesg'";
          case WANTED ->
              "somebody takes it from VFIO, or pulls it out, and waits until its VM has let go:"
                  + " 'vfio detach', or the VM's end";
          case GONE -> "it is not there any more";
        }
        + ")";
  }
}
