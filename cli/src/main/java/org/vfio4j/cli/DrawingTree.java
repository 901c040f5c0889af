// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.vfio4j.host.HostGroup;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;

/** The rows of the drawing of a host: its buses, and below each bridge what it leads to. */
final class DrawingTree {

  private final HostTopology host;
  private final DeviceNotes notes;
  private final Map<PciAddress, List<PciFunction>> children = new HashMap<>();
  private final Map<PciAddress, List<Mdev>> mdevs = new HashMap<>();
  private final List<PciFunction> roots = new ArrayList<>();
  private final Set<PciAddress> drawn = new HashSet<>();
  private final List<DrawingRow> rows = new ArrayList<>();

  private DrawingTree(HostTopology host) {
    this.host = host;
    this.notes = new DeviceNotes(host);
    Map<String, PciAddress> bridges = bridgesByBus();
    for (PciFunction function : host.functions()) {
      parent(function, bridges)
          .ifPresentOrElse(
              p -> children.computeIfAbsent(p, k -> new ArrayList<>()).add(function),
              () -> roots.add(function));
    }
    for (Mdev mdev : host.mdevs()) {
      mdev.parentAddress()
          .ifPresent(p -> mdevs.computeIfAbsent(p, k -> new ArrayList<>()).add(mdev));
    }
  }

  /** The rows, from top to bottom. */
  static List<DrawingRow> rows(HostTopology host) {
    DrawingTree tree = new DrawingTree(host);
    tree.build();
    return tree.rows;
  }

  private static String bus(int domain, int bus) {
    return "%04x:%02x".formatted(domain, bus);
  }

  private Map<String, PciAddress> bridgesByBus() {
    Map<String, PciAddress> bridges = new HashMap<>();
    for (PciFunction f : host.functions()) {
      f.buses()
          .ifPresent(
              b -> bridges.putIfAbsent(bus(f.address().domain(), b.secondary()), f.address()));
    }
    return bridges;
  }

  /** The bridge above: as the source names it, else the one that leads to the function's bus. */
  private Optional<PciAddress> parent(PciFunction function, Map<String, PciAddress> bridges) {
    if (function.parent().isNone()) {
      return Optional.empty();
    }
    PciAddress own = function.address();
    return function
        .parent()
        .value()
        .or(() -> Optional.ofNullable(bridges.get(bus(own.domain(), own.bus()))))
        .filter(p -> !p.equals(own) && host.function(p).isPresent());
  }

  private void build() {
    Map<String, List<PciFunction>> buses =
        roots.stream()
            .collect(
                Collectors.groupingBy(
                    f -> bus(f.address().domain(), f.address().bus()),
                    TreeMap::new,
                    Collectors.toList()));
    buses.forEach(this::addBus);
    // What a bridge leads to that leads back to itself: drawn all the same, by itself.
    host.functions().stream()
        .filter(f -> !drawn.contains(f.address()))
        .forEach(f -> addBus(f.address().toString(), List.of(f)));
    addOthers();
  }

  private void addBus(String name, List<PciFunction> functions) {
    rows.add(DrawingRow.heading("bus " + name));
    addAll(functions, List.of());
  }

  private void addAll(List<PciFunction> functions, List<Boolean> rails) {
    for (int i = 0; i < functions.size(); i++) {
      add(functions.get(i), rails, i == functions.size() - 1);
    }
  }

  private void add(PciFunction function, List<Boolean> rails, boolean last) {
    if (!drawn.add(function.address())) {
      return;
    }
    rows.add(row(function, rails, last));
    List<Boolean> below = new ArrayList<>(rails);
    below.add(!last);
    List<PciFunction> next = new ArrayList<>(children.getOrDefault(function.address(), List.of()));
    next.sort(Comparator.comparing(PciFunction::address));
    List<Mdev> own = mdevs.getOrDefault(function.address(), List.of());
    for (int i = 0; i < own.size(); i++) {
      rows.add(row(own.get(i), below, next.isEmpty() && i == own.size() - 1));
    }
    addAll(next, below);
  }

  private DrawingRow row(PciFunction function, List<Boolean> rails, boolean last) {
    Holding holding = Holding.of(host, function);
    String driver = HostTable.driver(function);
    String duties =
        host.rolesOf(function.address()).stream().map(Words::of).collect(Collectors.joining(", "));
    List<String> all = new ArrayList<>();
    function.description().ifPresent(d -> all.add(Text.printable(d)));
    all.add("driver " + driver);
    all.addAll(notes.of(function));
    return new DrawingRow(
        rails.size() + 1,
        List.copyOf(rails),
        last,
        function.address().toString(),
        Words.classOf(function),
        function.id().map(Object::toString).orElse(""),
        duties.isEmpty() ? plain(driver, holding) : duties,
        Optional.of(holding),
        function.group().value(),
        String.join("; ", all));
  }

  private static String plain(String driver, Holding holding) {
    return switch (driver) {
      case "-" -> "";
      case "?" -> holding == Holding.BRIDGE ? "" : "driver not known";
      default -> driver;
    };
  }

  private static DrawingRow row(Mdev mdev, List<Boolean> rails, boolean last) {
    String uuid = mdev.uuid().toString();
    return new DrawingRow(
        rails.size() + 1,
        List.copyOf(rails),
        last,
        uuid.substring(0, 8) + "..",
        "mdev",
        Text.printable(mdev.type().orElse("")),
        Text.printable(mdev.driver().value().orElse("")),
        Optional.of(Holding.VFIO),
        mdev.group(),
        "mediated device " + uuid);
  }

  /** Members of groups that are no PCI functions. */
  private void addOthers() {
    record Other(String name, int group) {}
    List<Other> others = new ArrayList<>();
    for (HostGroup group : host.groups()) {
      group.otherMembers().forEach(o -> others.add(new Other(Text.printable(o), group.id())));
    }
    if (!others.isEmpty()) {
      rows.add(DrawingRow.heading("not on PCI"));
    }
    for (Other other : others) {
      rows.add(
          new DrawingRow(
              1,
              List.of(),
              other == others.getLast(),
              Text.cut(other.name(), 24),
              "",
              "",
              "driver not known",
              Optional.of(Holding.UNKNOWN),
              Optional.of(other.group()),
              other.name()));
    }
  }
}
