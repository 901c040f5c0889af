// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;
import org.vfio4j.host.input.BadInputException;

/**
 * Makes hosts of the sections of a text. What one person pastes into one file is one host, joined
 * by address; sections that contradict each other on an id, a class or a group are of several
 * machines or of several states of one.
 */
final class Joining {

  /** A host that sections are being joined to. */
  private static final class Joined {
    private final List<TextSection> sections = new ArrayList<>();
    private final List<Loss> losses = new ArrayList<>();
    private HostTopology host;
    private String label;

    Joined(HostTopology host, String label, TextSection section) {
      this.host = host;
      this.label = label;
      sections.add(section);
      losses.addAll(host.losses());
    }
  }

  private Joining() {}

  static List<HostTopology> hosts(String source, String name, TextReading reading) {
    List<Joined> hosts = new ArrayList<>();
    List<TextSection> others = new ArrayList<>();
    HostSetup common = HostSetup.UNKNOWN;
    for (Map.Entry<String, TextSection> entry : reading.sections().entrySet()) {
      TextSection section = entry.getValue();
      String label = entry.getKey().replaceFirst("\n.*", "");
      HostTopology part = section.finish(name);
      if (section.host().isEmpty() && part.kernel().isEmpty()) {
        common = common.and(part.setup());
        others.add(section);
        continue;
      }
      join(hosts, part, label, section);
    }
    hosts.removeIf(
        j -> j.host.functions().isEmpty() && j.host.groups().isEmpty() && hosts.size() > 1);
    if (hosts.isEmpty() && !common.equals(HostSetup.UNKNOWN)) {
      HostTopology bare = others.getFirst().finish(name);
      hosts.add(new Joined(bare.with(common), "", others.getFirst()));
    }
    if (hosts.isEmpty()) {
      throw new BadInputException(
          source,
          0,
          "",
          "no host found: neither a capture, a umockdev recording, output of lspci, a listing of"
              + " IOMMU groups nor a kernel log");
    }
    return named(hosts, name, common, reading.losses());
  }

  private static void join(
      List<Joined> hosts, HostTopology part, String label, TextSection section) {
    for (Joined known : hosts.reversed()) {
      boolean otherKernel =
          label.startsWith("kernel-")
              && known.label.startsWith("kernel-")
              && !label.equals(known.label);
      if (!otherKernel && agree(known.host, part)) {
        known.host = merge(known.host, part);
        known.label = known.label.isEmpty() ? label : known.label;
        known.sections.add(section);
        known.losses.addAll(part.losses());
        return;
      }
    }
    hosts.add(new Joined(part, label, section));
  }

  private static boolean agree(HostTopology a, HostTopology b) {
    if (a.kernel().isPresent() && b.kernel().isPresent() && !a.kernel().equals(b.kernel())) {
      return false;
    }
    for (PciFunction one : b.functions()) {
      Optional<PciFunction> other = a.function(one.address());
      if (other.isPresent() && !agree(other.get(), one)) {
        return false;
      }
    }
    return true;
  }

  private static boolean agree(PciFunction a, PciFunction b) {
    return agree(a.id(), b.id())
        && agree(a.classCode().map(PciClass::code16), b.classCode().map(PciClass::code16))
        && agree(a.group().value(), b.group().value());
  }

  private static <T> boolean agree(Optional<T> a, Optional<T> b) {
    return a.isEmpty() || b.isEmpty() || a.equals(b);
  }

  /** The host of both parts; where they differ, the later one counts. */
  private static HostTopology merge(HostTopology a, HostTopology b) {
    TreeMap<PciAddress, PciFunction> functions = new TreeMap<>();
    a.functions().forEach(f -> functions.put(f.address(), f));
    b.functions().forEach(f -> functions.merge(f.address(), f, Joining::merge));
    Map<Integer, HostGroup> groups = new HashMap<>();
    for (HostGroup group : a.groups()) {
      groups.put(group.id(), group);
    }
    b.groups().forEach(g -> groups.merge(g.id(), g, Joining::merge));
    Map<Role, List<PciAddress>> carriers = new HashMap<>(a.roles().carriers());
    b.roles().carriers().forEach((role, list) -> carriers.merge(role, list, Joining::together));
    Origin origin =
        a.origin() == Origin.LISTING || a.origin() == Origin.DMESG ? b.origin() : a.origin();
    return new HostTopology(
        a.name(),
        origin,
        a.kernel().or(b::kernel),
        a.partial() || b.partial(),
        List.copyOf(functions.values()),
        List.copyOf(groups.values()),
        a.mdevParents(),
        a.mdevs(),
        a.iommu().and(b.iommu()),
        new Roles(carriers, java.util.EnumSet.allOf(Role.class), a.roles().because()),
        a.setup().and(b.setup()),
        List.of());
  }

  private static List<PciAddress> together(List<PciAddress> a, List<PciAddress> b) {
    List<PciAddress> all = new ArrayList<>(a);
    all.addAll(b);
    return all;
  }

  private static HostGroup merge(HostGroup a, HostGroup b) {
    List<PciAddress> members = new ArrayList<>(a.members());
    b.members().stream().filter(m -> !members.contains(m)).forEach(members::add);
    List<String> others = new ArrayList<>(a.otherMembers());
    b.otherMembers().stream().filter(m -> !others.contains(m)).forEach(others::add);
    return new HostGroup(
        a.id(), members, others, b.type().or(a::type), b.reservedRegions().or(a::reservedRegions));
  }

  /** What both parts say of a function; where they differ, the later one counts. */
  private static PciFunction merge(PciFunction a, PciFunction b) {
    return new PciFunction(
        a.address(),
        b.id().or(a::id),
        b.subsystem().or(a::subsystem),
        later(a, b, PciFunction::classCode, c -> c.progIf().isPresent()),
        b.headerType().or(a::headerType),
        b.pcieType().or(a::pcieType),
        later(a.driver(), b.driver()),
        later(a.group(), b.group()),
        later(a.physicalFunction(), b.physicalFunction()),
        b.numVfs().or(a::numVfs),
        b.totalVfs().or(a::totalVfs),
        b.resetMethods().or(a::resetMethods),
        b.resettable().or(a::resettable),
        later(a.numaNode(), b.numaNode()),
        later(a.acs(), b.acs()),
        later(a.parent(), b.parent()),
        b.buses().or(a::buses),
        b.iommuUnit().or(a::iommuUnit),
        b.identityMaps().isEmpty() ? a.identityMaps() : b.identityMaps(),
        b.rmrrLocked().or(a::rmrrLocked),
        b.description().or(a::description),
        later(a.driverOverride(), b.driverOverride()));
  }

  private static <T> Optional<T> later(
      PciFunction a,
      PciFunction b,
      Function<PciFunction, Optional<T>> part,
      java.util.function.Predicate<T> full) {
    return part.apply(a).filter(full).isPresent()
        ? part.apply(a)
        : part.apply(b).or(() -> part.apply(a));
  }

  private static <T> Fact<T> later(Fact<T> a, Fact<T> b) {
    return b.isUnknown() || b.isNone() && a.value().isPresent() ? a : b;
  }

  private static List<HostTopology> named(
      List<Joined> joined, String name, HostSetup common, List<TextReading.LostLine> losses) {
    boolean anyGroups = joined.stream().anyMatch(j -> !j.host.groups().isEmpty());
    List<HostTopology> named = new ArrayList<>();
    LinkedHashMap<Joined, String> kept = new LinkedHashMap<>();
    for (Joined host : joined) {
      boolean log = host.sections.stream().anyMatch(TextSection::hasLog);
      String plain = (log ? "boot-" : "listing-") + (kept.size() + 1);
      kept.put(host, host.label.isEmpty() ? plain : host.label);
    }
    List<Loss> quoted = new ArrayList<>();
    if (anyGroups && kept.size() > 1) {
      // One function without a group beside listings with them is a quotation, and told as such.
      for (Joined host : List.copyOf(kept.keySet())) {
        if (host.host.groups().isEmpty() && host.host.functions().size() < 2) {
          kept.remove(host);
          host.host.functions().forEach(f -> quoted.add(quotation(host, f)));
        }
      }
    }
    kept.forEach(
        (host, label) -> {
          List<Loss> own = new ArrayList<>(host.losses);
          own.addAll(quoted);
          for (TextReading.LostLine lost : losses) {
            boolean elsewhere =
                kept.keySet().stream()
                    .anyMatch(j -> !Objects.equals(j, host) && j.sections.contains(lost.section()));
            if (host.sections.contains(lost.section()) || !elsewhere) {
              own.add(lost.loss());
            }
          }
          HostTopology whole = host.host.with(common.and(host.host.setup())).with(own);
          if (kept.size() > 1 && label.startsWith("kernel-") && whole.kernel().isEmpty()) {
            whole = whole.onKernel(label.substring("kernel-".length()));
          }
          named.add(whole.named(kept.size() == 1 ? name : label));
        });
    return named;
  }

  private static Loss quotation(Joined host, PciFunction function) {
    int line =
        host.sections.stream().mapToInt(s -> s.host().lineOf(function.address())).max().orElse(0);
    String text = function.address() + function.id().map(id -> " [" + id + "]").orElse("");
    return new Loss(line, text, Loss.Reason.CONTRADICTED);
  }
}
