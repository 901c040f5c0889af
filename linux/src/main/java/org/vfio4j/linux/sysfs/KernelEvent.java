// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.sysfs;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** What the kernel says of a PCI function by itself: its uevents, of which these are some. */
public sealed interface KernelEvent {
  /** The PCI address of the function. */
  String address();

  /** It is not there any more. */
  record Removed(String address) implements KernelEvent {}

  /** An error was reported for it, or for a port above it, and how the kernel is getting on. */
  record Recovering(String address, Recovery recovery) implements KernelEvent {}

  /** How far the kernel is with an error: {@code pci_uevent_ers}. */
  enum Recovery {
    /** Its driver was told. */
    BEGUN,
    /** All drivers have what they need. */
    DONE,
    /** The function is given up. */
    FAILED
  }

  /**
   * What a message says: {@code ACTION@PATH}, then {@code KEY=VALUE}, each ended by a zero byte.
   *
   * @return empty for what is none of these, and for what is not the kernel's form
   */
  static Optional<KernelEvent> of(byte[] message) {
    String[] lines = new String(message, StandardCharsets.UTF_8).split("\0", -1);
    Map<String, String> fields = new HashMap<>();
    for (String line : lines) {
      int equals = line.indexOf('=');
      if (equals > 0) {
        fields.putIfAbsent(line.substring(0, equals), line.substring(equals + 1));
      }
    }
    String path = fields.getOrDefault("DEVPATH", "");
    String address = path.substring(path.lastIndexOf('/') + 1);
    if (!"pci".equals(fields.get("SUBSYSTEM")) || address.isEmpty()) {
      return Optional.empty();
    }
    return switch (fields.getOrDefault("ACTION", "")) {
      case "remove" -> Optional.of(new Removed(address));
      case "change" ->
          recovery(fields.getOrDefault("ERROR_EVENT", "")).map(r -> new Recovering(address, r));
      default -> Optional.empty();
    };
  }

  private static Optional<Recovery> recovery(String event) {
    return switch (event) {
      case "BEGIN_RECOVERY" -> Optional.of(Recovery.BEGUN);
      case "SUCCESSFUL_RECOVERY" -> Optional.of(Recovery.DONE);
      case "FAILED_RECOVERY" -> Optional.of(Recovery.FAILED);
      default -> Optional.empty();
    };
  }
}
