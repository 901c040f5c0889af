// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.mdev.MdevParent;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.Container;

/**
 * What the attacker knows of the machine because he did it: which VFIO group is in which container,
 * which mappings and pins there are, who drives what. Nothing here is read from the engine.
 */
final class Ledger {
  static final int NO_GROUP = -1;
  private static final String WRAPPER = "vfio-mdev-pci";
  private static final String HOST = "e1000";

  /** What a VFIO group's devices are. */
  enum Kind {
    FUNCTION,
    BACKED,
    AUX,
    PLAIN
  }

  /** A mapping, by who made it of which memory. */
  record Area(long iova, long size, int process, long vaddr, int prot, boolean exempt) {
    long last() {
      return iova + size - 1;
    }

    long pages() {
      return size / World.PAGE;
    }
  }

  /** An opened container, which lives on while a group is in it. */
  static final class Box {
    final int process;
    final int fd;

    /** Newest first. */
    final List<Vgroup> groups = new ArrayList<>();

    /** By IOVA; all that the attacker maps is in the lower half. */
    final TreeMap<Long, Area> areas = new TreeMap<>();

    /** How often each page is pinned. */
    final Map<Long, Integer> pins = new LinkedHashMap<>();

    /** Mappings, by IOVA, whose address was invalidated and not given anew. */
    final Set<Long> invalid = new HashSet<>();

    @Nullable Container type1;
    int type;
    boolean hadDomain;
    boolean tracking;

    /** Whether a group left while pages were tracked, and nobody has read them since. */
    boolean allDirty;

    Box(int process, int fd) {
      this.process = process;
      this.fd = fd;
    }

    boolean live() {
      return type1 != null;
    }

    Container container() {
      return Objects.requireNonNull(type1);
    }

    /** Whether an IOMMU serves one of its groups. */
    boolean served() {
      return live() && groups.stream().anyMatch(g -> g.kind != Kind.PLAIN);
    }

    long pinnedIn(Area area) {
      return pins.keySet().stream().filter(p -> p >= area.iova && p <= area.last()).count();
    }

    void drop(Area area) {
      areas.remove(area.iova);
      allDirty &= !areas.isEmpty();
      invalid.remove(area.iova);
      pins.keySet().removeIf(p -> p >= area.iova && p <= area.last());
    }

    void empty() {
      type1 = null;
      hadDomain = false;
      tracking = false;
      allDirty = false;
      areas.clear();
      invalid.clear();
      pins.clear();
    }
  }

  /** A group that VFIO offers. */
  static final class Vgroup {
    final int key;
    final Kind kind;
    final int physical;
    final IommuGroup group;
    final Set<Integer> registered = new TreeSet<>();

    /** Off the list, though their drivers wait for the group to leave its container. */
    final Set<Integer> stalled = new TreeSet<>();

    boolean dead;
    boolean fileOpen;
    boolean listening;

    /** Whether another user of its backing group was attached before it. */
    boolean second;

    int deviceFiles;
    @Nullable Box box;

    Vgroup(int key, Kind kind, int physical, IommuGroup group) {
      this.key = key;
      this.kind = kind;
      this.physical = physical;
      this.group = group;
    }

    /** Whether the IOMMU's group has no member any more; a function is one whoever drives it. */
    boolean memberless() {
      return World.isMdev(key) && registered.isEmpty() && stalled.isEmpty();
    }

    /** The physical group whose hardware it moves; NO_GROUP if none. */
    int backing() {
      boolean moves = kind == Kind.FUNCTION || kind == Kind.BACKED;
      return moves && !memberless() ? physical : NO_GROUP;
    }

    boolean attached() {
      return box != null && box.live();
    }

    boolean opened() {
      return fileOpen || deviceFiles > 0;
    }

    Box in() {
      return Objects.requireNonNull(box);
    }
  }

  /** A descriptor of a group or a device. */
  record Fd(int number, Vgroup group) {}

  final KernelProfile profile;
  final @Nullable Box[] slots = new Box[World.SLOTS];
  final Set<Box> boxes = new LinkedHashSet<>();
  final Map<Integer, Vgroup> groups = new LinkedHashMap<>();
  final @Nullable Fd[][] groupFds = new Fd[World.PROCESSES][World.NAMES.size()];
  final @Nullable Fd[][] deviceFds = new Fd[World.PROCESSES][World.NAMES.size()];
  final String[] drivers = new String[World.FIRST_MDEV];
  final int[] instances = new int[World.FIRST_MDEV];
  final boolean[] aux = new boolean[World.FIRST_MDEV];
  final boolean[] alive = new boolean[World.NAMES.size()];
  final Set<Integer> waiting = new TreeSet<>();
  final long[] limits = new long[World.PROCESSES];
  final boolean[] caps = new boolean[World.PROCESSES];
  boolean unsafe;

  Ledger(World world) {
    profile = world.profile;
    for (int i = 0; i < World.NAMES.size(); i++) {
      String name = World.NAMES.get(i);
      if (World.isMdev(i)) {
        created(i, world.machine.groupOf(name).orElseThrow());
        continue;
      }
      drivers[i] = "none";
      int function = i;
      world.machine.driver(name).ifPresent(driver -> bound(world, function, driver));
    }
    for (int i = World.FIRST_MDEV; i < World.NAMES.size(); i++) {
      int parent = World.parentIndex(i);
      instances[parent] = 2;
      aux[parent] = World.kind(i) == MdevParent.Kind.AUX;
    }
    for (int p = 0; p < World.PROCESSES; p++) {
      limits[p] = Long.MAX_VALUE;
      caps[p] = true;
    }
  }

  void bound(World world, int function, String driver) {
    drivers[function] = driver;
    if (driver.startsWith("vfio-")) {
      int physical = World.physicalOf(function);
      IommuGroup group = Objects.requireNonNull(world.physical.get(physical));
      groups
          .computeIfAbsent(
              World.groupKey(function), k -> new Vgroup(k, Kind.FUNCTION, physical, group))
          .registered
          .add(function);
    }
    if (driver.equals(WRAPPER) && World.offersBacked(function)) {
      instances[function] = 1;
    }
  }

  void unbound(int function) {
    if (!drivers[function].equals("none")) {
      drivers[function] = "none";
      instances[function] = 0;
      aux[function] = false;
      unregister(function);
    }
  }

  void created(int mdev, IommuGroup group) {
    alive[mdev] = true;
    Kind kind = Kind.valueOf(World.kind(mdev).name());
    Vgroup made = new Vgroup(mdev, kind, World.physicalOf(mdev), group);
    made.registered.add(mdev);
    groups.put(mdev, made);
  }

  void removed(int mdev) {
    alive[mdev] = false;
    unregister(mdev);
  }

  private void unregister(int device) {
    Vgroup group = groups.get(World.groupKey(device));
    if (group == null) {
      return;
    }
    boolean last = group.registered.remove(device) && group.registered.isEmpty();
    if (last && profile.forcedDetachOnUnbind()) {
      if (group.box != null) {
        leave(group);
      }
      group.dead = true;
    }
    group.stalled.remove(device);
    forget(group);
  }

  /** A group without devices is there for who has it open; a name leads to it no more. */
  private void forget(Vgroup group) {
    boolean empty = group.registered.isEmpty() && group.stalled.isEmpty();
    if (empty && (group.dead || !group.opened() || World.isMdev(group.key))) {
      groups.remove(group.key, group);
    }
  }

  /** What {@code machine.waiting()} no longer names has happened; the rest comes off the lists. */
  void sync(Set<Integer> stillWaiting) {
    for (int device : List.copyOf(waiting)) {
      if (!stillWaiting.contains(device)) {
        waiting.remove(device);
        if (World.isMdev(device)) {
          removed(device);
        } else {
          unbound(device);
        }
      } else if (!isOpen(device)) {
        Vgroup group = Objects.requireNonNull(groups.get(World.groupKey(device)));
        group.registered.remove(device);
        group.stalled.add(device);
      }
    }
  }

  /** Whether the removal of a device has to wait for a user. */
  boolean mustWait(int device) {
    Vgroup group = groups.get(World.groupKey(device));
    if (group == null || !group.registered.contains(device)) {
      return false;
    }
    boolean last = group.registered.size() == 1;
    return isOpen(device) || (last && group.box != null && !profile.forcedDetachOnUnbind());
  }

  /** Whether a removal that waits may go on waiting: what it waits for is still there. */
  boolean mayWait(int device) {
    Vgroup group = groups.get(World.groupKey(device));
    return isOpen(device) || (group != null && group.stalled.contains(device) && group.box != null);
  }

  private boolean isOpen(int device) {
    for (Fd[] each : deviceFds) {
      Fd fd = each[device];
      if (fd != null) {
        return true;
      }
    }
    return false;
  }

  void join(Vgroup group, Box box) {
    group.box = box;
    group.second = box.groups.stream().anyMatch(g -> g.backing() == group.backing());
    box.groups.addFirst(group);
    boxes.add(box);
    box.hadDomain |= box.served();
  }

  /** SET_IOMMU attaches the groups newest first. */
  void attached(Box box) {
    Set<Integer> before = new HashSet<>();
    box.groups.forEach(g -> g.second = !before.add(g.backing()));
  }

  void leave(Vgroup group) {
    Box box = group.in();
    box.groups.remove(group);
    box.allDirty |= box.tracking && !box.areas.isEmpty();
    group.box = null;
    group.listening = false;
    if (box.groups.isEmpty()) {
      box.empty();
      boxes.remove(box);
    }
  }

  void closed(Vgroup group) {
    if (!group.opened() && group.box != null) {
      leave(group);
    }
    forget(group);
  }

  /** Attached groups that a physical group backs. */
  List<Vgroup> users(int physical) {
    List<Vgroup> users = new ArrayList<>();
    for (Box box : boxes) {
      for (Vgroup g : box.groups) {
        if (box.live() && g.backing() == physical) {
          users.add(g);
        }
      }
    }
    return users;
  }

  /** Claims on a physical group: one for each group in a container, attached or not. */
  int claims(int physical) {
    int claims = 0;
    for (Box box : boxes) {
      for (Vgroup g : box.groups) {
        claims += profile.ownership() && g.backing() == physical ? 1 : 0;
      }
    }
    return claims;
  }

  boolean hostDriven(int physical) {
    for (int f = 0; f < World.FIRST_MDEV; f++) {
      if (physical != NO_GROUP && World.physicalOf(f) == physical && drivers[f].equals(HOST)) {
        return true;
      }
    }
    return false;
  }

  boolean auxOn(int physical) {
    for (int f = 0; f < World.FIRST_MDEV; f++) {
      if (World.physicalOf(f) == physical && aux[f]) {
        return true;
      }
    }
    return false;
  }

  /** Whether a mediated device has a PASID of the function. */
  boolean pasidsInUse(int function) {
    return groups.values().stream()
        .anyMatch(
            g -> g.kind == Kind.AUX && g.attached() && g.physical == World.physicalOf(function));
  }

  boolean wrapped(int function) {
    return !World.isMdev(function) && drivers[function].equals(WRAPPER);
  }

  int livingMdevs(int function) {
    int living = 0;
    for (int i = World.FIRST_MDEV; i < World.NAMES.size(); i++) {
      living += alive[i] && World.parentIndex(i) == function ? 1 : 0;
    }
    return living;
  }

  /** Pages that a process must have locked now. */
  long locked(int process) {
    long locked = 0;
    for (Box box : boxes) {
      boolean served = box.served();
      for (Area area : box.areas.values()) {
        if (area.process == process) {
          locked += served ? area.pages() : box.pinnedIn(area);
        }
      }
    }
    return locked;
  }

  /** Which hardware is where: what must not change, lest it be moved without need. */
  Set<List<Object>> occupancy() {
    Set<List<Object>> occupied = new HashSet<>();
    for (Box box : boxes) {
      for (Vgroup g : box.groups) {
        if (box.live() && g.kind != Kind.PLAIN) {
          occupied.add(List.of(g.kind == Kind.AUX ? g : (Object) g.physical, box));
        }
      }
    }
    return occupied;
  }
}
