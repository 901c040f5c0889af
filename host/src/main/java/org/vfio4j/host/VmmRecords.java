// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The records that {@code lspci -vmm} prints for programs, with names or numbers or both. */
final class VmmRecords implements TextForm {

  private static final Set<String> KEYS =
      Set.of(
          "Slot",
          "Class",
          "Vendor",
          "Device",
          "SVendor",
          "SDevice",
          "PhySlot",
          "Rev",
          "ProgIf",
          "Driver",
          "Module",
          "NUMANode",
          "DTNode",
          "IOMMUGroup");
  private static final Pattern FIELD = Pattern.compile("([A-Z][A-Za-z]{2,10}):\\s+(.*)");
  private static final Pattern NUMBER = Pattern.compile("(?:.*\\[)?([0-9a-f]{4})\\]?");

  private final Map<String, String> fields = new HashMap<>();
  private final List<PciAddress> driverless = new ArrayList<>();
  private boolean drivers;
  private boolean headless;

  @Override
  public boolean take(TextLine line, TextReading reading) {
    Matcher m = FIELD.matcher(line.bare());
    boolean field = m.matches() && KEYS.contains(m.group(1));
    boolean begins =
        field
            && (m.group(1).equals("Slot") || m.group(1).equals("Device"))
            && PciAddress.tryParse(m.group(2)).isPresent();
    if (line.isEmpty() || begins) {
      flush(reading);
      headless = false;
    }
    if (!field || fields.isEmpty() && !begins) {
      return orphan(line, field, m, reading);
    }
    String key = begins ? "Slot" : m.group(1);
    String before = fields.putIfAbsent(key, m.group(2));
    if (before != null && !before.equals(m.group(2)) && !key.equals("Module")) {
      flush(reading);
      headless = true;
      reading.lost(line, Loss.Reason.NO_HEAD);
    }
    return true;
  }

  /** A field of a record whose first line is missing: told where it says a driver or a group. */
  private boolean orphan(TextLine line, boolean field, Matcher m, TextReading reading) {
    headless |= field && m.group(1).equals("IOMMUGroup");
    boolean told = field && (headless || m.group(1).equals("Driver"));
    if (told) {
      reading.lost(line, Loss.Reason.NO_HEAD);
    }
    return told;
  }

  @Override
  public void end(TextReading reading) {
    flush(reading);
    if (drivers) {
      for (PciAddress address : driverless) {
        PciFunction.Builder function = reading.function(address);
        if (function.build().driver().isUnknown()) {
          function.driver(Fact.none());
        }
      }
    }
  }

  private void flush(TextReading reading) {
    PciAddress.tryParse(fields.getOrDefault("Slot", ""))
        .ifPresent(a -> put(reading.function(a), a, reading));
    fields.clear();
  }

  private void put(PciFunction.Builder function, PciAddress address, TextReading reading) {
    String named = fields.getOrDefault("Class", "");
    number("Class")
        .map(c -> PciClass.parse(c + progIf()))
        .or(() -> PciClassNames.classOf(named))
        .ifPresent(c -> function.classCode(Optional.of(c)));
    id("Vendor", "Device").ifPresent(i -> function.id(Optional.of(i)));
    id("SVendor", "SDevice").ifPresent(i -> function.subsystem(Optional.of(i)));
    String name = (name("Vendor") + " " + name("Device")).strip();
    if (!name.isEmpty()) {
      function.description(Optional.of(name));
    }
    drivers |= fields.containsKey("Driver") || fields.containsKey("Module");
    if (fields.containsKey("Driver")) {
      function.driver(Fact.known(fields.getOrDefault("Driver", "")));
    } else {
      driverless.add(address);
    }
    String group = fields.getOrDefault("IOMMUGroup", "");
    if (group.matches("[0-9]{1,9}")) {
      reading.member(Integer.parseInt(group), address.toString());
    }
    String node = fields.getOrDefault("NUMANode", "");
    if (node.matches("[0-9]{1,5}")) {
      function.numaNode(Fact.known(Integer.parseInt(node)));
    }
  }

  private String progIf() {
    String code = fields.getOrDefault("ProgIf", "");
    return code.matches("[0-9a-f]{2}") ? code : "";
  }

  private Optional<String> number(String key) {
    Matcher m = NUMBER.matcher(fields.getOrDefault(key, ""));
    return m.matches() ? Optional.of(m.group(1)) : Optional.empty();
  }

  private String name(String key) {
    String value = fields.getOrDefault(key, "");
    return value.matches("[0-9a-f]{4}") ? "" : value.replaceFirst(" ?\\[[0-9a-f]{4}\\]$", "");
  }

  private Optional<PciId> id(String vendor, String device) {
    return number(vendor).flatMap(v -> number(device).map(d -> PciId.parse(v + ":" + d)));
  }
}
