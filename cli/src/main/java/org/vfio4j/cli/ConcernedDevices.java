// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.cli.explain.Finding;
import org.vfio4j.host.Fact;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;

/**
 * What a host says of the devices that a message is about.
 *
 * @param host its name
 * @param things device and group as the message would name them: what it left out is filled in
 * @param members the functions of the group; the device alone where it has no group
 * @param lines the same for a reader, with what follows for the group
 */
record ConcernedDevices(
    String host, Map<String, String> things, List<PciFunction> members, List<String> lines) {

  /**
   * The devices of a finding.
   *
   * @param live whether the host is this machine, whose processes can be asked
   */
  static ConcernedDevices of(HostTopology host, boolean live, Finding finding) {
    Map<String, String> things = new LinkedHashMap<>();
    Optional<PciAddress> address =
        Optional.ofNullable(finding.things().get("address")).flatMap(PciAddress::tryParse);
    Optional<PciFunction> named = address.flatMap(host::function);
    List<String> lines = new ArrayList<>();
    if (address.isPresent() && named.isEmpty()) {
      lines.add("There is no device " + address.get() + ".");
    }
    Optional<Integer> group =
        named.flatMap(f -> f.group().value()).or(() -> number(finding.things().get("group")));
    Optional<GroupFacts> facts = group.map(g -> GroupFacts.of(host).get(g));
    if (group.isPresent() && facts.isEmpty()) {
      lines.add("There is no group " + group.get() + "; numbers change from boot to boot.");
    }
    List<PciFunction> members =
        facts.map(GroupFacts::members).orElse(named.map(List::of).orElse(List.of()));
    facts.ifPresent(f -> lines.add("Group %d: %s.".formatted(f.id(), f.holder())));
    DeviceNotes notes = new DeviceNotes(host);
    members.forEach(m -> lines.add(line(m, notes)));
    named
        .filter(f -> f.group() instanceof Fact.None<Integer>)
        .ifPresent(f -> lines.add(f.address() + " is in no IOMMU group."));
    if (members.isEmpty() && lines.isEmpty()) {
      lines.add("The message names no device and no group.");
      long groups = host.groups().size();
      lines.add(
          groups == 0
              ? "The host shows no IOMMU groups."
              : "It has " + Text.count(groups, "group") + ".");
    }
    group.ifPresent(g -> things.put("group", g.toString()));
    if (address.isEmpty() && members.size() == 1) {
      things.put("address", members.getFirst().address().toString());
    }
    facts.ifPresent(f -> viability(host, f, lines));
    if (live) {
      group.ifPresent(g -> holders(g, lines));
    }
    return new ConcernedDevices(host.name(), things, members, lines);
  }

  private static Optional<Integer> number(@org.jspecify.annotations.Nullable String text) {
    return Optional.ofNullable(text).filter(t -> t.matches("[0-9]{1,9}")).map(Integer::valueOf);
  }

  private static String line(PciFunction function, DeviceNotes notes) {
    String driver =
        switch (function.driver()) {
          case Fact.Known<String>(String name) -> "on " + name;
          case Fact.None<String>() -> "no driver";
          case Fact.Unknown<String>() -> "driver not known";
        };
    String description = function.description().map(d -> " " + d).orElse("");
    List<String> more = notes.of(function);
    return "%s %s%s, %s%s"
        .formatted(
            function.address(),
            Words.classOf(function),
            description,
            driver,
            more.isEmpty() ? "" : "; " + String.join("; ", more));
  }

  private static void viability(HostTopology host, GroupFacts facts, List<String> lines) {
    List<String> inTheWay =
        facts.endpoints().stream()
            .filter(f -> Holding.of(host, f) == Holding.HOST || Holding.of(host, f) == Holding.KEPT)
            .filter(f -> f.driver().value().isPresent())
            .filter(f -> !f.driver().value().orElseThrow().startsWith("vfio"))
            .map(f -> f.address() + " (" + f.driver().value().orElseThrow() + ")")
            .toList();
    boolean unknown =
        facts.endpoints().stream().anyMatch(f -> f.driver() instanceof Fact.Unknown<String>);
    if (!inTheWay.isEmpty()) {
      lines.add(
          "Not viable: " + String.join(", ", inTheWay) + " must go to vfio-pci, or be unbound.");
    } else if (unknown) {
      lines.add("Whether it is viable is not known: the source does not say all drivers.");
    } else if (!facts.endpoints().isEmpty()) {
      lines.add("Viable: no driver of the host has an endpoint of it.");
    }
  }

  private static void holders(int group, List<String> lines) {
    RunningVms.of(Path.of("/")).stream()
        .filter(vm -> vm.groups().contains(group))
        .forEach(
            vm ->
                lines.add(
                    "%s has its file open%s."
                        .formatted(
                            vm.name(),
                            vm.pid().isPresent()
                                ? " (process " + vm.pid().getAsLong() + ")"
                                : "")));
  }
}
