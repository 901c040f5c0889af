// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MdevParent;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.soft.SoftVfio;

/**
 * The machine under attack, with one of everything that the rules tell apart: a singleton group, a
 * group of two with one function wrapped, two wrapped users of one parent, an aux parent, plain
 * mediated devices, a group behind a narrower IOMMU, one without default domain, one without
 * interrupt remapping, a function that no IOMMU serves.
 */
final class World {
  static final long PAGE = 4096;
  static final int PROCESSES = 2;
  static final int SLOTS = 2 * PROCESSES;

  /** Pages of a process's memory: writable, then read-only; nothing lies behind them. */
  static final int WRITABLE = 32;

  static final int READ_ONLY = 4;

  static final List<String> DRIVERS = List.of("vfio-pci", "vfio-mdev-pci", "e1000", "pci-stub");

  /** The functions: name, group (-1 for none), driver, what mediated devices it offers. */
  private static final List<String> FUNCTIONS =
      List.of(
          "0000:00:02.0 1 vfio-pci -",
          "0000:00:0a.0 9 vfio-pci -",
          "0000:00:0a.1 9 vfio-mdev-pci BACKED",
          "0000:00:03.0 2 vfio-mdev-pci BACKED",
          "0000:00:04.0 3 vfio-pci AUX",
          "0000:00:05.0 5 vfio-pci -",
          "0000:00:06.0 6 vfio-mdev-pci BACKED",
          "0000:00:06.1 6 vfio-pci -",
          "0000:00:07.0 7 vfio-pci -",
          "0000:00:08.0 -1 - BACKED",
          "0000:00:09.0 -1 - PLAIN");

  /** The mediated devices: the parent's index. */
  private static final int[] MDEVS = {2, 3, 3, 4, 4, 6, 9, 10, 10};

  static final int FIRST_MDEV = FUNCTIONS.size();

  /** The function with aux mediated devices. */
  static final int AUX_PARENT = 4;

  /** The second of them, in whose group there is another that VFIO does not know. */
  private static final int PAIRED = 15;

  static final List<String> NAMES = names();
  private static final int[] PHYSICAL = physicalGroups();
  private static final int[] GROUP_KEYS = groupKeys();

  private static final List<String[]> FIELDS = FUNCTIONS.stream().map(f -> f.split(" ")).toList();

  private static final ReservedRegion MSI =
      new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI);
  private static final IommuUnit UNIT = IommuUnit.VT_D.withNesting(true).withPasids(3);

  final KernelProfile profile;
  final SoftMachine machine;
  final List<SoftVfio> processes = new ArrayList<>();
  final List<MemorySegment> memory = new ArrayList<>();
  final List<Long> base = new ArrayList<>();
  final Map<Integer, IommuGroup> physical = new LinkedHashMap<>();
  private Optional<FaultyIommu> between = Optional.empty();
  private Optional<IommuGroup> paired = Optional.empty();
  private Optional<MediatedDevice> second = Optional.empty();

  World(KernelProfile profile, Memory pool) {
    this.profile = profile;
    this.machine =
        new SoftMachine(
            profile,
            real -> {
              FaultyIommu made = new FaultyIommu(real);
              between = Optional.of(made);
              return made;
            });
    addGroups();
    for (String[] each : FIELDS) {
      addFunction(each);
    }
    for (int i = FIRST_MDEV; i < NAMES.size(); i++) {
      machine.createMdev(parent(i), type(i), NAMES.get(i));
    }
    pair();
    for (int p = 0; p < PROCESSES; p++) {
      SoftVfio process = machine.process("p" + p);
      MemorySegment own = pool.of(p);
      long at = process.memory().place(own.asSlice(0, WRITABLE * PAGE));
      process.memory().place(at + WRITABLE * PAGE, own.asSlice(WRITABLE * PAGE), false);
      processes.add(process);
      memory.add(own);
      base.add(at);
    }
  }

  /**
   * Keeps a second member in the group of one aux device, as the kernel has room for and no driver
   * makes: each attach and detach of the group is one of two PASIDs.
   */
  void pair() {
    Optional<IommuGroup> group = machine.groupOf(NAMES.get(PAIRED));
    if (group.equals(paired)) {
      return;
    }
    second.ifPresent(machine.iommu()::removeDevice);
    SoftFunction parent = machine.function(parent(PAIRED));
    second = group.map(g -> new MediatedDevice("second", "aux", parent, new Isolation.Aux(parent)));
    group.ifPresent(g -> machine.iommu().addDevice(g, second.orElseThrow()));
    paired = group;
  }

  /** Memory that worlds one after another can use: only its addresses matter. */
  static final class Memory {
    private final MemorySegment all =
        Arena.ofAuto().allocate(PROCESSES * (WRITABLE + READ_ONLY) * PAGE, PAGE);

    MemorySegment of(int process) {
      long each = (WRITABLE + READ_ONLY) * PAGE;
      return all.asSlice(process * each, each);
    }
  }

  FaultyIommu faults() {
    return between.orElseThrow();
  }

  private void addGroups() {
    IommuUnit unit = UNIT.withPageSizes(profile.pageSizes());
    group(1, unit, MSI);
    group(9, unit, MSI);
    group(2, unit, MSI);
    group(3, unit, MSI);
    group(
        5,
        unit.withAddressBits(39).withCoherent(true).withNesting(false),
        new ReservedRegion(0x14000, 0x14fff, ReservedRegion.Type.RESERVED),
        new ReservedRegion(0x8000000, 0x80fffff, ReservedRegion.Type.SW_MSI));
    group(
        6,
        unit.withDefaultDomain(false),
        new ReservedRegion(0x8000000, 0x80fffff, ReservedRegion.Type.SW_MSI));
    group(
        7,
        unit.withInterruptRemapping(false),
        MSI,
        new ReservedRegion(0x16000, 0x16fff, ReservedRegion.Type.DIRECT_RELAXABLE));
  }

  private void group(int id, IommuUnit unit, ReservedRegion... regions) {
    physical.put(id, machine.addGroup(id, unit, List.of(regions)));
  }

  private void addFunction(String[] f) {
    machine.addFunction(
        SoftFunction.endpoint(f[0], 0x1234, 0x11e8),
        Optional.ofNullable(physical.get(Integer.parseInt(f[1]))));
    if (!f[2].equals("-")) {
      machine.bind(f[0], f[2]);
    }
    if (!f[3].equals("-")) {
      offer(f[0], f[3]);
    }
  }

  private void offer(String name, String kind) {
    MdevParent.Kind offered = MdevParent.Kind.valueOf(kind);
    machine.offer(name, new MdevParent.Type(typeOf(kind), offered, 2));
  }

  private static List<String> names() {
    List<String> names = new ArrayList<>();
    FUNCTIONS.forEach(f -> names.add(f.split(" ")[0]));
    for (int i = 0; i < MDEVS.length; i++) {
      names.add("83b8f4f2-509f-382f-3c1e-e6bfe0fa10%02d".formatted(i));
    }
    return List.copyOf(names);
  }

  static boolean isMdev(int device) {
    return device >= FIRST_MDEV;
  }

  /** The device under whose name a group is opened: one for each VFIO group. */
  static int groupKey(int device) {
    return GROUP_KEYS[device];
  }

  /** The physical group of a function, or of the function that a device wraps; -1 for none. */
  static int physicalOf(int device) {
    return PHYSICAL[device];
  }

  private static int[] physicalGroups() {
    int[] groups = new int[NAMES.size()];
    for (int i = 0; i < groups.length; i++) {
      int function = isMdev(i) ? MDEVS[i - FIRST_MDEV] : i;
      groups[i] = Integer.parseInt(FUNCTIONS.get(function).split(" ")[1]);
    }
    return groups;
  }

  private static int[] groupKeys() {
    int[] keys = new int[NAMES.size()];
    for (int i = 0; i < keys.length; i++) {
      keys[i] = i;
      for (int first = i; !isMdev(i) && PHYSICAL[i] != Ledger.NO_GROUP && first >= 0; first--) {
        keys[i] = PHYSICAL[first] == PHYSICAL[i] ? first : keys[i];
      }
    }
    return keys;
  }

  static int parentIndex(int mdev) {
    return MDEVS[mdev - FIRST_MDEV];
  }

  /** Whether mediated devices of the function wrap it. */
  static boolean offersBacked(int function) {
    return FUNCTIONS.get(function).endsWith("BACKED");
  }

  static String parent(int mdev) {
    return NAMES.get(parentIndex(mdev));
  }

  static MdevParent.Kind kind(int mdev) {
    return MdevParent.Kind.valueOf(FIELDS.get(parentIndex(mdev))[3]);
  }

  static String type(int mdev) {
    return typeOf(kind(mdev).name());
  }

  private static String typeOf(String kind) {
    return kind.toLowerCase(Locale.ROOT);
  }
}
