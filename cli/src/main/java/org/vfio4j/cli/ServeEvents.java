// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.file.Path;
import java.util.Optional;
import org.vfio4j.user.Server;

/** What {@code vfio serve} prints while it runs. */
final class ServeEvents {
  private final EventLines lines;
  private final String device;

  ServeEvents(Console console, boolean json, String device) {
    lines = new EventLines(console, json);
    this.device = device;
  }

  /** Who comes and leaves. */
  Server.Events clients() {
    return new ClientEvents(lines, Optional.empty(), device);
  }

  /** The device can be plugged in. */
  void serving(String identity, Path path) {
    QemuArguments arguments = QemuArguments.of(path);
    lines.event(
        "serving",
        g -> {
          Json.put(g, "device", device);
          Json.put(g, "identity", identity);
          Json.put(g, "socket", path.toString());
          arguments.write(g);
        },
        () ->
            "Serving %s (%s) at %s\n".formatted(device, identity, Text.printable(path.toString()))
                + "Give QEMU, with the size that the VM is to have:\n"
                + arguments.shell("  ")
                + "\nCtrl-C ends it.");
  }
}
