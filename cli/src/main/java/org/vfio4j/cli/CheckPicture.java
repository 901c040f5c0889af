// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.vfio4j.assign.DeviceVerdict;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.Verdict;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.PciIds;

/**
 * Lays a verdict out: the VMs at the left, at the right the devices they ask for in the frames of
 * their groups, lines between who gets what, and broken ones to what stands in the way.
 */
final class CheckPicture {

  private static final double LEFT = HostPicture.MARGIN;
  private static final double VMS = LEFT + 300;
  private static final double DEVICES = VMS + 84;
  private static final double GUTTER = 32;
  private static final double RIGHT = HostPicture.RIGHT;

  private final Verdict verdict;
  private final Request request;
  private final HostTopology host;
  private final PciIds names;
  private final Sketch sketch = new Sketch();

  private CheckPicture(Verdict verdict, Request request, HostTopology host, PciIds names) {
    this.names = names;
    this.verdict = verdict;
    this.request = request;
    this.host = host;
  }

  /**
   * The picture of a verdict on a request.
   *
   * @param names what devices are called that the host's source does not name
   */
  static Picture of(Verdict verdict, Request request, HostTopology host, PciIds names) {
    return new CheckPicture(verdict, request, host, names).lay();
  }

  private Picture lay() {
    double top = header();
    VmCards cards = new VmCards(sketch, LEFT, VMS);
    double bottom = cards.draw(top, verdict, request);
    AskedGroups groups =
        new AskedGroups(sketch, host, names, DEVICES, RIGHT - GUTTER, cards.wishes());
    bottom = Math.max(bottom, groups.draw(top));
    connect(cards.wishes(), groups);
    block(cards.wishes(), groups);
    double y = rest(groups.rest(), bottom + 34);
    return sketch.finish(
        HostPicture.WIDTH,
        y + HostPicture.MARGIN - 8,
        summary() + " on " + host.name(),
        "Which VM gets which device of "
            + host.name()
            + ", answered as Linux "
            + verdict.kernel()
            + ".");
  }

  private String summary() {
    long devices = verdict.devices().count();
    long refused = verdict.devices().filter(DeviceVerdict::refused).count();
    String all =
        "%s for %s"
            .formatted(Text.count(devices, "device"), Text.count(verdict.vms().size(), "VM"));
    if (verdict.admitted()) {
      return "Admitted: " + all;
    }
    return refused > 0 ? "Refused: %d of %s".formatted(refused, all) : "Refused as strict: " + all;
  }

  private double header() {
    double room = RIGHT - LEFT;
    Icon icon = verdict.admitted() ? Icon.TICK : Icon.CROSS;
    sketch.icon(icon, LEFT, 24, 26, verdict.admitted() ? Colour.VFIO : Colour.KEPT);
    sketch.text(LEFT + 38, 46, room - 38, Face.TITLE, Colour.INK, summary());
    List<String> facts = new ArrayList<>();
    facts.add("on " + host.name());
    facts.add("answered as Linux " + verdict.kernel());
    if (!request.running().isEmpty()) {
      facts.add("beside " + Text.count(request.running().size(), "running VM"));
    }
    if (!verdict.beyond().isEmpty()) {
      facts.add(Text.count(verdict.beyond().size(), "thing") + " no Linux does");
    }
    if (!verdict.warnings().isEmpty()) {
      facts.add(Text.count(verdict.warnings().size(), "warning"));
    }
    if (!verdict.assumed().isEmpty()) {
      facts.add(Text.count(verdict.assumed().size(), "fact") + " assumed");
    }
    String text = String.join("  \u00b7  ", facts);
    return sketch.lines(LEFT, 72, room, 2, Face.BODY, Colour.DIM, text) + 6;
  }

  /** Lines from the VMs to what they get, or do not get. */
  private void connect(List<Wish> wishes, AskedGroups groups) {
    Map<Area, Integer> ends = new HashMap<>();
    for (Wish wish : wishes) {
      Optional<Area> place = groups.place(wish);
      if (place.isEmpty()) {
        continue;
      }
      Area to = place.get();
      int before = ends.merge(to, 1, Integer::sum) - 1;
      double spread = to.height() > 40 ? 9 : 6;
      double y = to.middle() + (before % 2 == 0 ? 1 : -1) * ((before + 1) / 2) % 3 * spread;
      double middle = VMS + (DEVICES - VMS) / 2;
      Colour colour = wish.refused() ? Colour.KEPT : wish.colour();
      Paint paint = Paint.edge(colour, 2);
      double end = wish.refused() ? to.x() - 15 : to.x();
      double bend = DEVICES - 18;
      sketch.line(
          wish.refused() ? paint.inDashes() : paint,
          "M%s %sC%s %s %s %s %s %sH%s",
          VMS,
          wish.y(),
          middle,
          wish.y(),
          middle - 10,
          y,
          bend,
          y,
          Math.max(bend, end));
      if (wish.refused()) {
        sketch.icon(Icon.CROSS, to.x() - 15, y - 6, 12, Colour.KEPT);
      } else {
        sketch.box(new Area(to.x() - 4, y - 4, 8, 8), 4, Paint.solid(colour));
      }
    }
  }

  /** Lines at the right, from what is refused to what stands in the way. */
  private void block(List<Wish> wishes, AskedGroups groups) {
    int lane = 0;
    for (Wish wish : wishes) {
      Optional<Area> from = groups.place(wish);
      if (!wish.refused() || from.isEmpty()) {
        continue;
      }
      for (PciFunction f : groups.blockers(wish)) {
        Optional<Area> to = groups.place(f);
        if (to.isEmpty()) {
          continue;
        }
        double x = RIGHT - GUTTER + 8 + lane % 4 * 6;
        sketch.line(
            Paint.edge(Colour.KEPT, 1.5).inDashes(),
            "M%s %sH%sV%sH%s",
            from.get().right(),
            from.get().middle(),
            x,
            to.get().middle(),
            to.get().right() + 6);
        sketch.line(
            Paint.edge(Colour.KEPT, 1.5),
            "M%s %sL%s %sL%s %s",
            to.get().right() + 7,
            to.get().middle() - 5,
            to.get().right() + 1,
            to.get().middle(),
            to.get().right() + 7,
            to.get().middle() + 5);
        lane++;
      }
    }
  }

  /** What nobody asks for, a line for each bus. */
  private double rest(List<PciFunction> functions, double top) {
    if (functions.isEmpty()) {
      return top - 10;
    }
    sketch.text(LEFT, top, RIGHT - LEFT, Face.HEAD, Colour.DIM, "not asked for");
    double right = LEFT + Face.HEAD.width("not asked for") + 8;
    sketch.line(Paint.edge(Colour.EDGE, 1), "M%s %sH%s", right, top - 5, RIGHT);
    BridgeTree tree = new BridgeTree(host);
    Map<String, List<PciFunction>> buses = new TreeMap<>();
    for (PciFunction f : functions) {
      PciAddress root = tree.root(f);
      String bus = "%04x:%02x".formatted(root.domain(), root.bus());
      buses.computeIfAbsent(bus, k -> new ArrayList<>()).add(f);
    }
    Fold fold = Fold.plain(sketch, host);
    double y = top + 12;
    for (Map.Entry<String, List<PciFunction>> e : buses.entrySet()) {
      String name = "bus " + e.getKey().replaceFirst("^0000:", "");
      y = fold.bus(name, y, "", e.getValue());
    }
    return y + 8;
  }
}
