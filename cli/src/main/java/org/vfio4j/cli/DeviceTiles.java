// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.PciIds;
import org.vfio4j.host.Role;

/** Draws devices: a tile for a function, and a chip for what another one is divided into. */
final class DeviceTiles {

  /** Height of a tile. */
  static final double TILE = 54;

  /** Height of a chip. */
  static final double CHIP = 26;

  static final double GAP = 8;

  private static final double ICON = 24;
  private static final double TEXT = 52;
  private static final double PAD = 12;
  private static final double CHIP_WIDTH = 108;

  private static final double MDEV_WIDTH = 440;

  /** More virtual functions of one device than these are counted. */
  private static final int MOST_VIRTUAL = 64;

  private final Sketch sketch;
  private final HostTopology host;
  private final DeviceNotes notes;
  private final PciIds names;
  private final boolean driversUnknown;

  DeviceTiles(Sketch sketch, HostTopology host, PciIds names) {
    this.names = names;
    this.sketch = sketch;
    this.host = host;
    this.notes = new DeviceNotes(host);
    this.driversUnknown =
        host.functions().stream()
            .filter(f -> !f.isBridge().orElse(false))
            .allMatch(f -> f.driver().isUnknown());
  }

  /** Whether the source tells of no driver at all: then that is said once. */
  boolean driversUnknown() {
    return driversUnknown;
  }

  /** An address, without the domain where that is 0. */
  static String brief(PciAddress address) {
    String text = address.toString();
    return address.domain() == 0 ? text.substring(5) : text;
  }

  static String driver(PciFunction f) {
    return switch (HostTable.driver(f)) {
      case "-" -> "no driver";
      case "?" -> "driver not known";
      case String driver -> driver;
    };
  }

  /** What is known of a function, for who points at it. */
  String words(PciFunction f) {
    List<String> all = new ArrayList<>();
    all.add(f.address().toString());
    names.name(f).ifPresent(all::add);
    all.add(Words.classOf(f) + f.id().map(i -> " " + i).orElse(""));
    all.add(driver(f));
    all.add(group(f));
    all.addAll(notes.of(f));
    return String.join("; ", all);
  }

  static String group(PciFunction f) {
    return f.group()
        .value()
        .map(g -> "group " + g)
        .orElse(f.group().isNone() ? "no group" : "group ?");
  }

  /**
   * A function.
   *
   * @param colour of its bar and its icon
   * @param corner what stands in the upper right corner
   * @param more what stands behind address and driver
   */
  void tile(Area a, PciFunction f, Colour colour, String corner, String more) {
    tile(a, f, colour, corner, more, 0);
  }

  /** The same, with so much room left for what comes behind its second line. */
  void tile(Area a, PciFunction f, Colour colour, String corner, String more, double kept) {
    sketch.open(words(f));
    Colour edge = colour == Colour.UNKNOWN ? Colour.EDGE : colour;
    sketch.box(a, 8, Paint.solid(Colour.PANEL).edged(edge, 1));
    sketch.box(new Area(a.x() + 6, a.y() + 9, 4, a.height() - 18), 2, Paint.solid(colour));
    Icon icon = DeviceKind.of(f).icon();
    sketch.icon(icon, a.x() + 19, a.middle() - ICON / 2, ICON, colour);
    double left = a.x() + TEXT;
    double right = a.right() - PAD;
    double end = sketch.textEnding(right, a.y() + 22, right - left, Face.SMALL, Colour.DIM, corner);
    double room = end - left - (corner.isEmpty() ? 0 : 8);
    sketch.text(left, a.y() + 22, room, Face.NAME, Colour.INK, ProductName.of(f, names));
    double badges = badges(f, right, a.y() + 42);
    second(f, left, a.y() + 42, badges - 8 - kept, colour, more);
    sketch.close();
  }

  private void second(
      PciFunction f, double left, double y, double right, Colour colour, String more) {
    double x = sketch.text(left, y, right - left, Face.MONO, Colour.INK, brief(f.address())) + 9;
    if (!driversUnknown) {
      x = sketch.text(x, y, right - x, Face.BODY, colour, driver(f)) + 9;
    }
    if (!more.isEmpty()) {
      sketch.text(x, y, right - x, Face.SMALL, Colour.DIM, more);
    }
  }

  /** The duties of the function for the host, as signs with words; answers where they begin. */
  private double badges(PciFunction f, double right, double baseline) {
    double x = right;
    Set<Role> roles = host.rolesOf(f.address());
    for (Role role : roles) {
      String word = Words.of(role);
      double room = Face.STRONG.width(word);
      x = sketch.textEnding(x, baseline, room, Face.STRONG, Colour.KEPT, word) - 19;
      sketch.icon(icon(role), x, baseline - 12.5, 15, Colour.KEPT);
      x -= 8;
    }
    return roles.isEmpty() ? right + 8 : x + 8;
  }

  static Icon icon(Role role) {
    return switch (role) {
      case BOOT_DISK, STORAGE -> Icon.DISK;
      case MANAGEMENT_NETWORK, NETWORK -> Icon.NETWORK;
      case CONSOLE -> Icon.DISPLAY;
    };
  }

  /** Whether it has virtual functions or mediated devices, which are drawn below it. */
  boolean isDivided(PciFunction f) {
    return !host.virtualFunctions(f.address()).isEmpty() || !mdevs(f).isEmpty();
  }

  List<Mdev> mdevs(PciFunction f) {
    Optional<PciAddress> own = Optional.of(f.address());
    return host.mdevs().stream().filter(m -> m.parentAddress().equals(own)).toList();
  }

  /** What a function is divided into, from there downwards; answers where it ends. */
  double parts(double x, double y, double width, PciFunction f) {
    List<PciFunction> all = host.virtualFunctions(f.address());
    List<PciFunction> drawn = all.stream().limit(MOST_VIRTUAL).toList();
    int mark = sketch.mark();
    double left = x + TEXT;
    double top = y + 4;
    for (Mdev mdev : mdevs(f)) {
      mdev(left, top, Math.min(MDEV_WIDTH, x + width - left), mdev);
      top += CHIP + 5;
    }
    List<PciFunction> plain = new ArrayList<>();
    for (PciFunction virtual : drawn) {
      List<Mdev> own = mdevs(virtual);
      if (own.isEmpty()) {
        plain.add(virtual);
        continue;
      }
      virtual(left, top, virtual);
      for (Mdev mdev : own) {
        double at = left + CHIP_WIDTH;
        sketch.line(Paint.edge(Colour.VFIO, 1.5), "M%s %sH%s", at, top + CHIP / 2, at + 14);
        mdev(at + 14, top, Math.min(MDEV_WIDTH, x + width - at - 14), mdev);
        top += CHIP + 5;
      }
    }
    top = grid(left, top, x + width, plain);
    if (all.size() > drawn.size()) {
      String more = "and %d virtual functions more".formatted(all.size() - drawn.size());
      sketch.text(left, top + 14, x + width - left, Face.SMALL, Colour.DIM, more);
      top += 22;
    }
    // The rail by which they hang.
    sketch.below(mark, new Area(x + 29, y, 2, top - 5 - y), 1, Paint.solid(Colour.EDGE));
    return top;
  }

  private double grid(double left, double top, double right, List<PciFunction> plain) {
    double x = left;
    double y = top;
    for (PciFunction virtual : plain) {
      if (x > left && x + CHIP_WIDTH > right) {
        x = left;
        y += CHIP + 5;
      }
      virtual(x, y, virtual);
      x += CHIP_WIDTH + 5;
    }
    return plain.isEmpty() ? y : y + CHIP + 5;
  }

  private void virtual(double x, double y, PciFunction f) {
    Colour colour = Colour.of(Holding.of(host, f));
    Area a = new Area(x, y, CHIP_WIDTH, CHIP);
    sketch.open(words(f));
    sketch.box(a, 6, Paint.solid(Colour.PANEL).edged(colour, 1));
    double end = sketch.text(x + 8, y + 17, 60, Face.MONO, Colour.INK, brief(f.address()));
    String group = f.group().value().map(g -> "g" + g).orElse("");
    double room = a.right() - 14 - end;
    sketch.textEnding(a.right() - 8, y + 17, room, Face.SMALL, Colour.DIM, group);
    sketch.close();
  }

  private String defined(Mdev mdev) {
    return host.mdevDefinitions(mdev.uuid()).stream()
        .filter(d -> d.isActive(host))
        .map(d -> "defined, " + d.start().word())
        .findFirst()
        .orElse("");
  }

  /** A mediated device in one line. */
  void mdev(double x, double y, double room, Mdev mdev) {
    String uuid = mdev.uuid().toString();
    String type = mdev.type().orElse("");
    String group = mdev.group().map(g -> "group " + g).orElse("");
    List<String> all =
        List.of(
                "mediated device " + uuid,
                type,
                mdev.driver().value().orElse(""),
                group,
                defined(mdev))
            .stream()
            .filter(s -> !s.isBlank())
            .toList();
    chip(new Area(x, y, room, CHIP), Colour.VFIO, uuid.substring(0, 8) + "\u2026", all);
  }

  /** A chip with a name and what else there is to say. */
  void chip(Area a, Colour colour, String name, List<String> all) {
    sketch.open(String.join("; ", all));
    sketch.box(a, 6, Paint.solid(Colour.PANEL).edged(colour, 1));
    sketch.icon(Icon.MEDIATED, a.x() + 7, a.y() + 5, 16, colour);
    double right = a.right() - 8;
    double end =
        sketch.text(a.x() + 29, a.y() + 17, right - a.x() - 29, Face.MONO, Colour.INK, name) + 9;
    String rest = all.stream().skip(1).collect(Collectors.joining(" \u00b7 "));
    sketch.text(end, a.y() + 17, right - end, Face.SMALL, Colour.DIM, rest);
    sketch.close();
  }
}
