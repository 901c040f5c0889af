// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.vfio4j.attack.Ledger.Area;
import org.vfio4j.attack.Ledger.Box;
import org.vfio4j.attack.Ledger.Kind;
import org.vfio4j.attack.Ledger.Vgroup;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.type1.Container;

/** I1 to I8 of the reference, asked of the engine and compared with the ledger. */
final class Invariants {
  /** Addresses that are asked for beside the ends of all mappings. */
  private static final String PLAIN = "plain";

  private static final long[] PROBES = {0, 0x10000, 0x14000, 0x16000, 0xfee00000L, 1L << 39};

  private final World world;
  private final Ledger ledger;
  private final SoftIommu iommu;

  Invariants(World world, Ledger ledger) {
    this.world = world;
    this.ledger = ledger;
    this.iommu = world.machine.iommu();
  }

  void check() {
    for (Map.Entry<Integer, IommuGroup> each : world.physical.entrySet()) {
      checkBacking(each.getKey(), each.getValue());
    }
    for (Box box : ledger.boxes) {
      if (box.live()) {
        checkContainer(box);
      }
    }
    checkCensus();
    checkWaiting();
    for (int p = 0; p < World.PROCESSES; p++) {
      long locked = world.processes.get(p).memory().lockedPages();
      Violation.when(
          locked != ledger.locked(p),
          "I4",
          "locked pages of process %d: %d, should be %d",
          p,
          locked,
          ledger.locked(p));
    }
    checkDma();
  }

  private void checkBacking(int id, IommuGroup group) {
    List<Vgroup> users = ledger.users(id);
    Optional<IommuDomain> domain = iommu.domainOf(group);
    Violation.when(
        domain.isPresent() != !users.isEmpty(),
        users.isEmpty() ? "I7" : "I1",
        "%s has %s domain with %d users",
        group,
        domain.isPresent() ? "a" : "no",
        users.size());
    Optional<Container> holder = users.stream().findFirst().map(u -> u.in().container());
    Violation.when(
        !group.ownership().who().equals(holder),
        "I2",
        "%s is held by %s, should be by %s",
        group,
        group.ownership().who(),
        holder);
    for (Box box : ledger.boxes) {
      long here = users.stream().filter(u -> u.in() == box).count();
      int count = box.live() ? box.container().useCount(group) : 0;
      Violation.when(count != here, "I7", "use count of %s: %d, should be %d", group, count, here);
    }
    for (Vgroup user : users) {
      Container container = user.in().container();
      Violation.when(
          user.in() != users.getFirst().in(), "I2", "%s is attached in two containers", group);
      Violation.when(
          !domain.equals(container.domainOf(user.group).map(FaultyIommu::real)),
          "I1",
          "%s is not on the domain that its container names",
          group);
    }
  }

  private void checkContainer(Box box) {
    Container container = box.container();
    List<IommuGroup> groups = container.groups();
    Set<IommuGroup> expected = new HashSet<>();
    box.groups.forEach(g -> expected.add(g.group));
    Violation.when(
        groups.size() != expected.size() || !expected.containsAll(groups),
        "I7",
        "groups of %s: %s, should be %s",
        container,
        groups,
        expected);
    Violation.when(
        container.mappings() != box.areas.size(),
        "I4",
        "mappings: %d, should be %d",
        container.mappings(),
        box.areas.size());
    Violation.when(
        container.domains() > 0 != box.served(),
        "I7",
        "%d domains, should %s",
        container.domains(),
        box.served() ? "have one" : "be none");
    List<IovaRange> ranges = container.info().ranges();
    List<IovaRange> allowed = ranges(box);
    Violation.when(!ranges.equals(allowed), "I4", "IOVA ranges: %s, should be %s", ranges, allowed);
    Violation.when(
        container.info().entries() != 65535 - box.areas.size(),
        "I4",
        "entries left: %s",
        container.info());
  }

  /** The IOVAs that all groups of a container leave usable. */
  private List<IovaRange> ranges(Box box) {
    if (!ledger.profile.iovaRanges() || !box.hadDomain) {
      return List.of();
    }
    long last = -1L;
    TreeMap<Long, Long> holes = new TreeMap<>();
    for (Vgroup g : box.groups) {
      if (g.kind != Kind.PLAIN) {
        last =
            Long.compareUnsigned(Answers.lastOf(g.physical), last) < 0
                ? Answers.lastOf(g.physical)
                : last;
      }
      if (g.backing() != Ledger.NO_GROUP) {
        holes.putAll(Answers.reserved(g.physical));
      }
    }
    List<IovaRange> left = new ArrayList<>();
    long start = 0;
    for (Map.Entry<Long, Long> hole : holes.entrySet()) {
      left.add(new IovaRange(start, hole.getKey() - 1));
      start = hole.getValue() + 1;
    }
    left.add(new IovaRange(start, last));
    return left;
  }

  private void checkCensus() {
    int domains = 0;
    int held = 0;
    int claims = 0;
    int references = 0;
    Set<List<Object>> pasids = new HashSet<>();
    for (Box box : ledger.boxes) {
      if (box.live()) {
        domains += box.container().domains();
      }
      for (Vgroup g : box.groups) {
        if (g.attached() && g.kind == Kind.AUX) {
          pasids.add(List.of(g.physical, box.container().domainOf(g.group).orElseThrow()));
        }
        references += g.attached() && g.backing() != Ledger.NO_GROUP ? 1 : 0;
      }
    }
    for (int id : world.physical.keySet()) {
      claims += ledger.claims(id);
      held += ledger.users(id).isEmpty() ? 0 : 1;
    }
    SoftIommu.Census should =
        new SoftIommu.Census(domains, references + claims, pasids.size(), held, claims);
    SoftIommu.Census census = iommu.census();
    Violation.when(!census.equals(should), "I3", "%s, should be %s", census, should);
  }

  private void checkWaiting() {
    for (int device : ledger.waiting) {
      Violation.when(!ledger.mayWait(device), "I5", "%s waits for nobody", World.NAMES.get(device));
    }
  }

  /** I8: a device reaches what its container maps, as it maps it, and nothing else. */
  private void checkDma() {
    for (int id : world.physical.keySet()) {
      IommuGroup group = world.physical.get(id);
      List<Vgroup> users = ledger.users(id);
      for (Device device : group.devices()) {
        checkPort(
            iommu.port(device),
            users.isEmpty() ? Optional.empty() : Optional.of(users.getFirst().in()));
      }
    }
    for (Vgroup g : ledger.groups.values()) {
      if (g.attached() && g.kind == Kind.PLAIN) {
        checkPort(g.in().container().emulatedPort(PLAIN, f -> {}), Optional.of(g.in()));
      }
      if (g.attached() && g.kind == Kind.AUX) {
        IommuDomain domain = g.in().container().domainOf(g.group).orElseThrow();
        Device parent = world.machine.device(World.parent(g.key)).orElseThrow();
        checkPort(iommu.port(parent, FaultyIommu.real(domain)), Optional.of(g.in()));
      }
    }
  }

  private void checkPort(DmaPort port, Optional<Box> box) {
    for (long probe : PROBES) {
      checkAddress(port, box, probe);
    }
    for (Box any : ledger.boxes) {
      for (Area area : any.areas.values()) {
        checkAddress(port, box, area.iova());
        checkAddress(port, box, area.last() & -World.PAGE);
        checkAddress(port, box, area.last() + 1);
      }
    }
  }

  private void checkAddress(DmaPort port, Optional<Box> box, long iova) {
    Optional<Area> area =
        box.flatMap(b -> Optional.ofNullable(b.areas.floorEntry(iova)))
            .map(Map.Entry::getValue)
            .filter(a -> a.last() >= iova)
            .filter(a -> a.vaddr() + (iova - a.iova()) < end(a.prot()));
    boolean reaches = port.reaches(iova, 0);
    Violation.when(
        reaches != area.isPresent(),
        "I8",
        "%s %s 0x%x",
        port.device(),
        reaches ? "reaches" : "does not reach",
        iova);
    if (reaches) {
      checkMemory(port, area.orElseThrow(), iova);
    }
  }

  private static long end(int prot) {
    return (World.WRITABLE + ((prot & Mapping.WRITE) == 0 ? World.READ_ONLY : 0)) * World.PAGE;
  }

  /** Some kernels let devices behind their IOMMU read what is mapped for writing only. */
  private int allowed(DmaPort port, int prot) {
    boolean behindIommu = !port.device().equals(PLAIN);
    boolean readableToo = behindIommu && ledger.profile.writeOnlyReadable();
    return readableToo && (prot & Mapping.WRITE) != 0 ? prot | Mapping.READ : prot;
  }

  private void checkMemory(DmaPort port, Area area, long iova) {
    Mapping mapping = port.translate(iova, 1, area.prot());
    long at = mapping.memory().address() + mapping.offset(iova);
    long should = world.memory.get(area.process()).address() + area.vaddr() + iova - area.iova();
    Violation.when(
        at != should || mapping.prot() != allowed(port, area.prot()),
        "I8",
        "%s sees other memory at 0x%x",
        port.device(),
        iova);
  }
}
