// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.vfio4j.assign.DeviceRefusal;
import org.vfio4j.assign.DeviceVerdict;
import org.vfio4j.assign.Mode;
import org.vfio4j.assign.RefusalCode;
import org.vfio4j.error.Reason;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.PciIds;

/** Draws the devices that are asked for, in the frames of their groups. */
final class AskedGroups {

  private static final double PAD = 12;
  private static final double GAP = 12;
  private static final double FLAG = 104;
  private static final RefusalCode NOT_VIABLE = new RefusalCode.Engine(Reason.GROUP_NOT_VIABLE);

  private final Sketch sketch;
  private final HostTopology host;
  private final DeviceTiles tiles;
  private final Fold fold;
  private final double left;
  private final double right;
  private final List<Wish> wishes;

  /** The groups in the order in which they are asked for, by number or address. */
  private final Map<String, Asked> asked = new LinkedHashMap<>();

  /** Where what is asked for stands. */
  private final Map<String, Area> places = new HashMap<>();

  /** A group and those of its members that are drawn. */
  private record Asked(Optional<Integer> group, Set<PciFunction> functions, List<Wish> wishes) {}

  AskedGroups(
      Sketch sketch,
      HostTopology host,
      PciIds names,
      double left,
      double right,
      List<Wish> wishes) {
    this.sketch = sketch;
    this.host = host;
    this.tiles = new DeviceTiles(sketch, host, names);
    this.fold = Fold.plain(sketch, host);
    this.left = left;
    this.right = right;
    this.wishes = wishes;
    wishes.forEach(this::collect);
    wishes.stream().filter(Wish::refused).forEach(w -> blockers(w).forEach(this::add));
  }

  /** The function that something asked for is, or is made of; empty where the host has none. */
  private Optional<PciFunction> function(String device) {
    return PciAddress.tryParse(device)
        .or(() -> mdev(device).flatMap(Mdev::parentAddress))
        .or(() -> definedOn(device))
        .flatMap(host::function);
  }

  private Optional<Mdev> mdev(String device) {
    return Mdev.parseUuid(device).flatMap(host::mdev);
  }

  /** The parent of a mediated device that is not there yet. */
  private Optional<PciAddress> definedOn(String device) {
    return Mdev.parseUuid(device).map(host::mdevDefinitions).orElse(List.of()).stream()
        .flatMap(d -> d.parentAddress().stream())
        .findFirst();
  }

  private void collect(Wish wish) {
    Optional<PciFunction> function = function(wish.device());
    if (function.isPresent()) {
      add(function.get()).wishes.add(wish);
    } else {
      asked
          .computeIfAbsent(
              wish.device(),
              k -> new Asked(Optional.empty(), new LinkedHashSet<>(), new ArrayList<>()))
          .wishes
          .add(wish);
    }
  }

  private Asked add(PciFunction f) {
    Optional<Integer> group = f.group().value();
    Asked in =
        asked.computeIfAbsent(
            group.map(String::valueOf).orElse(f.address().toString()),
            k -> new Asked(group, new LinkedHashSet<>(), new ArrayList<>()));
    in.functions.add(f);
    return in;
  }

  /** What stands in the way of a refused device: what its holder has, or what the host has. */
  List<PciFunction> blockers(Wish wish) {
    Optional<DeviceRefusal> refusal = wish.verdict().flatMap(DeviceVerdict::refusal);
    Optional<PciFunction> own = function(wish.device());
    if (refusal.isEmpty() || own.isEmpty()) {
      return List.of();
    }
    Optional<DeviceRefusal.HolderVm> holder = refusal.get().holder();
    if (holder.isPresent()) {
      return holder.get().devices().stream()
          .flatMap(d -> function(d).stream())
          .filter(f -> !f.equals(own.get()))
          .toList();
    }
    boolean viability = refusal.get().code().equals(NOT_VIABLE);
    return own.get().group().value().filter(g -> viability).stream()
        .flatMap(g -> host.members(g).stream())
        .filter(f -> !f.equals(own.get()) && stands(f))
        .toList();
  }

  private boolean stands(PciFunction f) {
    Holding holding = Holding.of(host, f);
    boolean wanted =
        wishes.stream().anyMatch(w -> w.device().equals(f.address().toString()) && !w.refused());
    return !wanted && (holding == Holding.HOST || holding == Holding.KEPT);
  }

  /** Where this stands; empty where it is not drawn. */
  Optional<Area> place(Wish wish) {
    Optional<Area> chip = Optional.ofNullable(places.get(wish.device() + wish.vm()));
    return chip.filter(c -> wish.mediated())
        .or(() -> Optional.ofNullable(places.get(wish.device())));
  }

  Optional<Area> place(PciFunction f) {
    return Optional.ofNullable(places.get(f.address().toString()));
  }

  /** Functions of groups of which nothing is drawn. */
  List<PciFunction> rest() {
    Set<PciFunction> drawn = new HashSet<>();
    for (Asked in : asked.values()) {
      drawn.addAll(in.functions);
      in.group.ifPresent(g -> drawn.addAll(host.members(g)));
    }
    return host.functions().stream().filter(f -> !drawn.contains(f)).toList();
  }

  /** Draws from there downwards; answers where that ends. */
  double draw(double top) {
    double y = top;
    for (Asked in : asked.values()) {
      double wanted = in.wishes.stream().mapToDouble(Wish::y).min().orElse(0) - DeviceTiles.TILE;
      y = Math.max(y, wanted);
      y = in.functions.isEmpty() ? absent(in.wishes.getFirst(), y) : draw(in, y);
    }
    return y - GAP;
  }

  private double absent(Wish wish, double y) {
    Area a = new Area(left, y, right - left, 40);
    sketch.box(a, 8, Paint.edge(Colour.EDGE, 1.5).inDashes());
    String text = VmCards.brief(wish.device()) + ": not on this host";
    sketch.text(left + 16, y + 25, right - left - 28, Face.BODY, Colour.DIM, text);
    places.put(wish.device(), a);
    return y + 40 + GAP;
  }

  private double draw(Asked in, double top) {
    List<PciFunction> members = in.group.map(host::members).orElse(List.copyOf(in.functions));
    List<PciFunction> endpoints =
        members.stream().filter(f -> !f.isBridge().orElse(false)).toList();
    boolean framed = endpoints.size() > 1;
    if (!framed) {
      double y = top;
      for (PciFunction f : in.functions) {
        y = device(in, f, left, y, right, true);
      }
      return y + GAP - DeviceTiles.GAP;
    }
    int mark = sketch.mark();
    String title = in.group.map(g -> "group " + g).orElse("no group");
    double x = sketch.text(left + PAD, top + 24, right - left - PAD, Face.HEAD, Colour.INK, title);
    String goes = "goes to one owner, whole";
    sketch.textEnding(right - PAD, top + 24, right - PAD - x - 10, Face.SMALL, Colour.DIM, goes);
    double y = top + 36;
    for (PciFunction f : in.functions.stream().sorted(ORDER).toList()) {
      y = device(in, f, left + PAD, y, right - PAD, false);
    }
    List<PciFunction> others = members.stream().filter(f -> !in.functions.contains(f)).toList();
    y = fold.draw(left + PAD, y, right - left - 2 * PAD, " more", others);
    Area area = new Area(left, top, right - left, y + (others.isEmpty() ? 4 : 7) - top);
    sketch.below(mark, area, 12, Paint.tint(Colour.DIM).edged(Colour.EDGE, 2));
    return area.bottom() + GAP;
  }

  private static final Comparator<PciFunction> ORDER = Comparator.comparing(PciFunction::address);

  private double device(Asked in, PciFunction f, double x, double y, double end, boolean alone) {
    String address = f.address().toString();
    List<Wish> whole =
        in.wishes.stream().filter(w -> w.device().equals(address) && !w.mediated()).toList();
    List<Wish> mediated =
        in.wishes.stream()
            .filter(Wish::mediated)
            .filter(w -> function(w.device()).filter(f::equals).isPresent())
            .toList();
    List<Wish> having = whole.stream().filter(w -> !w.refused()).toList();
    boolean blocks = wishes.stream().filter(Wish::refused).anyMatch(w -> blockers(w).contains(f));
    Colour colour =
        having.isEmpty()
            ? blocks || !whole.isEmpty() ? Colour.KEPT : Colour.UNKNOWN
            : having.getFirst().colour();
    Area a = new Area(x, y, end - x, DeviceTiles.TILE);
    String corner = alone ? DeviceTiles.group(f) : "";
    boolean duties = !host.rolesOf(f.address()).isEmpty();
    tiles.tile(a, f, colour, corner, virtual(f), having.isEmpty() || duties ? 0 : FLAG);
    if (!having.isEmpty() && !duties) {
      flag(having, a);
    }
    places.put(address, a);
    double below = a.bottom() + 4;
    for (Wish wish : mediated) {
      below = mediated(wish, f, x + 24, below, end);
    }
    return mediated.isEmpty() ? a.bottom() + DeviceTiles.GAP : below + DeviceTiles.GAP - 5;
  }

  private static String virtual(PciFunction f) {
    return f.physicalFunction().value().map(p -> "VF of " + DeviceTiles.brief(p)).orElse("");
  }

  /** Who has it. */
  private void flag(List<Wish> having, Area a) {
    Wish first = having.getFirst();
    String more = having.size() > 1 ? " +" + (having.size() - 1) : "";
    double start =
        sketch.textEnding(
            a.right() - PAD, a.y() + 42, FLAG - 22, Face.STRONG, first.colour(), first.vm() + more);
    sketch.icon(Icon.VM, start - 19, a.y() + 30, 15, first.colour());
  }

  /** A mediated device that is there, or that is to be made, below the function it is of. */
  private double mediated(Wish wish, PciFunction f, double x, double y, double end) {
    DeviceVerdict verdict = wish.verdict().orElseThrow();
    Mode mode = verdict.request().mode();
    List<String> all = new ArrayList<>();
    String name = mode == Mode.MDEV ? VmCards.brief(wish.device()) : "mdev";
    all.add("mediated device " + wish.device());
    mdev(wish.device()).flatMap(Mdev::type).ifPresent(all::add);
    all.add(
        switch (mode) {
          case WHOLE, MDEV -> "";
          case WRAPPED -> "wraps " + DeviceTiles.brief(f.address());
          case AUX -> "on an aux domain";
          case EMULATED -> "to be made";
        });
    verdict.group().ifPresent(g -> all.add("group " + g));
    all.removeIf(String::isBlank);
    all.add(wish.vm());
    Colour colour = wish.refused() ? Colour.KEPT : wish.colour();
    Area a = new Area(x, y, end - x, DeviceTiles.CHIP);
    sketch.line(Paint.edge(Colour.EDGE, 1.5), "M%s %sV%sH%s", x - 10, y - 4, a.middle(), x);
    tiles.chip(a, colour, name, all);
    places.put(wish.device() + wish.vm(), a);
    return a.bottom() + 5;
  }
}
