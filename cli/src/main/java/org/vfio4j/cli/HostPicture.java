// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.IommuState;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.PciIds;

/**
 * Lays a host out, bus by bus: what can be given away large and by name, in the frame of its group
 * where it goes with others; what belongs to the platform as dots.
 */
final class HostPicture {

  /** As wide as a page shows it without making it smaller. */
  static final double WIDTH = 840;

  static final double MARGIN = 24;

  /** Where the devices of a bus begin. */
  static final double LEFT = MARGIN + 62;

  static final double RIGHT = WIDTH - MARGIN;

  private static final double STEP = 22;
  private static final double PAD = 12;
  private static final double GAP = DeviceTiles.GAP;
  private static final double TWO_COLUMNS = 560;

  private final HostTopology host;
  private final Map<Integer, GroupFacts> groups;
  private final GroupTree tree;

  /** Whether the source says anything of which bridge leads to what. */
  private final boolean told;

  private final Sketch sketch = new Sketch();
  private final DeviceTiles tiles;
  private final Fold fold;
  private final FrameHead head;

  private HostPicture(HostTopology host, PciIds names) {
    this.host = host;
    this.groups = GroupFacts.of(host);
    this.tree = new GroupTree(host);
    this.told =
        host.functions().stream().anyMatch(f -> !f.parent().isUnknown() || f.buses().isPresent());
    this.tiles = new DeviceTiles(sketch, host, names);
    this.fold = Fold.coloured(sketch, host);
    this.head = new FrameHead(sketch, tree.bridges());
  }

  /**
   * The picture of a host.
   *
   * @param names what devices are called that the host's source does not name
   */
  static Picture of(HostTopology host, PciIds names) {
    return new HostPicture(host, names).lay();
  }

  private Picture lay() {
    double y = header();
    Optional<Integer> node = Optional.empty();
    List<BusLane> run = new ArrayList<>();
    for (BusLane lane : tree.lanes()) {
      Optional<Integer> next = numaNode(lane);
      boolean other = next.isPresent() && !next.equals(node);
      if (other || !run.isEmpty() && (told || lane.isFolded() != run.getFirst().isFolded())) {
        y = run(run, y);
        run.clear();
      }
      if (other) {
        y = numa(y, next.get());
        node = next;
      }
      run.add(lane);
    }
    y = run(run, y);
    y = others(y);
    return sketch.finish(
        WIDTH,
        y + MARGIN - GAP,
        "IOMMU groups of " + host.name(),
        String.join(", ", facts()) + ".");
  }

  private List<String> facts() {
    List<String> facts = new ArrayList<>();
    facts.add(Text.count(host.functions().size(), "function"));
    facts.add(Text.count(host.groups().size(), "IOMMU group"));
    if (!host.mdevs().isEmpty()) {
      facts.add(Text.count(host.mdevs().size(), "mediated device"));
    }
    host.kernel().ifPresent(k -> facts.add("Linux " + k));
    facts.add("from " + Words.of(host.origin()));
    return facts;
  }

  private double header() {
    double room = RIGHT - MARGIN;
    sketch.text(MARGIN, 46, room, Face.TITLE, Colour.INK, host.name());
    String facts = String.join("  \u00b7  ", facts());
    double y = sketch.lines(MARGIN, 70, room, 2, Face.BODY, Colour.DIM, facts);
    if (host.groups().isEmpty()) {
      IommuState state = IommuState.of(host);
      String why = String.join(" ", state.because());
      String text = (why.isEmpty() ? "The source shows no IOMMU groups." : why);
      sketch.icon(Icon.OPEN_SHIELD, MARGIN, y - 11, 18, Colour.KEPT);
      y = sketch.lines(MARGIN + 26, y + 3, room - 26, 3, Face.NAME, Colour.KEPT, text) + 4;
    } else {
      y = holders(y);
    }
    List<String> missing = new ArrayList<>();
    if (!told) {
      missing.add("which bridge leads to which bus");
    }
    if (tiles.driversUnknown()) {
      missing.add("which drivers are bound");
    }
    if (!missing.isEmpty() && !host.functions().isEmpty()) {
      String text = "The source does not say " + String.join(", nor ", missing) + ".";
      y = sketch.lines(MARGIN, y + 2, room, 2, Face.SMALL, Colour.DIM, text);
    }
    return y + 8;
  }

  /** A bar of all groups by who holds them, and what its colours mean. */
  private double holders(double top) {
    Map<Holding, Integer> counts = new EnumMap<>(Holding.class);
    groups.values().forEach(g -> counts.merge(g.holding(), 1, Integer::sum));
    double gaps = 3 * (counts.size() - 1);
    double least = 6.0 * counts.size();
    double room = RIGHT - MARGIN - gaps - least;
    double x = MARGIN;
    for (Map.Entry<Holding, Integer> e : counts.entrySet()) {
      double width = 6 + room * e.getValue() / groups.size();
      sketch.box(new Area(x, top - 6, width, 12), 3, Paint.solid(dot(e.getKey())));
      x += width + 3;
    }
    x = MARGIN;
    double y = top + 26;
    for (Map.Entry<Holding, Integer> e : counts.entrySet()) {
      String text = Text.count(e.getValue(), "group") + " " + legend(e.getKey());
      double width = 17 + Face.BODY.width(text);
      if (x > MARGIN && x + width > RIGHT) {
        x = MARGIN;
        y += 19;
      }
      sketch.box(new Area(x, y - 9.5, 10, 10), 3, Paint.solid(dot(e.getKey())));
      sketch.text(x + 16, y, RIGHT - x - 16, Face.BODY, Colour.INK, text);
      x += width + 20;
    }
    return y + 20;
  }

  private static Colour dot(Holding holding) {
    return holding == Holding.BRIDGE ? Colour.EDGE : Colour.of(holding);
  }

  private static String legend(Holding holding) {
    return switch (holding) {
      case KEPT -> "needed by the host";
      case HOST -> "held by a driver of the host";
      case UNKNOWN -> "whose driver is not known";
      case VFIO -> "on VFIO: can be given away";
      case FREE -> "without a driver";
      case BRIDGE -> "of bridges only";
    };
  }

  /** The NUMA node of a bus, where the host has several. */
  private Optional<Integer> numaNode(BusLane lane) {
    Set<Integer> nodes =
        host.functions().stream()
            .filter(f -> f.address().domain() == lane.domain() && f.address().bus() == lane.bus())
            .flatMap(f -> f.numaNode().value().stream())
            .collect(Collectors.toSet());
    return nodes.size() == 1 ? Optional.of(nodes.iterator().next()) : Optional.empty();
  }

  private double numa(double y, int node) {
    sketch.icon(Icon.MEMORY_NODE, MARGIN, y + 4, 20, Colour.DIM);
    sketch.text(MARGIN + 28, y + 19, 200, Face.HEAD, Colour.INK, "NUMA node " + node);
    double right = MARGIN + 28 + Face.HEAD.width("NUMA node " + node) + 14;
    sketch.line(Paint.edge(Colour.EDGE, 1), "M%s %sH%s", right, y + 14, RIGHT);
    return y + 36;
  }

  /** Buses of which something is drawn, or of which nothing is. */
  private double run(List<BusLane> run, double top) {
    double y = top;
    if (run.isEmpty() || !run.getFirst().isFolded()) {
      return run.isEmpty() ? y : drawn(run, y);
    }
    for (BusLane lane : run) {
      y = folded(lane, y, "");
    }
    return y + GAP;
  }

  private static String name(BusLane lane) {
    String bus = "%02x".formatted(lane.bus());
    return lane.domain() == 0 ? bus : "%04x:%s".formatted(lane.domain(), bus);
  }

  private double folded(BusLane lane, double top, String after) {
    return fold.bus("bus " + name(lane), top, after, lane.folded());
  }

  /** One bus; or several, where nothing is known of how they hang together. */
  private double drawn(List<BusLane> run, double top) {
    int mark = sketch.mark();
    BusLane first = run.getFirst();
    BusLane last = run.getLast();
    double room = LEFT - 14 - MARGIN;
    boolean several = run.size() > 1;
    String names = several ? name(first) + "\u2013" + name(last) : name(first);
    Face face = Face.BUS.width(names) <= room ? Face.BUS : Face.STRONG;
    String word = several ? "buses" : "bus";
    sketch.text(MARGIN, top + 13, room, Face.SMALL, Colour.DIM, word);
    sketch.text(MARGIN, top + 33, room, face, Colour.INK, names);
    double y = nodes(run.stream().flatMap(l -> l.groups().stream()).toList(), LEFT, top);
    if (!several) {
      y = fold.draw(LEFT, y, RIGHT - LEFT, " more", first.folded());
    }
    double bottom = Math.max(top + 38, y);
    sketch.below(
        mark, new Area(LEFT - 12, top + 2, 2, bottom - top - 8), 1, Paint.solid(Colour.EDGE));
    y = bottom + (several ? 2 : 14);
    for (BusLane lane : run) {
      y = several && !lane.folded().isEmpty() ? folded(lane, y, " more") : y;
    }
    return several ? y + GAP : y;
  }

  /** Groups of one level, from there downwards: single devices beside each other. */
  private double nodes(List<GroupNode> nodes, double x, double top) {
    double y = top;
    List<GroupNode> row = new ArrayList<>();
    int most = RIGHT - x >= TWO_COLUMNS ? 2 : 1;
    for (GroupNode node : nodes) {
      boolean small =
          node.single() && node.children().isEmpty() && !tiles.isDivided(node.shown().getFirst());
      if (!small || row.size() == most) {
        y = row(row, x, y, most);
        row.clear();
      }
      if (small) {
        row.add(node);
      } else {
        y = node(node, x, y);
      }
    }
    return row(row, x, y, most);
  }

  private double row(List<GroupNode> row, double x, double y, int most) {
    double width = (RIGHT - x - (most - 1) * GAP) / most;
    for (int i = 0; i < row.size(); i++) {
      GroupNode node = row.get(i);
      PciFunction f = node.shown().getFirst();
      tile(new Area(x + i * (width + GAP), y, width, DeviceTiles.TILE), node, f, true);
    }
    return row.isEmpty() ? y : y + DeviceTiles.TILE + GAP;
  }

  private void tile(Area a, GroupNode node, PciFunction f, boolean alone) {
    String corner = alone ? DeviceTiles.group(f) : "";
    String more = alone ? FrameHead.via(node) : "";
    sketch.open(alone ? FrameHead.words(node) : "");
    tiles.tile(a, f, Colour.of(Holding.of(host, f)), corner, more);
    sketch.close();
  }

  private double node(GroupNode node, double x, double top) {
    double y;
    if (node.single()) {
      PciFunction f = node.shown().getFirst();
      tile(new Area(x, top, RIGHT - x, DeviceTiles.TILE), node, f, true);
      y = tiles.parts(x, top + DeviceTiles.TILE, RIGHT - x, f) + GAP - 5;
    } else if (node.port()) {
      y = port(node, x, top);
    } else {
      y = frame(node, x, top);
    }
    return node.children().isEmpty() ? y : children(node, x, y);
  }

  private double children(GroupNode node, double x, double top) {
    int mark = sketch.mark();
    double y = nodes(node.children(), x + STEP, top);
    sketch.below(mark, new Area(x + 8, top - GAP, 2, y - top), 1, Paint.solid(Colour.EDGE));
    return y;
  }

  /** Bridges that lead to several groups. */
  private double port(GroupNode node, double x, double y) {
    sketch.open(FrameHead.words(node));
    String name = node.bridges().size() == 1 ? "bridge" : "bridges";
    double end = sketch.text(x, y + 13, RIGHT - x, Face.SMALL, Colour.DIM, name) + 8;
    String group = node.group().map(g -> "group " + g).orElse("");
    double room = RIGHT - end - Face.SMALL.width(group) - 12;
    end = sketch.text(end, y + 13, room, Face.MONO, Colour.INK, FrameHead.ports(node)) + 10;
    sketch.text(end, y + 13, RIGHT - end, Face.SMALL, Colour.DIM, group);
    sketch.close();
    return y + 24;
  }

  /** A group of several, which go to one owner. */
  private double frame(GroupNode node, double x, double top) {
    int mark = sketch.mark();
    Optional<GroupFacts> facts = node.group().map(groups::get);
    Holding holding = facts.map(GroupFacts::holding).orElse(Holding.UNKNOWN);
    Colour colour = Colour.of(holding);
    boolean said = tiles.driversUnknown() && holding == Holding.UNKNOWN;
    String holder = said ? "" : facts.map(GroupFacts::holder).orElse("");
    double left = x + PAD;
    double right = RIGHT - PAD;
    sketch.open(FrameHead.words(node));
    double y = head.draw(node, holder, colour, left, top + 23, right);
    sketch.close();
    int columns = node.shown().size() > 1 && right - left >= TWO_COLUMNS - 40 ? 2 : 1;
    double width = (right - left - (columns - 1) * GAP) / columns;
    int column = 0;
    for (PciFunction f : node.shown()) {
      boolean divided = tiles.isDivided(f);
      if (divided && column > 0) {
        y += DeviceTiles.TILE + GAP;
        column = 0;
      }
      double wide = divided ? right - left : width;
      tile(new Area(left + column * (width + GAP), y, wide, DeviceTiles.TILE), node, f, false);
      column++;
      if (divided) {
        y = tiles.parts(left, y + DeviceTiles.TILE, right - left, f) + GAP - 5;
        column = 0;
      } else if (column == columns) {
        y += DeviceTiles.TILE + GAP;
        column = 0;
      }
    }
    y += column > 0 ? DeviceTiles.TILE + GAP : 0;
    y = fold.draw(left, y, right - left, " more", node.folded());
    if (!node.others().isEmpty()) {
      String text = "no PCI function: " + String.join(", ", node.others());
      y = sketch.lines(left, y + 12, right - left, 2, Face.SMALL, Colour.DIM, text) - 8;
    }
    Area area = new Area(x, top, RIGHT - x, y + (node.folded().isEmpty() ? 4 : 6) - top);
    sketch.below(mark, area, 12, Paint.tint(colour).edged(colour, 2));
    return area.bottom() + GAP;
  }

  /** What is no PCI function and has or is a mediated device or a group of its own. */
  private double others(double top) {
    List<Mdev> mdevs =
        host.mdevs().stream()
            .filter(m -> m.parentAddress().flatMap(host::function).isEmpty())
            .toList();
    List<GroupFacts> strangers =
        groups.values().stream()
            .filter(g -> g.members().isEmpty() && !g.others().isEmpty())
            .toList();
    if (mdevs.isEmpty() && strangers.isEmpty()) {
      return top;
    }
    double y = top;
    sketch.text(MARGIN, y + 13, 200, Face.HEAD, Colour.INK, "not on PCI");
    y += 26;
    for (Mdev mdev : mdevs) {
      tiles.mdev(LEFT, y, RIGHT - LEFT, mdev);
      y += DeviceTiles.CHIP + 5;
    }
    String text =
        strangers.stream()
            .map(g -> "group " + g.id() + ": " + String.join(", ", g.others()))
            .collect(Collectors.joining("  \u00b7  "));
    if (!strangers.isEmpty()) {
      sketch.open(text);
      y = sketch.lines(LEFT, y + 12, RIGHT - LEFT, 12, Face.SMALL, Colour.DIM, text);
      sketch.close();
    }
    return y + GAP;
  }
}
