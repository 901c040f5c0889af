// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.model;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.Ownership;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.model.World.Answer;
import org.vfio4j.model.World.Backing;
import org.vfio4j.model.World.Member;
import org.vfio4j.model.World.Step;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/**
 * A world on the real engine. No group has a default domain and the kernel is one that lets a
 * second attach replace the first: nothing but the engine's hold keeps two containers apart.
 */
final class Machine {
  private static final IommuUnit UNIT = IommuUnit.VT_D.withDefaultDomain(false);
  private static final List<ReservedRegion> MSI =
      List.of(new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI));
  private static final int BITS = 8;
  private static final int OWNERS = 32;

  private final World world;
  private final SoftIommu soft = new SoftIommu(KernelProfile.LINUX_5_10);
  private final CountedIommu iommu = new CountedIommu(soft);
  private final Map<Backing, IommuGroup> backings = new EnumMap<>(Backing.class);
  private final Map<Member, IommuGroup> groups = new EnumMap<>(Member.class);
  private final Map<IommuGroup, Member> members = new IdentityHashMap<>();
  private final Map<Backing, List<Member>> users = new EnumMap<>(Backing.class);
  private final List<Container> containers = new ArrayList<>();

  Machine(World world) {
    this.world = world;
    Map<Backing, Device> wrapped = new EnumMap<>(Backing.class);
    for (Backing backing : Backing.values()) {
      IommuGroup group = soft.addGroup(backing.ordinal(), UNIT, MSI);
      backings.put(backing, group);
      wrapped.put(backing, function(group, 0));
    }
    function(backings.get(Backing.R), 1);
    IommuGroup auxiliary = soft.addGroup(3, UNIT, MSI);
    Device parent = function(auxiliary, 0);
    soft.enableAux(parent, true);
    for (Member member : world.members) {
      Device by = member.backing.<Device>map(wrapped::get).orElse(parent);
      IommuGroup group =
          member.backing.isPresent() && !member.wraps
              ? backings.get(member.backing.get())
              : mediated(member, by);
      groups.put(member, group);
      members.put(group, member);
      member.backing.ifPresent(b -> users.computeIfAbsent(b, k -> new ArrayList<>()).add(member));
    }
    fill();
  }

  private SoftFunction function(IommuGroup group, int number) {
    SoftFunction made =
        SoftFunction.endpoint("0000:00:%02x.%d".formatted(group.id(), number), 0x1234, 0x11e8);
    soft.addDevice(group, made);
    return made;
  }

  private IommuGroup mediated(Member member, Device parent) {
    Isolation isolation =
        switch (member) {
          case P -> Isolation.PLAIN;
          case X -> new Isolation.Aux(parent);
          default -> new Isolation.Backed(parent);
        };
    IommuGroup own = soft.addGroup(10 + member.ordinal(), IommuUnit.NONE, List.of());
    soft.addDevice(own, new MediatedDevice(member.name(), "type", parent, isolation));
    return own;
  }

  private void fill() {
    for (int c = 0; c < world.containers; c++) {
      containers.add(
          new Container("c" + c, iommu, KernelProfile.LINUX_5_10, Type1.V2, new Type1Parameters()));
    }
  }

  /** Releases all containers, which must leave nothing behind, and starts with new ones. */
  void reset() {
    containers.forEach(Container::close);
    check(state() == 0, "something is attached after the release");
    check(soft.census().equals(SoftIommu.Census.EMPTY), "the release left " + soft.census());
    containers.clear();
    fill();
  }

  /**
   * Does a step; an errno that the rules do not know is an error.
   *
   * @param from the state before it
   */
  Answer perform(Step step, long from) {
    Container container = containers.get(step.container());
    IommuGroup group = groups.get(step.member());
    boolean backed = step.member().backing.isPresent();
    int before = iommu.touched();
    if (step.attach()) {
      try {
        container.attach(group);
      } catch (VfioException refused) {
        check(iommu.touched() == before, "refused, but the hardware was touched");
        return Answer.valueOf(refused.errno().name());
      }
      return backed && iommu.touched() == before ? Answer.JOINED : Answer.OK;
    }
    container.detach(group);
    if (!has(from, step.container(), step.member())) {
      check(iommu.touched() == before, "nothing detached, but the hardware was touched");
      return Answer.NOTHING;
    }
    return backed && iommu.touched() == before ? Answer.LEFT : Answer.LAST;
  }

  /**
   * The state, as the model packs it: eight bits for the set of each container, three from bit 32
   * for the owner of each backing group. All of it is asked of the engine, and what the hardware
   * does must follow from it.
   */
  long state() {
    long state = 0;
    for (int c = 0; c < containers.size(); c++) {
      state |= attached(c) << (BITS * c);
    }
    for (Backing backing : Backing.values()) {
      state |= (long) owner(backing, state) << (OWNERS + 3 * backing.ordinal());
    }
    int aux = 0;
    for (int c = 0; c < containers.size(); c++) {
      aux += has(state, c, Member.X) ? 1 : 0;
    }
    check(iommu.aux() == aux, "aux attaches do not match the aux groups (S8)");
    return state;
  }

  /**
   * The state after a step that is said to have changed nothing, or was undone, by asking only
   * where it could have: of its container and of who holds what it is about.
   */
  long unchanged(Step step, long from) {
    long there = from >> (BITS * step.container()) & 0xff;
    check(attached(step.container()) == there, "the container has not the groups that it had (I4)");
    step.member()
        .backing
        .ifPresent(
            b -> {
              int owner = (int) (from >> (OWNERS + 3 * b.ordinal()) & 7);
              Ownership.@Nullable Owner holder = backings.get(b).ownership().who().orElse(null);
              check(
                  holder == (owner == 0 ? null : containers.get(owner - 1)),
                  "the backing group has not the holder that it had (I4)");
            });
    return from;
  }

  private long attached(int container) {
    long attached = 0;
    for (IommuGroup group : containers.get(container).groups()) {
      attached |= 1L << members.get(group).ordinal();
    }
    return attached;
  }

  private int owner(Backing backing, long state) {
    IommuGroup group = backings.get(backing);
    Ownership.@Nullable Owner holder = group.ownership().who().orElse(null);
    @Nullable IommuDomain domain = soft.domainOf(group).orElse(null);
    int owner = 0;
    for (int c = 0; c < containers.size(); c++) {
      Container container = containers.get(c);
      int uses = 0;
      for (Member member : users.getOrDefault(backing, List.of())) {
        if (has(state, c, member)) {
          uses++;
          check(on(container, member) == domain, "an entry is not on its hardware (I7)");
        }
      }
      check(container.useCount(group) == uses, "the use count is not the number of entries");
      if (uses > 0) {
        check(owner == 0, "a backing group is in two containers (I2)");
        check(holder == container, "a container has a user, but no hold");
        owner = c + 1;
      }
    }
    int attaches = owner == 0 ? 0 : 1;
    check(iommu.attaches(group) == attaches, "hardware attaches do not match the users (I1)");
    check((domain != null) == (owner != 0), "hardware without an entry (I7)");
    check((holder != null) == (owner != 0), "held, but not used (S7)");
    return owner;
  }

  private @Nullable IommuDomain on(Container container, Member member) {
    return container.domainOf(groups.get(member)).map(CountedIommu::real).orElse(null);
  }

  private static boolean has(long state, int container, Member member) {
    return (state >> (BITS * container + member.ordinal()) & 1) != 0;
  }

  private static void check(boolean holds, String otherwise) {
    if (!holds) {
      throw new AssertionError(otherwise);
    }
  }
}
