// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.iommu.ReservedRegion;

/** Collects one host from a source and remembers where each thing was said. Not thread-safe. */
final class HostBuilder {

  /** What is said of a group beside its PCI functions. */
  private static final class GroupNotes {
    private final Set<String> others = new LinkedHashSet<>();
    private Optional<String> type = Optional.empty();
    private Optional<List<ReservedRegion>> regions = Optional.empty();
  }

  /**
   * A place in the source.
   *
   * @param line 1-based, or 0
   * @param path path of the object in a tree, or an empty text
   */
  record Place(int line, String path) {}

  /** As many functions as a PCI domain has. */
  private static final int MAX_FUNCTIONS = 65_536;

  /** As many ranges or types as one device may have. */
  static final int MAX_PARTS = 1024;

  private final String source;
  private final NavigableMap<PciAddress, PciFunction.Builder> functions = new TreeMap<>();
  private final Map<PciAddress, Integer> groupOf = new HashMap<>();
  private final Map<String, Integer> otherGroupOf = new HashMap<>();
  private final NavigableMap<Integer, GroupNotes> groups = new TreeMap<>();
  private final NavigableMap<String, MdevOffers> mdevParents = new TreeMap<>();
  private final Map<UUID, Mdev> mdevs = new HashMap<>();
  private final Map<Path, MdevDefinition> definitions = new TreeMap<>();
  private final Map<Role, List<PciAddress>> roles = new HashMap<>();
  private final Set<Role> partlyKnown = EnumSet.noneOf(Role.class);
  private final Map<PciAddress, List<String>> because = new HashMap<>();
  private final Map<String, Place> places = new HashMap<>();
  private final List<Loss> losses = new ArrayList<>();
  private IommuFacts iommu = IommuFacts.UNKNOWN;
  private HostSetup setup = HostSetup.UNKNOWN;
  private Optional<String> kernel = Optional.empty();

  HostBuilder(String source) {
    this.source = source;
  }

  BadInputException error(Place place, String field, String message) {
    String path = place.path().isEmpty() || field.isEmpty() ? place.path() : place.path() + ".";
    return new BadInputException(source, place.line(), path + field, message);
  }

  boolean has(PciAddress address) {
    return functions.containsKey(address);
  }

  /** The line that named a function first; 0 where none did. */
  int lineOf(PciAddress address) {
    return places.getOrDefault(address.toString(), new Place(0, "")).line();
  }

  boolean isEmpty() {
    return functions.isEmpty() && groups.isEmpty() && !hasMdevs();
  }

  private boolean hasMdevs() {
    return !mdevParents.isEmpty() || !mdevs.isEmpty() || !definitions.isEmpty();
  }

  boolean hasGroups() {
    return !groups.isEmpty();
  }

  Iterable<PciFunction.Builder> functions() {
    return functions.values();
  }

  /** The function at this address, which must be new. */
  PciFunction.Builder newFunction(PciAddress address, Place place) {
    if (functions.containsKey(address)) {
      Place first = places.getOrDefault(address.toString(), place);
      String where = first.line() > 0 ? " (first in line " + first.line() + ")" : "";
      throw error(place, "address", "two functions have the address " + address + where);
    }
    places.put(address.toString(), place);
    return function(address, place);
  }

  /**
   * The function of an address that looks like one.
   *
   * @throws BadInputException if it is none: its domain needs more than 31 bits
   */
  PciFunction.Builder function(String address, Place place) {
    return function(
        PciAddress.tryParse(address)
            .orElseThrow(() -> error(place, "address", "no PCI address: " + address)),
        place);
  }

  /** The function at this address, known before or not. */
  PciFunction.Builder function(PciAddress address, Place place) {
    PciFunction.Builder known = functions.get(address);
    if (known != null) {
      return known;
    }
    if (functions.size() >= MAX_FUNCTIONS) {
      throw error(place, "", "more than " + MAX_FUNCTIONS + " functions: no capture of a host");
    }
    places.putIfAbsent(address.toString(), place);
    PciFunction.Builder added = PciFunction.builder(address);
    functions.put(address, added);
    return added;
  }

  /** Says that a device, which is a PCI function or another device, is in this group. */
  void member(int group, String device, Place place) {
    groupNotes(group);
    Optional<PciAddress> address = PciAddress.tryParse(device);
    Integer before =
        address.isPresent() ? groupOf.put(address.get(), group) : otherGroupOf.put(device, group);
    if (before != null && before != group) {
      throw error(place, "group", TopologyRules.inTwoGroups(device, before, group));
    }
    if (address.isPresent()) {
      function(address.get(), place).group(Fact.known(group));
    } else if (before == null) {
      groupNotes(group).others.add(device);
    }
  }

  /** Says that a device left its group: a later {@link #member} may name another. */
  void removeMember(String device) {
    Optional<PciAddress> address = PciAddress.tryParse(device);
    Integer group =
        address.isPresent() ? groupOf.remove(address.get()) : otherGroupOf.remove(device);
    address.map(functions::get).ifPresent(f -> f.group(Fact.unknown()));
    if (group != null) {
      groupNotes(group).others.remove(device);
    }
  }

  boolean isGrouped(PciAddress address) {
    return groupOf.containsKey(address);
  }

  /** Says that what follows is of this group, which must not have been described before. */
  void newGroup(int group, Place place) {
    if (places.putIfAbsent("group " + group, place) != null) {
      throw error(place, "id", "two groups have the number " + group);
    }
    groupNotes(group);
  }

  void groupType(int group, String type) {
    groupNotes(group).type = Optional.of(type);
  }

  void groupRegions(int group, List<ReservedRegion> regions) {
    groupNotes(group).regions = Optional.of(regions);
  }

  void addGroupRegion(int group, ReservedRegion region, Place place) {
    List<ReservedRegion> all = new ArrayList<>(groupNotes(group).regions.orElse(List.of()));
    checkParts(all.size(), place);
    if (!all.contains(region)) {
      all.add(region);
    }
    groupRegions(group, all);
  }

  void checkParts(int size, Place place) {
    if (size >= MAX_PARTS) {
      throw error(place, "", "more than " + MAX_PARTS + " of these for one device or group");
    }
  }

  private GroupNotes groupNotes(int group) {
    return groups.computeIfAbsent(group, g -> new GroupNotes());
  }

  void mdevParent(MdevOffers parent, Place place) {
    places.putIfAbsent(parent.device(), place);
    if (mdevParents.put(parent.device(), parent) != null) {
      throw error(place, "device", "two mdev parents have the name " + parent.device());
    }
  }

  /** Adds a type to a parent, which need not be known before. */
  void mdevType(String parent, MdevType type, Place place) {
    places.putIfAbsent(parent, place);
    MdevOffers before = mdevParents.get(parent);
    checkParts(before == null ? 0 : before.types().size(), place);
    mdevParents.merge(
        parent, new MdevOffers(parent, List.of(type), Optional.empty()), MdevOffers::and);
  }

  void mdev(Mdev mdev, Place place) {
    if (mdevs.put(mdev.uuid(), mdev) != null) {
      throw error(place, "uuid", "two mediated devices have the UUID " + mdev.uuid());
    }
    places.put(mdev.uuid().toString(), place);
  }

  /** Adds a mediated device that a text lists, and the type that its parent offers. */
  void mdevAsListed(UUID uuid, String parent, Optional<String> type, Place place) {
    mdevs.putIfAbsent(uuid, new Mdev(uuid, parent, type, Optional.empty(), Fact.unknown()));
    places.putIfAbsent(uuid.toString(), place);
    type.ifPresent(t -> mdevType(parent, MdevType.of(t), place));
  }

  /** Adds a definition, in place of one that says less. */
  void redefine(MdevDefinition definition) {
    definitions.merge(
        definition.file(),
        definition,
        (old, other) -> other.attributes().size() < old.attributes().size() ? old : other);
  }

  /** Adds a definition; false, and nothing is added, if there is one of its name and parent. */
  boolean mdevDefinition(MdevDefinition definition) {
    return definitions.putIfAbsent(definition.file(), definition) == null;
  }

  /** Says that a role is known, and who carries it. */
  void role(Role role, List<PciAddress> carriers) {
    role(role, carriers, false);
  }

  /**
   * Says who carries a role.
   *
   * @param partly whether there may be others
   */
  void role(Role role, List<PciAddress> carriers, boolean partly) {
    roles.computeIfAbsent(role, r -> new ArrayList<>()).addAll(carriers);
    if (partly) {
      partlyKnown.add(role);
    }
  }

  /** Says what the host uses of a function, in words. */
  void because(PciAddress function, List<String> uses) {
    because.computeIfAbsent(function, f -> new ArrayList<>()).addAll(uses);
  }

  void iommu(IommuFacts facts) {
    iommu = facts;
  }

  void setup(HostSetup how) {
    setup = setup.and(how);
  }

  void lost(Loss loss) {
    losses.add(loss);
  }

  void kernel(String version) {
    kernel = Optional.of(version);
  }

  Optional<String> kernel() {
    return kernel;
  }

  /**
   * Where one function has {@code reset_method}, the kernel has this attribute for all that can be
   * reset: those without it cannot.
   */
  void settleResets() {
    List<PciFunction.Builder> open = new ArrayList<>();
    boolean any = false;
    for (PciFunction.Builder function : functions.values()) {
      PciFunction f = function.build();
      any |= f.resetMethods().isPresent();
      if (f.resettable().isEmpty()) {
        open.add(function);
      }
    }
    if (any) {
      open.forEach(f -> f.resetMethods(Optional.of(List.of())));
    }
  }

  /** What contradicts the rest, as damaged texts do, does not count and is told. */
  private void leaveOutContradictions() {
    List<PciFunction> built = new ArrayList<>();
    functions.values().forEach(f -> built.add(f.build()));
    FunctionRules.Repaired repaired = FunctionRules.repair(built);
    for (FunctionRules.Contradiction each : repaired.contradictions()) {
      losses.add(each.loss(lineOf(each.function())));
    }
    if (!repaired.contradictions().isEmpty()) {
      repaired.functions().forEach(f -> functions.put(f.address(), f.toBuilder()));
    }
  }

  /**
   * The host; it counts as partial where a function names a PF or bridge that is not there, or
   * where no member of a group is.
   */
  HostTopology buildPerhapsPartial(String name, Origin origin) {
    leaveOutContradictions();
    boolean partial =
        functions.values().stream()
            .map(PciFunction.Builder::build)
            .anyMatch(
                f ->
                    f.physicalFunction().value().filter(a -> !has(a)).isPresent()
                        || f.parent().value().filter(a -> !has(a)).isPresent());
    boolean strayParent =
        mdevParents.values().stream().anyMatch(p -> p.address().filter(a -> !has(a)).isPresent());
    boolean strayMdev =
        mdevs.values().stream().anyMatch(m -> m.parentAddress().filter(a -> !has(a)).isPresent());
    boolean strayRole = roles.values().stream().flatMap(List::stream).anyMatch(a -> !has(a));
    Set<Integer> inhabited = new HashSet<>(groupOf.values());
    boolean strayGroup =
        groups.entrySet().stream()
            .anyMatch(g -> g.getValue().others.isEmpty() && !inhabited.contains(g.getKey()));
    return build(name, origin, partial || strayParent || strayMdev || strayRole || strayGroup);
  }

  /** The host, checked; a violation is reported with its place in the source. */
  HostTopology build(String name, Origin origin, boolean partial) {
    List<PciFunction> built = functions.values().stream().map(PciFunction.Builder::build).toList();
    Map<Integer, List<PciAddress>> members = new HashMap<>();
    groupOf.forEach((a, g) -> members.computeIfAbsent(g, k -> new ArrayList<>()).add(a));
    List<HostGroup> hostGroups = new ArrayList<>();
    groups.forEach(
        (id, notes) ->
            hostGroups.add(
                new HostGroup(
                    id,
                    members.getOrDefault(id, List.of()),
                    List.copyOf(notes.others),
                    notes.type,
                    notes.regions)));
    List<MdevOffers> parents = List.copyOf(mdevParents.values());
    List<Mdev> children = List.copyOf(mdevs.values());
    List<MdevDefinition> defined = List.copyOf(definitions.values());
    Roles duties = new Roles(roles, partlyKnown, because);
    TopologyRules.firstViolation(partial, built, hostGroups, parents, children, defined, duties)
        .ifPresent(
            v -> {
              Place place = places.getOrDefault(v.subject(), new Place(0, ""));
              throw error(place, v.field(), v.message());
            });
    return new HostTopology(
        name,
        origin,
        kernel,
        partial,
        built,
        hostGroups,
        parents,
        children,
        defined,
        iommu,
        duties,
        setup,
        losses);
  }
}
