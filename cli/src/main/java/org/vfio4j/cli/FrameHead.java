// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.vfio4j.host.Acs;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.PcieType;

/** Draws what stands above the members of a group: its number, who holds it, what makes it. */
final class FrameHead {

  private final Sketch sketch;
  private final BridgeTree bridges;

  FrameHead(Sketch sketch, BridgeTree bridges) {
    this.sketch = sketch;
    this.bridges = bridges;
  }

  /** Draws it, its first base line at this height; answers where it ends. */
  double draw(GroupNode node, String holder, Colour colour, double left, double y, double right) {
    String title = node.group().map(g -> "group " + g).orElse("no group");
    double x = sketch.text(left, y, right - left, Face.HEAD, colour, title) + 12;
    String behind = node.via().isEmpty() ? "" : ", behind " + list(node.via());
    String goes = node.endpoints() > 1 ? "goes to one owner, whole" + behind : via(node);
    double end = sketch.textEnding(right, y, (right - x) * 0.6, Face.BODY, colour, holder);
    sketch.text(x, y, end - x - 12, Face.BODY, Colour.INK, goes);
    return joining(node, left, y + 12, right);
  }

  /** The bridges that lead to a group of one device, or are in it. */
  static String via(GroupNode node) {
    String behind = node.via().isEmpty() ? "" : "behind " + list(node.via());
    String with = node.bridges().isEmpty() ? "" : "with " + list(node.bridges());
    return (behind + " " + with).strip();
  }

  /** The group and all its bridges, for who points at it. */
  static String words(GroupNode node) {
    String all =
        Stream.of(node.via(), node.bridges())
            .flatMap(List::stream)
            .map(f -> f.address().toString())
            .collect(Collectors.joining(" "));
    return node.group().map(g -> "group " + g).orElse("no group")
        + (all.isEmpty() ? "" : ", bridges " + all);
  }

  /** The bridges that lead to several groups, the uppermost first. */
  static String ports(GroupNode node) {
    return (list(node.via()) + " " + list(node.bridges())).strip();
  }

  /** Addresses, one after the other. */
  static String list(List<PciFunction> functions) {
    return functions.stream()
        .map(f -> DeviceTiles.brief(f.address()))
        .collect(Collectors.joining(" "));
  }

  /** Why the group has several members: the bridge that does not keep them apart. */
  private double joining(GroupNode node, double left, double top, double right) {
    List<PciFunction> ports = node.bridges();
    double y = top;
    Optional<PciFunction> joins = ports.stream().filter(b -> leadsToOwn(b, node)).findFirst();
    if (joins.isPresent()) {
      PciFunction bridge = joins.get();
      sketch.icon(Icon.OPEN_SHIELD, left, y - 1, 17, Colour.KEPT);
      String text = why(bridge) + buses(node);
      double x = left + 24;
      x =
          sketch.text(
                  x, y + 12, right - x, Face.MONO, Colour.INK, DeviceTiles.brief(bridge.address()))
              + 8;
      sketch.text(x, y + 12, right - x, Face.BODY, Colour.INK, text);
      y += 22;
    } else if (ports.isEmpty() && node.endpoints() > 1 && oneDevice(node)) {
      boolean known = node.shown().stream().allMatch(f -> f.acs().isNone());
      String text =
          known ? "functions of one device without ACS between them" : "functions of one device";
      sketch.text(left, y + 12, right - left, Face.SMALL, Colour.DIM, text);
      y += 20;
    } else if (!buses(node).isEmpty()) {
      sketch.text(left, y + 12, right - left, Face.SMALL, Colour.DIM, "one group" + buses(node));
      y += 20;
    }
    List<PciFunction> rest = ports.stream().filter(b -> joins.filter(b::equals).isEmpty()).toList();
    if (!rest.isEmpty()) {
      String name = rest.size() == 1 ? "with bridge" : "with bridges";
      double x = sketch.text(left, y + 12, right - left, Face.SMALL, Colour.DIM, name) + 8;
      double indent = x - left;
      y = sketch.lines(x, y + 12, right - left - indent, 6, Face.MONO, Colour.DIM, list(rest)) - 6;
    }
    return y + 4;
  }

  private boolean leadsToOwn(PciFunction bridge, GroupNode node) {
    return Stream.of(node.bridges(), node.shown(), node.folded())
        .flatMap(List::stream)
        .anyMatch(f -> bridges.above(f).filter(bridge.address()::equals).isPresent());
  }

  private static boolean oneDevice(GroupNode node) {
    PciAddress first = (node.shown().isEmpty() ? node.folded() : node.shown()).getFirst().address();
    return node.others().isEmpty()
        && Stream.concat(node.shown().stream(), node.folded().stream())
            .allMatch(f -> f.address().sameDevice(first));
  }

  private static String why(PciFunction bridge) {
    boolean conventional =
        bridge.pcieType().filter(t -> t == PcieType.PCIE_TO_PCI_BRIDGE).isPresent();
    if (conventional) {
      return "leads to conventional PCI, which cannot tell devices apart";
    }
    String what =
        bridge.pcieType().filter(t -> t == PcieType.ROOT_PORT).isPresent()
            ? "this root port"
            : "this bridge";
    if (bridge.acs().isNone()) {
      return what + " has no ACS: what is below it is one group";
    }
    boolean on =
        bridge
            .acs()
            .value()
            .filter(
                a ->
                    a.enabled()
                        .containsAll(
                            Set.of(Acs.Feature.SV, Acs.Feature.RR, Acs.Feature.CR, Acs.Feature.UF)))
            .isPresent();
    return bridge.acs().isUnknown() || on
        ? what + " does not keep apart what is below it"
        : what + " has its ACS switched off: what is below it is one group";
  }

  /** Over which buses the group goes, where there are several. */
  private static String buses(GroupNode node) {
    List<String> buses =
        Stream.of(node.bridges(), node.shown(), node.folded())
            .flatMap(List::stream)
            .map(f -> f.address().toString().replaceFirst(":[^:]*$", ""))
            .map(b -> b.replaceFirst("^0000:", ""))
            .distinct()
            .sorted()
            .toList();
    if (buses.size() < 2) {
      return "";
    }
    String list =
        buses.size() > 6
            ? String.join(" ", buses.subList(0, 3)) + " \u2026 " + buses.getLast()
            : String.join(" ", buses);
    return ", over buses " + list;
  }
}
