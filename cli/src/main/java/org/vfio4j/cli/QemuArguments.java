// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import tools.jackson.core.JsonGenerator;

/**
 * What plugs devices at sockets into QEMU 10.1 or newer. Memory is a file that QEMU shares: DMA of
 * devices outside of its process reaches no other.
 *
 * @param words the arguments, each option followed by its value
 */
record QemuArguments(List<String> words) {
  /** Copies the list. */
  QemuArguments {
    words = List.copyOf(words);
  }

  /** For one device of a VM of which nothing else is known. */
  static QemuArguments of(Path socket) {
    return new QemuArguments(
        List.of(
            "-machine",
            "q35,memory-backend=mem",
            "-object",
            "memory-backend-memfd,id=mem,size=1G,share=on",
            "-device",
            device(socket, Optional.empty(), Optional.empty())));
  }

  /**
   * For all devices of a VM, each behind a port of its own, so that it can be unplugged.
   *
   * @param memory bytes of RAM; pages are there from the start, since a device that pins them needs
   *     them all, and who puts them there first is who they are charged to
   * @param timeout how long QEMU is to wait for an answer
   * @param qmp where QEMU is to answer QMP; it gets ports then for devices that come later
   */
  static QemuArguments of(long memory, List<Path> sockets, Duration timeout, Optional<String> qmp) {
    List<String> words =
        new ArrayList<>(
            List.of(
                "-machine",
                "q35,memory-backend=mem",
                "-object",
                "memory-backend-memfd,id=mem,size=%s,share=on,prealloc=on"
                    .formatted(size(memory))));
    if (qmp.isPresent()) {
      words.add("-qmp");
      words.add("unix:%s,server=on,wait=off".formatted(qmp.get().replace(",", ",,")));
    }
    int ports = sockets.size() + (qmp.isPresent() ? SPARE : 0);
    for (int n = 0; n < ports; n++) {
      String id = "vfio" + n;
      String port = id + "-port";
      words.add("-device");
      words.add("pcie-root-port,id=%s,chassis=%d,slot=%d".formatted(port, FIRST + n, FIRST + n));
      if (n >= sockets.size()) {
        continue;
      }
      words.add("-device");
      words.add(device(sockets.get(n), Optional.of(new Place(id, port)), Optional.of(timeout)));
    }
    return new QemuArguments(words);
  }

  /** Ports for devices that come later. */
  private static final int SPARE = 4;

  /** Numbers of chassis and slots that a VM's own ports seldom have. */
  private static final int FIRST = 100;

  private static String size(long bytes) {
    return bytes % (1 << 20) == 0 ? (bytes >> 20) + "M" : bytes + "B";
  }

  /**
   * Where a device is in the VM.
   *
   * @param id by which {@code device_del} unplugs it
   * @param bus the port that it is behind
   */
  private record Place(String id, String bus) {}

  private static String device(Path socket, Optional<Place> place, Optional<Duration> timeout) {
    return Json.line(g -> device(g, socket, place, timeout));
  }

  private static void device(
      JsonGenerator g, Path socket, Optional<Place> place, Optional<Duration> timeout) {
    g.writeStringProperty("driver", "vfio-user-pci");
    Json.put(g, "id", place.map(Place::id));
    Json.put(g, "bus", place.map(Place::bus));
    timeout.ifPresent(t -> g.writeNumberProperty("x-msg-timeout", t.toMillis()));
    g.writeObjectPropertyStart("socket");
    g.writeStringProperty("path", socket.toString());
    g.writeStringProperty("type", "unix");
    g.writeEndObject();
  }

  /**
   * What a running QEMU is told, as the arguments of {@code device_add}.
   *
   * @param id by which it is unplugged
   * @param port what it is plugged into
   */
  static void hotPlug(JsonGenerator g, Path socket, String id, String port, Duration timeout) {
    device(g, socket, Optional.of(new Place(id, port)), Optional.of(timeout));
  }

  /** For a shell: an option and its value a line, the last without a line break. */
  String shell(String indent) {
    StringBuilder text = new StringBuilder();
    for (int n = 0; n < words.size(); n += 2) {
      text.append("%s%s %s".formatted(indent, words.get(n), quoted(words.get(n + 1))));
      text.append(n + 2 < words.size() ? " \\\n" : "");
    }
    return text.toString();
  }

  /** The devices for libvirt's domain XML, whose memory must be shared besides. */
  String libvirt() {
    StringBuilder text = new StringBuilder("  <qemu:commandline>\n");
    for (int n = 0; n < words.size(); n += 2) {
      if (words.get(n).equals("-device")) {
        text.append("    <qemu:arg value='-device'/>\n");
        text.append("    <qemu:arg value='%s'/>\n".formatted(escaped(words.get(n + 1))));
      }
    }
    return text.append("  </qemu:commandline>\n").toString();
  }

  private static String escaped(String word) {
    return word.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;");
  }

  private static String quoted(String word) {
    return word.matches("[\\w=,./-]+") ? word : "'" + word.replace("'", "'\\''") + "'";
  }

  /** As a property of an object. */
  void write(JsonGenerator g) {
    Json.put(g, "qemu", words);
  }
}
