// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.vfio4j.attack.Ledger.Box;
import org.vfio4j.attack.Ledger.Fd;

/**
 * What the explorer does: every operation on a small part of the world that makes sense where it
 * stands, whether it will be refused or not.
 *
 * @param name for reports
 * @param containers how many, 1 or 2
 * @param devices by whose names groups are opened
 * @param functions whose drivers change
 * @param mdevs that come and go
 * @param type of IOMMU that containers get
 * @param extras what else is done
 */
record Alphabet(
    String name,
    int containers,
    List<Integer> devices,
    List<Integer> functions,
    List<Integer> mdevs,
    int type,
    Set<Extra> extras) {
  private static final long IOVA = 0x10000;

  /** Operations that make a world much larger, or that no user has. */
  enum Extra {
    /** Dirty page tracking is started and read. */
    DIRTY,
    /** What the kernel's own parts could do, and no user can: {@link Op.Kind#AUX}, DETACH. */
    BENEATH
  }

  private static final Set<Extra> NONE = EnumSet.noneOf(Extra.class);

  /**
   * The small world: a singleton group, a group of two with one function wrapped, two wrapped users
   * of one parent, an aux device, a plain one.
   */
  static final Alphabet SMALL =
      new Alphabet("small", 2, List.of(0, 1, 11, 12, 13, 14, 18), List.of(1), List.of(11), 3, NONE);

  /** A singleton, a group of two with its wrapped function, an aux and a plain device. */
  static final Alphabet FEW =
      new Alphabet("few", 2, List.of(0, 1, 11, 14, 18), List.of(1), List.of(), 3, NONE);

  /** Twins on one parent, a group without default domain, a wrapped function without a group. */
  static final Alphabet ODD =
      new Alphabet("odd", 2, List.of(12, 13, 6, 16, 17), List.of(), List.of(16), 6, NONE);

  /** The seed's world: a function, and two devices that wrap it. */
  static final Alphabet SEED =
      new Alphabet("seed", 2, List.of(3, 12, 13), List.of(), List.of(), 3, NONE);

  /** A group of two functions, of which one is wrapped, whose other driver and whose device go. */
  static final Alphabet PAIR =
      new Alphabet("pair", 2, List.of(1, 11), List.of(1), List.of(11), 3, NONE);

  /** Two users of one function in a container that tracks dirty pages. */
  static final Alphabet TRACKED =
      new Alphabet("tracked", 1, List.of(12, 13), List.of(), List.of(), 3, EnumSet.of(Extra.DIRTY));

  /** An aux parent, its devices, one of them in a group of two, and a wrapped function. */
  static final Alphabet BENEATH =
      new Alphabet(
          "beneath", 2, List.of(4, 14, 15, 12), List.of(), List.of(), 3, EnumSet.of(Extra.BENEATH));

  /** Two containers and all groups, open: where the explorer starts. */
  List<Op> prelude() {
    List<Op> ops = new ArrayList<>();
    for (int c = 0; c < containers; c++) {
      ops.add(Op.of(Op.Kind.CONT, c, 0));
    }
    devices.forEach(d -> ops.add(Op.of(Op.Kind.GRP, 0, d)));
    return ops;
  }

  /** All operations from where the ledger stands. */
  List<Op> from(Ledger ledger) {
    List<Op> ops = new ArrayList<>();
    for (int c = 0; c < containers; c++) {
      Box box = ledger.slots[c];
      if (box == null) {
        ops.add(Op.of(Op.Kind.CONT, c, 0));
        continue;
      }
      ops.add(Op.of(Op.Kind.CLOSE_CONT, c, 0));
      ops.add(Op.of(Op.Kind.IOMMU, c, 0, type));
      if (box.live()) {
        ops.add(map(c));
        ops.add(Op.unmap(c, IOVA, World.PAGE, 0));
      }
      if (box.live() && extras.contains(Extra.DIRTY)) {
        ops.add(Op.of(Op.Kind.DIRTY, c, 0, box.tracking ? 2 : 1));
        ops.add(bitmap(c));
      }
    }
    for (int d : devices) {
      onGroup(ops, ledger, d);
    }
    for (int f : functions) {
      if (ledger.drivers[f].equals("none")) {
        ops.add(Op.of(Op.Kind.BIND, 0, f, World.DRIVERS.indexOf("vfio-pci")));
        ops.add(Op.of(Op.Kind.BIND, 0, f, World.DRIVERS.indexOf("e1000")));
      } else {
        ops.add(Op.of(Op.Kind.UNBIND, 0, f));
      }
    }
    if (extras.contains(Extra.BENEATH)) {
      beneath(ops, ledger);
    }
    for (int m : mdevs) {
      ops.add(Op.of(ledger.alive[m] ? Op.Kind.REMOVE : Op.Kind.CREATE, 0, m));
    }
    return ops;
  }

  private static Op map(int container) {
    return Op.map(container, 0, IOVA, World.PAGE, 3);
  }

  private static Op bitmap(int container) {
    return Op.bitmap(container, IOVA, 64 * World.PAGE);
  }

  /** The operations on the one place where memory is mapped. */
  static List<Op> onMemory(int container) {
    return List.of(map(container), Op.unmap(container, IOVA, World.PAGE, 0), bitmap(container));
  }

  private void beneath(List<Op> ops, Ledger ledger) {
    ops.add(Op.of(Op.Kind.AUX, 0, World.AUX_PARENT, ledger.aux[World.AUX_PARENT] ? 0 : 1));
    for (int c = 0; c < containers; c++) {
      for (int d : devices) {
        ops.add(Op.of(Op.Kind.DETACH, c, d));
      }
    }
  }

  private void onGroup(List<Op> ops, Ledger ledger, int device) {
    Fd group = ledger.groupFds[0][World.groupKey(device)];
    if (ledger.deviceFds[0][device] != null) {
      ops.add(Op.of(Op.Kind.CLOSE_DEV, 0, device));
    }
    if (group == null) {
      ops.add(Op.of(Op.Kind.GRP, 0, device));
      return;
    }
    ops.add(Op.of(Op.Kind.CLOSE_GRP, 0, device));
    if (group.group().box == null) {
      for (int c = 0; c < containers; c++) {
        if (ledger.slots[c] != null) {
          ops.add(Op.of(Op.Kind.SET, c, device));
        }
      }
      return;
    }
    ops.add(Op.of(Op.Kind.UNSET, 0, device));
    if (ledger.deviceFds[0][device] == null) {
      ops.add(Op.of(Op.Kind.DEV, 0, device));
    }
  }

  /**
   * What tells this state from others, the same for states that differ only in which container or
   * which of the two equal wrapped devices is which. Groups in a container have no order here.
   */
  String key(Ledger ledger) {
    String best = "";
    for (int swap = 0; swap < 4; swap += containers == 2 ? 1 : 2) {
      String key = key(ledger, (swap & 1) == 1, (swap & 2) == 2);
      best = best.isEmpty() || key.compareTo(best) < 0 ? key : best;
    }
    return best;
  }

  private String key(Ledger ledger, boolean swapContainers, boolean swapTwins) {
    StringBuilder key = new StringBuilder();
    List<Box> boxes = new ArrayList<>();
    for (int c = 0; c < containers; c++) {
      Box box = ledger.slots[swapContainers ? 1 - c : c];
      key.append(box == null ? '-' : 'o');
      if (box != null) {
        boxes.add(box);
      }
    }
    for (int d : devices) {
      int device = !swapTwins ? d : d == 12 ? 13 : d == 13 ? 12 : d;
      append(key, ledger, device, boxes);
    }
    for (Box box : boxes) {
      key.append(box.live() ? box.areas.isEmpty() ? 'l' : 'm' : 'u');
      key.append(box.tracking ? box.allDirty ? 'a' : 't' : '-');
      key.append(box.hadDomain ? 'd' : 'n');
    }
    key.append(ledger.aux[World.AUX_PARENT] ? 'x' : '-');
    functions.forEach(f -> key.append(ledger.drivers[f].charAt(0)));
    mdevs.forEach(m -> key.append(ledger.alive[m] ? 'a' : 'g'));
    ledger.waiting.forEach(key::append);
    return key.toString();
  }

  private void append(StringBuilder key, Ledger ledger, int device, List<Box> boxes) {
    Fd fd = ledger.groupFds[0][World.groupKey(device)];
    Fd open = ledger.deviceFds[0][device];
    Ledger.Vgroup group =
        fd != null ? fd.group() : open != null ? open.group() : ledger.groups.get(device);
    char files = (char) ('0' + (fd == null ? 0 : 1) + (open == null ? 0 : 2));
    key.append(files);
    if (group == null) {
      key.append('?');
      return;
    }
    key.append(group.dead ? 'x' : (char) ('0' + group.registered.size()));
    Box box = group.box;
    if (box == null) {
      key.append('.');
      return;
    }
    if (!boxes.contains(box)) {
      boxes.add(box);
    }
    key.append((char) ('A' + boxes.indexOf(box)));
    if (box.live()) {
      key.append(box.container().domainIndex(group.group));
    }
    if (extras.contains(Extra.DIRTY)) {
      // What is dirty may hang on it; nothing else does.
      key.append(group.second ? '2' : '1');
    }
  }
}
