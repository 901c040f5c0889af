// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The indented lines that {@code lspci -v}, {@code -vv}, {@code -vvv} print below a function. */
final class LspciDetails {

  private static final Pattern GROUP =
      Pattern.compile("(?:IOMMU group: |(?:Flags: )?(?:.*, )?(?:IOMMU )?group )([0-9]{1,9})");
  private static final Pattern BUSES =
      Pattern.compile(
          "Bus: primary=[0-9a-f]{2}, secondary=([0-9a-f]{2}), subordinate=([0-9a-f]{2}).*");
  private static final Pattern SUBSYSTEM =
      Pattern.compile("Subsystem: .*\\[([0-9a-f]{4}:[0-9a-f]{4})\\].*");
  private static final Pattern CAPABILITY =
      Pattern.compile("Capabilities: \\[([0-9a-f]{2,3})(?: v[0-9]+)?\\] (.*)");
  private static final Pattern EXPRESS = Pattern.compile("Express (?:\\(v[0-9]+\\) )?(.*)");
  private static final Pattern NUMA_OF_FLAGS = Pattern.compile("\\bNUMA node ([0-9]{1,4})(?:,|$)");
  private static final Pattern NUMA = Pattern.compile("NUMA node: ([0-9]{1,4})");
  private static final Pattern VFS =
      Pattern.compile(
          "Initial VFs: [0-9]+, Total VFs: ([0-9]{1,5}), Number of VFs: ([0-9]{1,5}),.*");

  /** Lines below a function in the order that lspci prints them, by how they begin. */
  private static final List<Pattern> ORDER =
      Stream.of(
              "DeviceName: .*",
              "Subsystem: .*",
              "Physical Slot: .*",
              "Flags: .*(?:devsel|bus master|IRQ |IOMMU group).*|Control: I/O.*",
              "NUMA node: .*",
              "IOMMU group: .*",
              "Bus: primary=.*",
              "Kernel driver in use:.*",
              "Kernel modules:.*")
          .map(Pattern::compile)
          .toList();

  private static final int FLAGS = 3;
  private static final Pattern END_OF_FLAGS =
      Pattern.compile("(?:.*, )?(?:IOMMU )?group ([0-9]{1,9})");

  /** A line of which a part alone would be believed. */
  private record Whole(String begin, Pattern whole) {}

  private static final List<Whole> MUST_END =
      List.of(
          new Whole("ACSCap:", Pattern.compile(".*DirectTrans[+-].*")),
          new Whole("ACSCtl:", Pattern.compile(".*DirectTrans[+-].*")),
          new Whole("Initial VFs:", VFS),
          new Whole("Bus: primary=", BUSES),
          new Whole("NUMA node:", NUMA),
          new Whole("IOMMU group:", Pattern.compile("IOMMU group: [0-9]{1,9}")),
          new Whole(
              "Flags: ",
              Pattern.compile("(?!.*(?:,|\\bIOM?M?U?|IOMMU g?r?o?u?p?|NUMA ?n?o?d?e?)$).*")),
          new Whole("Subsystem: ", Pattern.compile("(?!.*\\[[0-9a-f]{0,4}:?[0-9a-f]{0,4}$).*")),
          new Whole("Capabilities: ", Pattern.compile(".*\\] ?\\S.*|[^<]*<.*>")));
  private static final Pattern INNER =
      Pattern.compile(
          "!!! Unknown header type|Capabilities: \\[|Status: |Control: |Latency: |Region \\d|Memory"
              + " at |I/O ports at |Interrupt: |Expansion ROM|Prefetchable"
              + " memory|ACSCap:|ACSCtl:|Initial VFs:|BridgeCtl:");

  private final PciFunction.Builder function;
  private boolean verbose;
  private boolean bridge;
  private boolean denied;
  private boolean listed;
  private boolean noCapabilities;
  private boolean extended;
  private boolean express;

  /** The capability is named, which {@code -v} does without saying what is in it. */
  private boolean acsNamed;

  private boolean driverSaid;
  private boolean driverKnowable;
  private Optional<Set<Acs.Feature>> capable = Optional.empty();

  private final Map<Integer, String> said = new HashMap<>();
  private int furthest = -1;

  LspciDetails(PciFunction.Builder function) {
    this.function = function;
  }

  /** The place of the line in lspci's order; -1 if it is no such line. */
  private static int rank(String text) {
    for (int i = 0; i < ORDER.size(); i++) {
      if (ORDER.get(i).matcher(text).matches()) {
        return i;
      }
    }
    return -1;
  }

  /** Whether the text, indented, is a line that verbose lspci prints below a function. */
  static boolean isInner(String text) {
    return INNER.matcher(text).lookingAt();
  }

  /** Whether the line is one of those that end in the same way always, and does not. */
  static boolean isCut(String text) {
    return MUST_END.stream()
        .anyMatch(p -> text.startsWith(p.begin()) && !p.whole().matcher(text).matches());
  }

  /** Whether the text is a line that lspci prints below a function, wherever it stands. */
  static boolean isDetail(String text) {
    return rank(text) >= 0;
  }

  /** Whether the line is the end of the flags, which a mail program put on a line of its own. */
  boolean endsFlags(String text) {
    return furthest == FLAGS
        && !said.getOrDefault(FLAGS, "").contains("IOMMU group ")
        && END_OF_FLAGS.matcher(text).matches();
  }

  /**
   * Whether the line can be of this function after those that were: lspci prints each once, in a
   * fixed order. If not, the line that names another function is missing before it.
   */
  boolean follows(String text) {
    int rank = rank(text);
    return rank < 0
        || rank > furthest
        || rank == furthest && text.equals(said.getOrDefault(rank, text));
  }

  PciAddress address() {
    return function.address();
  }

  /** The group that the line names; empty if it is another line. */
  static OptionalInt groupOf(String text) {
    if (!text.contains("group")) {
      return OptionalInt.empty();
    }
    Matcher m = GROUP.matcher(text);
    return m.matches() ? OptionalInt.of(Integer.parseInt(m.group(1))) : OptionalInt.empty();
  }

  /** Takes it that all that was read of the function was ff. */
  void doesNotAnswer() {
    function.sign(FunctionSign.NO_ANSWER);
  }

  /** Takes the name of the driver from the line below the one that should have it. */
  void driverBelow(String name) {
    function.driver(Fact.known(name));
    said.put(ORDER.size() - 2, name);
  }

  /**
   * Takes what the line says.
   *
   * @return whether it is a line that this program reads
   */
  boolean add(String text) {
    int rank = rank(text);
    if (rank >= 0) {
      furthest = rank;
      said.put(rank, text);
    }
    if (text.startsWith("!!! Unknown header type")) {
      doesNotAnswer();
      return true;
    }
    int colon = text.indexOf(':');
    if (colon < 0) {
      return false;
    }
    switch (text.substring(0, colon)) {
      case "Control" -> verbose = true;
      case "Flags" -> {
        verbose = true;
        Matcher numa = NUMA_OF_FLAGS.matcher(text);
        if (numa.find()) {
          numaNode(numa);
        }
      }
      case "Status" -> noCapabilities |= text.startsWith("Status: Cap- ");
      case "Subsystem" -> match(SUBSYSTEM, text).ifPresent(m -> function.subsystem(id(m.group(1))));
      case "Bus" -> match(BUSES, text).ifPresent(this::buses);
      case "NUMA node" -> match(NUMA, text).ifPresent(this::numaNode);
      case "Kernel driver in use" -> {
        driverSaid = true;
        String driver = text.substring(colon + 1).strip();
        function.driver(driver.isEmpty() ? Fact.none() : Fact.known(driver));
      }
      case "Kernel modules" -> driverKnowable = true;
      case "Capabilities" -> capability(text);
      case "ACSCap" -> capable = Optional.of(Acs.ofLspci(text));
      case "ACSCtl" ->
          capable.ifPresent(c -> function.acs(Fact.known(new Acs(c, Acs.ofLspci(text)))));
      case "Initial VFs" -> match(VFS, text).ifPresent(this::virtualFunctions);
      default -> {
        return rank >= 0;
      }
    }
    return true;
  }

  private static Optional<Matcher> match(Pattern pattern, String text) {
    Matcher m = pattern.matcher(text);
    return m.matches() ? Optional.of(m) : Optional.empty();
  }

  private static Optional<PciId> id(String text) {
    return Optional.of(PciId.parse(text));
  }

  private void numaNode(Matcher m) {
    function.numaNode(Fact.known(Integer.parseInt(m.group(1))));
  }

  private void buses(Matcher m) {
    bridge = true;
    int secondary = Integer.parseInt(m.group(1), 16);
    int subordinate = Integer.parseInt(m.group(2), 16);
    if (secondary != 0 && secondary <= subordinate) {
      function.buses(Optional.of(new BusRange(secondary, subordinate)));
    }
  }

  private void virtualFunctions(Matcher m) {
    int total = Integer.parseInt(m.group(1));
    int active = Integer.parseInt(m.group(2));
    function.totalVfs(Optional.of(total));
    if (active <= total) {
      function.numVfs(Optional.of(active));
    }
  }

  private void capability(String text) {
    if (text.contains("<access denied>")) {
      denied = true;
      return;
    }
    match(CAPABILITY, text)
        .ifPresent(
            m -> {
              listed = true;
              extended |= m.group(1).length() == 3;
              acsNamed |= m.group(2).startsWith("Access Control Services");
              match(EXPRESS, m.group(2))
                  .ifPresent(
                      e -> {
                        express = true;
                        function.pcieType(PcieType.ofLspci(e.group(1)));
                      });
            });
  }

  /** Draws the conclusions once all lines of the function are there. */
  void finish() {
    if (verbose) {
      Optional<HeaderType> header = Optional.of(bridge ? HeaderType.BRIDGE : HeaderType.NORMAL);
      function.headerType(header);
    }
    boolean complete = (listed || noCapabilities) && !denied;
    boolean conventional = complete && !express;
    if (conventional) {
      function.pcieType(Optional.of(PcieType.CONVENTIONAL));
    }
    boolean acsAbsent = conventional || complete && extended;
    if (acsAbsent && capable.isEmpty() && !acsNamed) {
      function.acs(Fact.none());
    }
  }

  /** Whether lspci was asked for drivers: a function without the line then has none. */
  boolean saysDrivers() {
    return driverSaid || driverKnowable;
  }

  /** Whether the driver's name may stand in the next line. */
  boolean awaitsDriver() {
    return said.getOrDefault(ORDER.size() - 2, "").equals("Kernel driver in use:")
        && furthest == ORDER.size() - 2;
  }

  boolean isVerbose() {
    return verbose;
  }
}
