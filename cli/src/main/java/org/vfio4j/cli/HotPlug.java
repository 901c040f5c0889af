// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Plugs devices into VMs that run, and out of them: by QMP where the VM's file says where its QEMU
 * answers, else by saying what to type.
 */
final class HotPlug {
  private static final JsonMapper JSON = new JsonMapper();
  private static final String PERIPHERAL = "/machine/peripheral";

  private final Duration unplugging;

  /**
   * How patient it is.
   *
   * @param unplugging how long a guest may take to let go of a device
   */
  HotPlug(Duration unplugging) {
    this.unplugging = unplugging;
  }

  /**
   * What QEMU has that was given an id.
   *
   * @param ports those that nothing is behind
   * @param devices those that are served from somewhere
   */
  private record Contents(Set<String> ports, Set<String> devices) {
    static Contents of(QmpConnection qmp) throws IOException {
      Map<String, String> types = new TreeMap<>();
      qmp.execute("qom-list", g -> Json.put(g, "path", PERIPHERAL))
          .valueStream()
          .forEach(n -> types.put(n.path("name").asString(""), n.path("type").asString("")));
      Set<String> free = new TreeSet<>();
      Set<String> used = new HashSet<>();
      Set<String> devices = new HashSet<>();
      for (Map.Entry<String, String> each : types.entrySet()) {
        String id = each.getKey();
        if (!each.getValue().startsWith("child<")) {
          continue;
        }
        if (each.getValue().equals("child<pcie-root-port>")) {
          free.add(id);
        } else {
          String bus = get(qmp, id, "parent_bus").asString("");
          used.add(bus.substring(bus.lastIndexOf('/') + 1));
        }
        if (each.getValue().equals("child<vfio-user-pci>")) {
          devices.add(id);
        }
      }
      free.removeAll(used);
      return new Contents(free, devices);
    }

    private static JsonNode get(QmpConnection qmp, String id, String property) throws IOException {
      return qmp.execute(
          "qom-get",
          g -> {
            Json.put(g, "path", PERIPHERAL + "/" + id);
            Json.put(g, "property", property);
          });
    }
  }

  /** What a device is called that is plugged in while its VM runs: the same each time. */
  private static String id(Plug plug) {
    String name = String.valueOf(plug.socket().getFileName());
    return "vfio-" + name.substring(0, name.length() - ".sock".length()).replace(':', '-');
  }

  /**
   * Which device of QEMU's is served from a socket: QEMU does not tell, but those that it was
   * started with are in its command line.
   */
  private static Optional<String> idOf(Contents now, Plug plug, OptionalInt pid) {
    String own = id(plug);
    if (now.devices().contains(own)) {
      return Optional.of(own);
    }
    Path line = Path.of("/proc", String.valueOf(pid.orElse(0)), "cmdline");
    try {
      for (String word : Files.readString(line, StandardCharsets.UTF_8).split("\0")) {
        if (word.startsWith("{")) {
          JsonNode device = JSON.readTree(word);
          boolean here =
              device.path("socket").path("path").asString("").equals(plug.socket().toString());
          Optional<String> id = device.path("id").stringValueOpt().filter(now.devices()::contains);
          if (here && id.isPresent()) {
            return id;
          }
        }
      }
    } catch (IOException | JacksonException _) {
      // Nothing is unplugged of which it is not known what it is.
    }
    return Optional.empty();
  }

  /**
   * Plugs a device in that is served.
   *
   * @return what was done, or what is to be typed, in words
   * @throws RefusedException if QEMU does not take it
   */
  String plug(HostedVm vm, Plug plug) {
    PluggedVm plugged = vm.plugged().orElseThrow();
    Optional<String> socket = plugged.vm().serving().qmp();
    if (socket.isEmpty()) {
      return "%s is at %s. Where %s runs, tell its QEMU in QMP, with a port that has nothing behind it:\n  %s"
          .formatted(
              plug.source().name(), plug.socket(), plugged.vm().name(), command(plugged, plug));
    }
    try (QmpConnection qmp = QmpConnection.to(Path.of(socket.get()), plugged.patience())) {
      Contents now = Contents.of(qmp);
      String port =
          now.ports().stream()
              .findFirst()
              .orElseThrow(
                  () ->
                      new RefusedException(
                          "%s: its QEMU has no free pcie-root-port: start it with one more"
                              .formatted(plugged.vm().name())));
      String id = id(plug);
      qmp.execute(
          "device_add", g -> QemuArguments.hotPlug(g, plug.socket(), id, port, plugged.patience()));
      return "%s is %s of %s, behind %s"
          .formatted(plug.source().name(), id, plugged.vm().name(), port);
    } catch (QmpConnection.RefusalException refused) {
      throw new RefusedException(plugged.vm().name() + ": " + refused.getMessage());
    } catch (IOException none) {
      return "%s is at %s, and %s gets it when it starts: its QEMU does not run, or does not answer at %s (%s)"
          .formatted(
              plug.source().name(),
              plug.socket(),
              plugged.vm().name(),
              socket.get(),
              OutputFile.reason(none));
    }
  }

  private static String command(PluggedVm vm, Plug plug) {
    return Json.line(
        g -> {
          Json.put(g, "execute", "device_add");
          g.writeObjectPropertyStart("arguments");
          QemuArguments.hotPlug(g, plug.socket(), id(plug), "PORT", vm.patience());
          g.writeEndObject();
        });
  }

  /**
   * Has a running VM let go of a device.
   *
   * @throws RefusedException if it does not, or cannot be asked, with what to do
   */
  void unplug(HostedVm vm, Plug plug) {
    PluggedVm plugged = vm.plugged().orElseThrow();
    String name = plugged.vm().name();
    Optional<String> socket = plugged.vm().serving().qmp();
    if (socket.isEmpty()) {
      throw new RefusedException(
          ("%s: process %d uses %s. Tell its QEMU to let go of it: in QMP %s, with the id that it"
                  + " has there; then ask again. 'qmp: PATH' in the VM's file has that done")
              .formatted(
                  name,
                  vm.user(plug).orElse(0),
                  plug.source().name(),
                  "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"vfio0\"}}"));
    }
    try (QmpConnection qmp = QmpConnection.to(Path.of(socket.get()), unplugging)) {
      String id =
          idOf(Contents.of(qmp), plug, vm.user(plug))
              .orElseThrow(
                  () ->
                      new RefusedException(
                          ("%s: it cannot be told which device of its QEMU is %s: have it unplugged"
                                  + " by device_del, then ask again")
                              .formatted(name, plug.source().name())));
      qmp.execute("device_del", g -> Json.put(g, "id", id));
      JsonNode event = qmp.event(e -> isOf(e, id), "DEVICE_DELETED");
      if (!event.path("event").asString("").equals("DEVICE_DELETED")) {
        throw new RefusedException(
            "%s: its guest keeps %s (%s)"
                .formatted(name, plug.source().name(), event.path("event").asString("")));
      }
      if (!vm.awaitNobody(plug, unplugging)) {
        throw new RefusedException(
            "%s: its QEMU has let go of %s, and is connected still"
                .formatted(name, plug.source().name()));
      }
    } catch (QmpConnection.RefusalException refused) {
      throw new RefusedException(name + ": " + refused.getMessage());
    } catch (IOException e) {
      throw new RefusedException(
          ("%s: it has not let go of %s: %s. A guest that has not booted, or has no driver for hot"
                  + " plug, keeps its devices; it may still let go of it later")
              .formatted(name, plug.source().name(), OutputFile.reason(e)));
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      throw new RefusedException(name + ": interrupted");
    }
  }

  private static boolean isOf(JsonNode event, String id) {
    String name = event.path("event").asString("");
    boolean ends = name.equals("DEVICE_DELETED") || name.startsWith("DEVICE_UNPLUG_GUEST_ERROR");
    return ends && event.path("data").path("device").asString("").equals(id);
  }
}
