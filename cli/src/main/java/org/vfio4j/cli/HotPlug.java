// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import tools.jackson.databind.JsonNode;

/**
 * Plugs devices into VMs that run, and out of them: by QMP where the VM's file says where its QEMU
 * answers, else by saying what to type.
 */
final class HotPlug {
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

  /** What QEMU has that was given an id. */
  private record Contents(
      Set<String> ids, Set<String> freePorts, Map<String, String> deviceBySocket) {
    static Contents of(QmpConnection qmp) throws IOException {
      Map<String, String> types = new TreeMap<>();
      qmp.execute("qom-list", g -> Json.put(g, "path", PERIPHERAL))
          .valueStream()
          .forEach(n -> types.put(n.path("name").asString(""), n.path("type").asString("")));
      Set<String> free = new TreeSet<>();
      Set<String> used = new HashSet<>();
      Map<String, String> devices = new HashMap<>();
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
          devices.put(get(qmp, id, "socket").path("path").asString(""), id);
        }
      }
      free.removeAll(used);
      return new Contents(types.keySet(), free, devices);
    }

    private static JsonNode get(QmpConnection qmp, String id, String property) throws IOException {
      return qmp.execute(
          "qom-get",
          g -> {
            Json.put(g, "path", PERIPHERAL + "/" + id);
            Json.put(g, "property", property);
          });
    }

    /** One that nothing has. */
    String freeId() {
      int n = 0;
      while (ids.contains("vfio" + n)) {
        n++;
      }
      return "vfio" + n;
    }
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
              plug.source().name(),
              plug.socket(),
              plugged.vm().name(),
              command(plugged, plug, "vfio" + plugged.plugs().size(), "PORT"));
    }
    try (QmpConnection qmp = QmpConnection.to(Path.of(socket.get()), plugged.patience())) {
      Contents now = Contents.of(qmp);
      String port =
          now.freePorts().stream()
              .findFirst()
              .orElseThrow(
                  () ->
                      new RefusedException(
                          "%s: its QEMU has no free pcie-root-port: start it with one more"
                              .formatted(plugged.vm().name())));
      String id = now.freeId();
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

  private static String command(PluggedVm vm, Plug plug, String id, String port) {
    return Json.line(
        g -> {
          Json.put(g, "execute", "device_add");
          g.writeObjectPropertyStart("arguments");
          QemuArguments.hotPlug(g, plug.socket(), id, port, vm.patience());
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
      String id = Contents.of(qmp).deviceBySocket().get(plug.socket().toString());
      if (id == null) {
        throw new RefusedException(
            "%s: its QEMU at %s has no device from %s"
                .formatted(name, socket.get(), plug.socket()));
      }
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
