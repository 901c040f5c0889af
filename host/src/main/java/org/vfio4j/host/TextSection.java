// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeMap;
import org.vfio4j.host.HostBuilder.Place;
import org.vfio4j.iommu.ReservedRegion;

/** One host of a text source, while it is being collected. */
final class TextSection {

  private static final double CLOCK_SLACK_SECONDS = 1.0;

  private final HostBuilder host;
  private final LogLines log = new LogLines();
  private final List<Run> runs = new ArrayList<>();
  private final Set<PciAddress> listed = new HashSet<>();
  private final Map<PciAddress, Integer> headingOf = new HashMap<>();
  private Optional<PciAddress> firstListed = Optional.empty();
  private Optional<PciAddress> firstGrouped = Optional.empty();
  private int firstGroup;
  private final List<PciFunction.Builder> unmarked = new ArrayList<>();
  private final List<Numbered> numbered = new ArrayList<>();
  private boolean marks;
  private boolean numbersAreGroups;
  private boolean noGroups;
  private boolean merging;
  private boolean runEnds = true;
  private boolean logged;
  private boolean logNamesDevices;
  private double lastStamp;

  /**
   * What one program or script printed: what it says of one function, it says of all.
   *
   * @param grouped whether it names the groups
   */
  private record Run(
      boolean grouped,
      List<LspciDetails> details,
      Set<PciAddress> addresses,
      Set<PciAddress> driven,
      Set<PciAddress> inGroup) {

    Run(boolean grouped) {
      this(grouped, new ArrayList<>(), new HashSet<>(), new HashSet<>(), new HashSet<>());
    }

    boolean endsAt(boolean nextGrouped, PciAddress next) {
      boolean again = addresses.contains(next) && !details.getLast().address().equals(next);
      return grouped != nextGrouped || again;
    }
  }

  TextSection(String source) {
    this.host = new HostBuilder(source);
  }

  HostBuilder host() {
    return host;
  }

  /** Says that the section is taken up again: what is repeated is no new listing. */
  void takeUpAgain() {
    merging = true;
  }

  boolean hasLog() {
    return logNamesDevices;
  }

  /** Whether this entry, outside of any group, begins the listing anew. */
  boolean restartsListing(PciAddress address) {
    return !merging && listed.size() > 1 && firstListed.filter(address::equals).isPresent();
  }

  /** Whether this entry, below the heading with this number, begins the groups anew. */
  boolean restartsGroups(PciAddress address, int group, int heading) {
    Integer before = headingOf.get(address);
    return !merging
        && before != null
        && before != heading
        && group == firstGroup
        && firstGrouped.filter(address::equals).isPresent();
  }

  /** Whether this line of a log is of a later boot than those before. */
  boolean restartsLog(String line, OptionalDouble stamp) {
    return logNamesDevices && LogLines.isBoot(line)
        || logNamesDevices
            && stamp.isPresent()
            && stamp.getAsDouble() < lastStamp - CLOCK_SLACK_SECONDS;
  }

  /** A function behind a number of which the line does not say what it is. */
  private record Numbered(PciAddress address, int number, Place place) {}

  /** Adds an entry of lspci; the details that follow it go to what is returned. */
  LspciDetails addListed(ListingEntry entry, Place place) {
    listed.add(entry.address());
    firstListed = firstListed.or(() -> Optional.of(entry.address()));
    entry.prefix().number().ifPresent(n -> numbered.add(new Numbered(entry.address(), n, place)));
    return fill(entry, run(false, entry), place);
  }

  /** Adds an entry below the heading of a group. */
  LspciDetails addGrouped(
      ListingEntry entry, int group, int heading, Optional<String> unit, Place place) {
    if (firstGrouped.isEmpty()) {
      firstGrouped = Optional.of(entry.address());
      firstGroup = group;
    }
    headingOf.put(entry.address(), heading);
    host.member(group, entry.address().toString(), place);
    unit.ifPresent(u -> host.function(entry.address(), place).iommuUnit(unit));
    return fill(entry, run(true, entry), place);
  }

  /** Says that something else begins: what follows is of another program. */
  void endRun() {
    runEnds = true;
  }

  private Run run(boolean grouped, ListingEntry entry) {
    if (runEnds || runs.getLast().endsAt(grouped, entry.address())) {
      runs.add(new Run(grouped));
    }
    runEnds = false;
    Run run = runs.getLast();
    run.addresses().add(entry.address());
    if (!entry.driver().isUnknown()) {
      run.driven().add(entry.address());
    }
    return run;
  }

  private LspciDetails fill(ListingEntry entry, Run run, Place place) {
    PciFunction.Builder function = host.function(entry.address(), place);
    PciFunction known = function.build();
    if (contradicts(known, entry)) {
      throw host.error(place, "address", "two functions have the address " + entry.address());
    }
    entry
        .classCode()
        .filter(c -> known.classCode().flatMap(PciClass::progIf).isEmpty())
        .ifPresent(c -> function.classCode(Optional.of(c)));
    entry.id().ifPresent(i -> function.id(Optional.of(i)));
    entry.prefix().bridge().ifPresent(b -> function.parent(Fact.known(b)));
    entry.description().ifPresent(d -> function.description(Optional.of(d)));
    if (!entry.driver().isUnknown()) {
      function.driver(entry.driver());
    }
    marks |= entry.prefix().reset();
    if (entry.prefix().reset()) {
      function.resettable(Optional.of(true));
    } else {
      unmarked.add(function);
    }
    LspciDetails lines = new LspciDetails(function);
    run.details().add(lines);
    return lines;
  }

  private static boolean contradicts(PciFunction known, ListingEntry entry) {
    boolean id = known.id().isPresent() && entry.id().isPresent();
    boolean code = known.classCode().isPresent() && entry.classCode().isPresent();
    return id && !known.id().equals(entry.id())
        || code && known.classCode().get().code16() != entry.classCode().get().code16();
  }

  /** Says that a heading calls the numbers before the addresses groups. */
  void numbersAreGroups() {
    numbersAreGroups = true;
  }

  /** Says that the pattern of a shell was found where a group's number should be. */
  void noGroups() {
    noGroups = true;
  }

  /** Says that lspci names the group of the function. */
  void groupLine(PciAddress address, int group, Place place) {
    runs.getLast().inGroup().add(address);
    host.member(group, address.toString(), place);
  }

  /** Takes a line of a log; whether it says something that is read. */
  boolean addLogLine(String line, OptionalDouble stamp, Place place) {
    logged = true;
    logNamesDevices |= LogLines.namesDevice(line);
    stamp.ifPresent(s -> lastStamp = s);
    signs(line);
    return log.add(line, host, place);
  }

  /** Notes what a line says of whether the IOMMU works. */
  void signs(String line) {
    Set<IommuSign> signs = IommuSign.in(line);
    if (!signs.isEmpty()) {
      host.setup(new HostSetup(Optional.empty(), new TreeMap<>(), signs));
    }
  }

  void commandLine(String text) {
    host.setup(new HostSetup(Optional.of(text), new TreeMap<>(), Set.of()));
  }

  void addRegion(int group, ReservedRegion region, Place place) {
    host.addGroupRegion(group, region, place);
  }

  /** Draws the conclusions and gives the host. */
  HostTopology finish(String name) {
    runs.stream().flatMap(r -> r.details().stream()).forEach(LspciDetails::finish);
    groupsByNumber();
    if (marks) {
      unmarked.forEach(f -> f.resettable(f.build().resettable().or(() -> Optional.of(false))));
    }
    runs.forEach(this::settle);
    if (noGroups && !host.hasGroups()) {
      host.functions().forEach(f -> f.group(Fact.none()));
    }
    findParents();
    if (logged) {
      host.iommu(log.facts());
    }
    boolean verbose =
        runs.stream().flatMap(r -> r.details().stream()).anyMatch(LspciDetails::isVerbose);
    Origin plain = runs.isEmpty() && logged ? Origin.DMESG : Origin.LISTING;
    return host.buildPerhapsPartial(name, verbose ? Origin.LSPCI : plain);
  }

  /** Where a program names drivers, or groups, a function without one has none. */
  private void settle(Run run) {
    boolean drivers =
        !run.driven().isEmpty() || run.details().stream().anyMatch(LspciDetails::saysDrivers);
    for (PciAddress address : run.addresses()) {
      PciFunction.Builder function = host.function(address, new Place(0, ""));
      if (drivers && function.build().driver().isUnknown()) {
        function.driver(Fact.none());
      }
      if (!run.inGroup().isEmpty() && function.build().group().isUnknown()) {
        function.group(Fact.none());
      }
    }
  }

  /**
   * Numbers before the addresses are groups, if they are not just those of the lines: with a
   * function to a group throughout nobody can tell, and they are left.
   */
  private void groupsByNumber() {
    boolean lines = true;
    for (int i = 1; i < numbered.size(); i++) {
      lines &= numbered.get(i).number() == numbered.get(i - 1).number() + 1;
    }
    if (!lines || numbersAreGroups) {
      numbered.forEach(n -> host.member(n.number(), n.address().toString(), n.place()));
    } else if (!numbered.isEmpty()) {
      String text = "numbers before the addresses, which may count groups or lines";
      host.lost(new Loss(numbered.getFirst().place().line(), text, Loss.Reason.AMBIGUOUS));
    }
  }

  /** The bridge above a function is the one whose secondary bus the function is on. */
  private void findParents() {
    Map<String, PciAddress> bridgeTo = new HashMap<>();
    for (PciFunction.Builder function : host.functions()) {
      PciFunction f = function.build();
      f.buses()
          .ifPresent(b -> bridgeTo.put(f.address().domain() + ":" + b.secondary(), f.address()));
    }
    for (PciFunction.Builder function : host.functions()) {
      PciAddress address = function.address();
      PciAddress bridge = bridgeTo.get(address.domain() + ":" + address.bus());
      if (bridge != null && !bridge.equals(address)) {
        function.parent(Fact.known(bridge));
      }
    }
    for (PciFunction.Builder function : host.functions()) {
      function
          .build()
          .parent()
          .value()
          .filter(host::has)
          .map(a -> host.function(a, new Place(0, "")))
          .filter(b -> b.build().headerType().isEmpty())
          .ifPresent(b -> b.headerType(Optional.of(HeaderType.BRIDGE)));
    }
  }
}
