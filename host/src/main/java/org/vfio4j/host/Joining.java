// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import org.vfio4j.host.input.BadInputException;

/**
 * Makes hosts of the sections of a text. What one person pastes into one file is one host, joined
 * by address; sections that contradict each other on an id, a class or a group are of several
 * machines or of several states of one.
 */
final class Joining {

  /** More machines and boots than people paste into one file. */
  private static final int MAX_HOSTS = 256;

  /** A host that sections are being joined to. */
  private static final class Joined {
    private final List<HostTopology> parts = new ArrayList<>();
    private final List<TextSection> sections = new ArrayList<>();
    private final List<Loss> losses = new ArrayList<>();
    private final NavigableMap<PciAddress, PciFunction> functions = new TreeMap<>();
    private final Map<Integer, HostGroup> groups = new HashMap<>();
    private Optional<String> kernel = Optional.empty();
    private String label = "";

    Joined(HostTopology part, String label, TextSection section) {
      add(part, label, section);
    }

    void add(HostTopology part, String itsLabel, TextSection section) {
      parts.add(part);
      sections.add(section);
      losses.addAll(part.losses());
      part.functions().forEach(f -> functions.merge(f.address(), f, Joining::merge));
      part.groups().forEach(g -> groups.merge(g.id(), g, Joining::merge));
      kernel = kernel.or(part::kernel);
      label = label.isEmpty() ? itsLabel : label;
    }

    /** Whether the part may be of this host: on no id, class or group do they differ. */
    boolean agrees(HostTopology part, String itsLabel) {
      boolean otherKernel =
          itsLabel.startsWith("kernel-") && label.startsWith("kernel-") && !itsLabel.equals(label);
      if (otherKernel || !agree(kernel, part.kernel())) {
        return false;
      }
      for (PciFunction function : part.functions()) {
        PciFunction known = functions.get(function.address());
        if (known != null && !agree(known, function)) {
          return false;
        }
      }
      return true;
    }

    int lineOf(PciAddress function) {
      return sections.stream().mapToInt(s -> s.host().lineOf(function)).max().orElse(0);
    }

    boolean isEmpty() {
      return functions.isEmpty() && groups.isEmpty();
    }

    private List<MdevOffers> mdevParents() {
      Map<String, MdevOffers> found = new LinkedHashMap<>();
      for (HostTopology part : parts) {
        part.mdevParents().forEach(p -> found.merge(p.device(), p, MdevOffers::and));
      }
      return List.copyOf(found.values());
    }

    /** What the parts have of something, each once: the first counts. */
    private <T> List<T> once(Function<HostTopology, List<T>> part, Function<T, Object> key) {
      Map<Object, T> found = new LinkedHashMap<>();
      parts.forEach(p -> part.apply(p).forEach(t -> found.putIfAbsent(key.apply(t), t)));
      return List.copyOf(found.values());
    }

    /** The host of all parts; where they differ, the later one counts. */
    HostTopology host() {
      HostTopology first = parts.getFirst();
      if (parts.size() == 1) {
        return first.with(List.<Loss>of());
      }
      Origin origin = first.origin();
      IommuFacts iommu = first.iommu();
      HostSetup setup = first.setup();
      Map<Role, List<PciAddress>> carriers = new HashMap<>(first.roles().carriers());
      for (HostTopology part : parts.subList(1, parts.size())) {
        boolean plain = origin == Origin.LISTING || origin == Origin.DMESG;
        origin = plain ? part.origin() : origin;
        iommu = iommu.and(part.iommu());
        setup = setup.and(part.setup());
        part.roles()
            .carriers()
            .forEach((role, list) -> carriers.merge(role, list, Joining::together));
      }
      FunctionRules.Repaired repaired = FunctionRules.repair(functions.values());
      repaired.contradictions().forEach(c -> losses.add(c.loss(lineOf(c.function()))));
      return new HostTopology(
          first.name(),
          origin,
          kernel,
          parts.stream().anyMatch(HostTopology::partial),
          repaired.functions(),
          List.copyOf(groups.values()),
          mdevParents(),
          once(HostTopology::mdevs, Mdev::uuid),
          once(HostTopology::mdevDefinitions, MdevDefinition::file),
          iommu,
          new Roles(carriers, EnumSet.allOf(Role.class), first.roles().because()),
          setup,
          List.of());
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
      join(source, hosts, part, label, section);
    }
    hosts.removeIf(j -> j.isEmpty() && hosts.size() > 1);
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
      String source, List<Joined> hosts, HostTopology part, String label, TextSection section) {
    for (Joined known : hosts.reversed()) {
      if (known.agrees(part, label)) {
        known.add(part, label, section);
        return;
      }
    }
    if (hosts.size() == MAX_HOSTS) {
      throw new BadInputException(
          source, 0, "", "more than " + MAX_HOSTS + " machines or boots that differ: no capture");
    }
    hosts.add(new Joined(part, label, section));
  }

  private static boolean agree(PciFunction a, PciFunction b) {
    return agree(a.id(), b.id())
        && agree(a.classCode().map(PciClass::code16), b.classCode().map(PciClass::code16))
        && agree(a.group().value(), b.group().value());
  }

  private static <T> boolean agree(Optional<T> a, Optional<T> b) {
    return a.isEmpty() || b.isEmpty() || a.equals(b);
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
        later(a.driverOverride(), b.driverOverride()),
        b.vgpu().or(a::vgpu),
        both(a.signs(), b.signs()));
  }

  private static <T> Set<T> both(Set<T> a, Set<T> b) {
    Set<T> both = new HashSet<>(a);
    both.addAll(b);
    return both;
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
    List<Joined> kept = new ArrayList<>(joined);
    List<Loss> quoted = new ArrayList<>();
    if (kept.size() > 1 && joined.stream().anyMatch(j -> !j.groups.isEmpty())) {
      // One function without a group beside listings with them is a quotation, and told as such.
      for (Joined host : joined) {
        if (host.groups.isEmpty() && host.functions.size() < 2) {
          kept.remove(host);
          host.functions.values().forEach(f -> quoted.add(quotation(host, f)));
        }
      }
    }
    Map<TextSection, List<Loss>> own = new IdentityHashMap<>();
    List<Loss> ofAll = new ArrayList<>(quoted);
    kept.forEach(j -> j.sections.forEach(s -> own.put(s, j.losses)));
    losses.forEach(l -> own.getOrDefault(l.section(), ofAll).add(l.loss()));
    List<HostTopology> named = new ArrayList<>();
    for (Joined host : kept) {
      boolean log = host.sections.stream().anyMatch(TextSection::hasLog);
      String plain = (log ? "boot-" : "listing-") + (joined.indexOf(host) + 1);
      String label = host.label.isEmpty() ? plain : host.label;
      HostTopology whole = host.host();
      host.losses.addAll(ofAll);
      host.losses.sort(Comparator.comparingInt(Loss::line));
      whole = whole.with(common.and(whole.setup())).with(host.losses);
      if (kept.size() > 1 && label.startsWith("kernel-") && whole.kernel().isEmpty()) {
        whole = whole.onKernel(label.substring("kernel-".length()));
      }
      named.add(whole.named(kept.size() == 1 ? name : label));
    }
    return named;
  }

  private static Loss quotation(Joined host, PciFunction function) {
    int line = host.lineOf(function.address());
    String text = function.address() + function.id().map(id -> " [" + id + "]").orElse("");
    return new Loss(line, text, Loss.Reason.CONTRADICTED);
  }
}
