// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The table of PCI devices that Proxmox' {@code pvesh} prints, and Markdown tables of that kind.
 */
final class PciTable implements TextForm {

  private static final Pattern RULE = Pattern.compile("[─━═┌┐└┘├┤┬┴┼╞╪╡╒╕╘╛+|=: -]+");

  private List<String> columns = List.of();

  @Override
  public boolean take(TextLine line, TextReading reading) {
    String text = line.bare();
    if (text.isEmpty() || "│|┌├╞└╘╒+".indexOf(text.charAt(0)) < 0) {
      columns = List.of();
      return false;
    }
    if (RULE.matcher(text).matches()) {
      return !columns.isEmpty() || text.startsWith("┌");
    }
    List<String> cells = cells(text);
    if (cells.contains("id") && cells.contains("iommugroup")) {
      columns = cells;
      return true;
    }
    return !columns.isEmpty() && row(cells, reading);
  }

  private static List<String> cells(String text) {
    List<String> cells = new ArrayList<>();
    for (String cell : text.substring(1).split("[│|]", -1)) {
      cells.add(cell.strip());
    }
    return cells;
  }

  private boolean row(List<String> cells, TextReading reading) {
    Map<String, String> row = new java.util.HashMap<>();
    for (int i = 0; i < Math.min(cells.size(), columns.size()); i++) {
      row.put(columns.get(i), cells.get(i));
    }
    return put(row, reading);
  }

  /** Takes what Proxmox says of one device; whether it has an address. */
  static boolean put(Map<String, String> row, TextReading reading) {
    Optional<PciAddress> address = PciAddress.tryParse(row.getOrDefault("id", ""));
    if (address.isEmpty()) {
      return false;
    }
    PciFunction.Builder function = reading.function(address.get());
    hex(row, "class", 6).ifPresent(c -> function.classCode(Optional.of(PciClass.parse(c))));
    Optional<String> vendor = hex(row, "vendor", 4);
    vendor
        .flatMap(v -> hex(row, "device", 4).map(d -> PciId.parse(v + ":" + d)))
        .ifPresent(id -> function.id(Optional.of(id)));
    String name = row.getOrDefault("device_name", "");
    if (!name.isEmpty()) {
      String maker = row.getOrDefault("vendor_name", "");
      function.description(Optional.of((maker + " " + name).strip()));
    }
    String group = row.getOrDefault("iommugroup", "");
    if (group.matches("[0-9]{1,9}")) {
      reading.member(Integer.parseInt(group), address.get().toString());
    } else if (group.equals("-1")) {
      function.group(Fact.none());
    }
    return true;
  }

  private static Optional<String> hex(Map<String, String> row, String column, int digits) {
    return Optional.of(row.getOrDefault(column, ""))
        .filter(v -> v.matches("0x[0-9a-fA-F]{" + digits + "}"))
        .map(v -> v.substring(2));
  }
}
