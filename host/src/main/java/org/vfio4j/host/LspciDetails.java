// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The indented lines that {@code lspci -v}, {@code -vv}, {@code -vvv} print below a function. */
final class LspciDetails {

  private static final Pattern GROUP = Pattern.compile("\\s+IOMMU group: ([0-9]{1,9})\\s*");
  private static final Pattern BUSES =
      Pattern.compile(
          "Bus: primary=[0-9a-f]{2}, secondary=([0-9a-f]{2}), subordinate=([0-9a-f]{2}).*");
  private static final Pattern SUBSYSTEM =
      Pattern.compile("Subsystem: .*\\[([0-9a-f]{4}:[0-9a-f]{4})\\].*");
  private static final Pattern CAPABILITY =
      Pattern.compile("Capabilities: \\[([0-9a-f]{2,3})(?: v[0-9]+)?\\] (.*)");
  private static final Pattern EXPRESS = Pattern.compile("Express \\(v[0-9]+\\) (.*)");
  private static final Pattern NUMA = Pattern.compile("NUMA node: ([0-9]{1,4})");
  private static final Pattern VFS =
      Pattern.compile(
          "Initial VFs: [0-9]+, Total VFs: ([0-9]{1,5}), Number of VFs: ([0-9]{1,5}),.*");

  private final PciFunction.Builder function;
  private boolean verbose;
  private boolean bridge;
  private boolean denied;
  private boolean listed;
  private boolean noCapabilities;
  private boolean extended;
  private boolean express;
  private boolean driverSaid;
  private boolean driverKnowable;
  private Optional<Set<Acs.Feature>> capable = Optional.empty();

  LspciDetails(PciFunction.Builder function) {
    this.function = function;
  }

  PciAddress address() {
    return function.address();
  }

  /** The group that the line names; empty if it is another line. */
  static OptionalInt groupOf(String line) {
    if (!line.contains("IOMMU group: ")) {
      return OptionalInt.empty();
    }
    Matcher m = GROUP.matcher(line);
    return m.matches() ? OptionalInt.of(Integer.parseInt(m.group(1))) : OptionalInt.empty();
  }

  /** Takes what the line says; a line that says nothing of interest is passed over. */
  void add(String line) {
    String text = line.strip();
    int colon = text.indexOf(':');
    if (colon < 0) {
      return;
    }
    switch (text.substring(0, colon)) {
      case "Control", "Flags" -> verbose = true;
      case "Status" -> noCapabilities |= text.startsWith("Status: Cap- ");
      case "Subsystem" -> match(SUBSYSTEM, text).ifPresent(m -> function.subsystem(id(m.group(1))));
      case "Bus" -> match(BUSES, text).ifPresent(this::buses);
      case "NUMA node" ->
          match(NUMA, text)
              .ifPresent(m -> function.numaNode(Fact.known(Integer.parseInt(m.group(1)))));
      case "Kernel driver in use" -> {
        driverSaid = true;
        function.driver(Fact.known(text.substring(colon + 1).strip()));
      }
      case "Kernel modules" -> driverKnowable = true;
      case "Capabilities" -> capability(text);
      case "ACSCap" -> capable = Optional.of(Acs.ofLspci(text));
      case "ACSCtl" ->
          capable.ifPresent(c -> function.acs(Fact.known(new Acs(c, Acs.ofLspci(text)))));
      case "Initial VFs" -> match(VFS, text).ifPresent(this::virtualFunctions);
      default -> {}
    }
  }

  private static Optional<Matcher> match(Pattern pattern, String text) {
    Matcher m = pattern.matcher(text);
    return m.matches() ? Optional.of(m) : Optional.empty();
  }

  private static Optional<PciId> id(String text) {
    return Optional.of(PciId.parse(text));
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
    if (acsAbsent && capable.isEmpty()) {
      function.acs(Fact.none());
    }
  }

  /** Whether lspci was asked for drivers: a function without the line then has none. */
  boolean saysDrivers() {
    return driverSaid || driverKnowable;
  }

  boolean isVerbose() {
    return verbose;
  }
}
