// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * What a machine looks like: its PCI functions, IOMMU groups and mediated devices. Consistent by
 * construction: no address twice, no function in two groups, no cycle of bridges.
 *
 * @param name name of the host within its source
 * @param origin the kind of source
 * @param kernel version of the running kernel, as {@code uname -r} gives it
 * @param partial whether the source shows only a part of the machine, so that a PF or a bridge
 *     which a function names may be missing
 * @param functions the functions, sorted by address
 * @param groups the groups that hold PCI functions or platform devices, sorted by number; the
 *     groups of mediated devices are in {@code mdevs}
 * @param mdevParents devices that offer mediated devices, sorted by name
 * @param mdevs the mediated devices that exist, sorted by UUID
 * @param mdevDefinitions the mediated devices that mdevctl keeps, whether they exist or not, sorted
 *     by parent and UUID
 * @param iommu what is known of the IOMMU
 * @param roles which functions carry the host's own disk, network and console
 * @param setup how the host was started
 * @param losses lines of the source that name something of the host and do not count in this value
 */
public record HostTopology(
    String name,
    Origin origin,
    Optional<String> kernel,
    boolean partial,
    List<PciFunction> functions,
    List<HostGroup> groups,
    List<MdevOffers> mdevParents,
    List<Mdev> mdevs,
    List<MdevDefinition> mdevDefinitions,
    IommuFacts iommu,
    Roles roles,
    HostSetup setup,
    List<Loss> losses) {

  private static final Comparator<MdevDefinition> DEFINITIONS =
      Comparator.comparing(MdevDefinition::parent).thenComparing(d -> d.uuid().toString());

  /**
   * Sorts, copies and checks.
   *
   * @throws IllegalArgumentException if the parts contradict each other
   */
  public HostTopology {
    functions = sorted(functions, Comparator.comparing(PciFunction::address));
    groups = sorted(groups, Comparator.comparingInt(HostGroup::id));
    mdevParents = sorted(mdevParents, Comparator.comparing(MdevOffers::device));
    losses = List.copyOf(losses);
    mdevs = sorted(mdevs, Comparator.comparing(m -> m.uuid().toString()));
    mdevDefinitions = sorted(mdevDefinitions, DEFINITIONS);
    TopologyRules.firstViolation(
            partial, functions, groups, mdevParents, mdevs, mdevDefinitions, roles)
        .ifPresent(
            v -> {
              throw new IllegalArgumentException(v.subject() + ": " + v.message());
            });
  }

  /**
   * A host of which nothing is known beside its devices, and nothing is lost.
   *
   * @throws IllegalArgumentException if the parts contradict each other
   */
  public HostTopology(
      String name,
      Origin origin,
      Optional<String> kernel,
      boolean partial,
      List<PciFunction> functions,
      List<HostGroup> groups,
      List<MdevOffers> mdevParents,
      List<Mdev> mdevs,
      IommuFacts iommu,
      Roles roles) {
    this(
        name,
        origin,
        kernel,
        partial,
        functions,
        groups,
        mdevParents,
        mdevs,
        List.of(),
        iommu,
        roles,
        HostSetup.UNKNOWN,
        List.of());
  }

  private static <T> List<T> sorted(List<T> list, Comparator<T> order) {
    return list.stream().sorted(order).toList();
  }

  /** The function at this address. */
  public Optional<PciFunction> function(PciAddress address) {
    return find(functions, PciFunction::address, address);
  }

  /** The group with this number. */
  public Optional<HostGroup> group(int id) {
    return find(groups, HostGroup::id, id);
  }

  /** The group of the function at this address; empty if it has none or if that is unknown. */
  public Optional<HostGroup> groupOf(PciAddress address) {
    return function(address).flatMap(f -> f.group().value()).flatMap(this::group);
  }

  /** The functions of this group, sorted; empty if there is no such group. */
  public List<PciFunction> members(int group) {
    return group(group).stream()
        .flatMap(g -> g.members().stream())
        .flatMap(a -> function(a).stream())
        .toList();
  }

  /** The mediated device with this UUID. */
  public Optional<Mdev> mdev(UUID uuid) {
    return mdevs.stream().filter(m -> m.uuid().equals(uuid)).findFirst();
  }

  /** The definitions of this UUID: one, or one each of several parents. */
  public List<MdevDefinition> mdevDefinitions(UUID uuid) {
    return mdevDefinitions.stream().filter(d -> d.uuid().equals(uuid)).toList();
  }

  /** The mdev parent with this kernel name. */
  public Optional<MdevOffers> mdevParent(String device) {
    return mdevParents.stream().filter(p -> p.device().equals(device)).findFirst();
  }

  /** The VFs of this function, sorted. */
  public List<PciFunction> virtualFunctions(PciAddress physical) {
    Fact<PciAddress> wanted = Fact.known(physical);
    return functions.stream().filter(f -> f.physicalFunction().equals(wanted)).toList();
  }

  /** The functions right below this bridge, sorted. */
  public List<PciFunction> children(PciAddress bridge) {
    Fact<PciAddress> wanted = Fact.known(bridge);
    return functions.stream().filter(f -> f.parent().equals(wanted)).toList();
  }

  /** The known roles of the function at this address. */
  public Set<Role> rolesOf(PciAddress address) {
    return roles.of(address);
  }

  /** The same host with what is known of the function at this address replaced. */
  public HostTopology with(PciFunction changed) {
    return with(
        functions.stream().map(f -> f.address().equals(changed.address()) ? changed : f).toList(),
        groups);
  }

  /** The same host with other functions and groups. */
  public HostTopology with(List<PciFunction> otherFunctions, List<HostGroup> otherGroups) {
    return copy(
        c -> {
          c.functions = otherFunctions;
          c.groups = otherGroups;
        });
  }

  /** The same host with an IOMMU of which other things are known. */
  public HostTopology with(IommuFacts other) {
    return copy(c -> c.iommu = other);
  }

  /** The same host with other definitions of mediated devices. */
  public HostTopology withMdevDefinitions(List<MdevDefinition> others) {
    return copy(c -> c.mdevDefinitions = others);
  }

  /** The same host under another name. */
  public HostTopology named(String newName) {
    return copy(c -> c.name = newName);
  }

  /** The same host of which it is known otherwise how it was started. */
  HostTopology with(HostSetup other) {
    return copy(c -> c.setup = other);
  }

  /** The same host with this kernel. */
  HostTopology onKernel(String version) {
    return copy(c -> c.kernel = Optional.of(version));
  }

  /** The same host with these lines lost. */
  HostTopology with(List<Loss> lost) {
    return copy(c -> c.losses = lost);
  }

  /**
   * The same host without what the source has in words of its own: names, and lines as they are.
   */
  public HostTopology withoutDescriptions() {
    return copy(
        c -> {
          c.functions =
              functions.stream()
                  .map(f -> f.toBuilder().description(Optional.empty()).build())
                  .toList();
          c.mdevParents = mdevParents.stream().map(HostTopology::withoutDescription).toList();
          c.setup = new HostSetup(Optional.empty(), setup.moduleParameters(), setup.signs());
          c.losses = List.of();
        });
  }

  private HostTopology copy(Consumer<Copy> change) {
    Copy copy = new Copy(this);
    change.accept(copy);
    return new HostTopology(
        copy.name,
        origin,
        copy.kernel,
        partial,
        copy.functions,
        copy.groups,
        copy.mdevParents,
        mdevs,
        copy.mdevDefinitions,
        copy.iommu,
        roles,
        copy.setup,
        copy.losses);
  }

  /** The parts of a host that a changed one may have otherwise. */
  private static final class Copy {
    private String name;
    private Optional<String> kernel;
    private List<PciFunction> functions;
    private List<HostGroup> groups;
    private List<MdevOffers> mdevParents;
    private List<MdevDefinition> mdevDefinitions;
    private IommuFacts iommu;
    private HostSetup setup;
    private List<Loss> losses;

    private Copy(HostTopology host) {
      name = host.name;
      kernel = host.kernel;
      functions = host.functions;
      groups = host.groups;
      mdevParents = host.mdevParents;
      mdevDefinitions = host.mdevDefinitions;
      iommu = host.iommu;
      setup = host.setup;
      losses = host.losses;
    }
  }

  private static MdevOffers withoutDescription(MdevOffers parent) {
    List<MdevType> types =
        parent.types().stream()
            .map(
                t ->
                    new MdevType(
                        t.id(), t.name(), t.api(), t.availableInstances(), Optional.empty()))
            .toList();
    return new MdevOffers(parent.device(), types, parent.isolation());
  }

  private static <T, K extends Comparable<K>> Optional<T> find(
      List<T> sorted, Function<T, K> keyOf, K key) {
    int low = 0;
    int high = sorted.size() - 1;
    while (low <= high) {
      int middle = (low + high) >>> 1;
      T candidate = sorted.get(middle);
      int order = keyOf.apply(candidate).compareTo(key);
      if (order == 0) {
        return Optional.of(candidate);
      } else if (order < 0) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return Optional.empty();
  }
}
