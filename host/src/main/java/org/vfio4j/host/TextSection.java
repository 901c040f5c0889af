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
import org.vfio4j.host.HostBuilder.Place;
import org.vfio4j.iommu.ReservedRegion;

/** One host of a text source, while it is being collected. */
final class TextSection {

  private static final double CLOCK_SLACK_SECONDS = 1.0;

  private final HostBuilder host;
  private final LogLines log = new LogLines();
  private final List<LspciDetails> details = new ArrayList<>();
  private final Set<PciAddress> listed = new HashSet<>();
  private final Map<PciAddress, Integer> headingOf = new HashMap<>();
  private Optional<PciAddress> firstListed = Optional.empty();
  private Optional<PciAddress> firstGrouped = Optional.empty();
  private int firstGroup;
  private boolean merging;
  private boolean groupLines;
  private boolean logged;
  private boolean logNamesDevices;
  private double lastStamp;

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

  /** Adds an entry of lspci; the details that follow it go to what is returned. */
  LspciDetails addListed(ListingEntry entry, Place place) {
    if (!listed.add(entry.address()) && !merging) {
      throw host.error(place, "address", "two functions have the address " + entry.address());
    }
    firstListed = firstListed.or(() -> Optional.of(entry.address()));
    return fill(entry, place);
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
    return fill(entry, place);
  }

  private LspciDetails fill(ListingEntry entry, Place place) {
    PciFunction.Builder function = host.function(entry.address(), place);
    PciFunction known = function.build();
    entry
        .classCode()
        .filter(c -> known.classCode().flatMap(PciClass::progIf).isEmpty())
        .ifPresent(c -> function.classCode(Optional.of(c)));
    entry.id().ifPresent(i -> function.id(Optional.of(i)));
    entry.description().ifPresent(d -> function.description(Optional.of(d)));
    entry.resettable().ifPresent(r -> function.resettable(Optional.of(r)));
    LspciDetails lines = new LspciDetails(function);
    details.add(lines);
    return lines;
  }

  /** Says that lspci names the group of the function. */
  void groupLine(PciAddress address, int group, Place place) {
    groupLines = true;
    host.member(group, address.toString(), place);
  }

  void addLogLine(String line, OptionalDouble stamp, Place place) {
    logged = true;
    logNamesDevices |= LogLines.namesDevice(line);
    stamp.ifPresent(s -> lastStamp = s);
    log.add(line, host, place);
  }

  void addRegion(int group, ReservedRegion region, Place place) {
    host.addGroupRegion(group, region, place);
  }

  /** Draws the conclusions and gives the host. */
  HostTopology finish(String name) {
    details.forEach(LspciDetails::finish);
    boolean drivers = details.stream().anyMatch(LspciDetails::saysDrivers);
    for (LspciDetails lines : details) {
      PciFunction.Builder function = host.function(lines.address(), new Place(0, ""));
      PciFunction built = function.build();
      if (drivers && built.driver().isUnknown()) {
        function.driver(Fact.none());
      }
      if (groupLines && built.group().isUnknown()) {
        function.group(Fact.none());
      }
    }
    findParents();
    if (logged) {
      host.iommu(log.facts());
    }
    boolean verbose = details.stream().anyMatch(LspciDetails::isVerbose);
    Origin plain = details.isEmpty() && logged ? Origin.DMESG : Origin.LISTING;
    return host.buildPerhapsPartial(name, verbose ? Origin.LSPCI : plain);
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
  }
}
