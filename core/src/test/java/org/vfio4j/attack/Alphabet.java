// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.util.ArrayList;
import java.util.List;
import org.vfio4j.attack.Ledger.Box;
import org.vfio4j.attack.Ledger.Fd;

/**
 * What the explorer does: every operation on a small part of the world that makes sense where it
 * stands, whether it will be refused or not.
 *
 * @param devices by whose names groups are opened
 * @param functions whose drivers change
 * @param mdevs that come and go
 * @param type of IOMMU that containers get
 */
record Alphabet(List<Integer> devices, List<Integer> functions, List<Integer> mdevs, int type) {
  private static final int CONTAINERS = 2;
  private static final long IOVA = 0x10000;

  /**
   * The small world: a singleton group, a group of two with one function wrapped, two wrapped users
   * of one parent, an aux device, a plain one.
   */
  static final Alphabet SMALL =
      new Alphabet(List.of(0, 1, 11, 12, 13, 14, 18), List.of(1), List.of(11), 3);

  /** A singleton, a group of two with its wrapped function, an aux and a plain device. */
  static final Alphabet FEW = new Alphabet(List.of(0, 1, 11, 14, 18), List.of(1), List.of(), 3);

  /** Twins on one parent, a group without default domain, a wrapped function without a group. */
  static final Alphabet ODD = new Alphabet(List.of(12, 13, 6, 16, 17), List.of(), List.of(16), 6);

  /** Two containers and all groups, open: where the explorer starts. */
  List<Op> prelude() {
    List<Op> ops = new ArrayList<>();
    for (int c = 0; c < CONTAINERS; c++) {
      ops.add(Op.of(Op.Kind.CONT, c, 0));
    }
    devices.forEach(d -> ops.add(Op.of(Op.Kind.GRP, 0, d)));
    return ops;
  }

  /** All operations from where the ledger stands. */
  List<Op> from(Ledger ledger) {
    List<Op> ops = new ArrayList<>();
    for (int c = 0; c < CONTAINERS; c++) {
      Box box = ledger.slots[c];
      if (box == null) {
        ops.add(Op.of(Op.Kind.CONT, c, 0));
        continue;
      }
      ops.add(Op.of(Op.Kind.CLOSE_CONT, c, 0));
      ops.add(Op.of(Op.Kind.IOMMU, c, 0, type));
      if (box.live()) {
        ops.add(Op.map(c, 0, IOVA, World.PAGE, 3));
        ops.add(Op.unmap(c, IOVA, World.PAGE, 0));
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
    for (int m : mdevs) {
      ops.add(Op.of(ledger.alive[m] ? Op.Kind.REMOVE : Op.Kind.CREATE, 0, m));
    }
    return ops;
  }

  private static void onGroup(List<Op> ops, Ledger ledger, int device) {
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
      for (int c = 0; c < CONTAINERS; c++) {
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
    for (int swap = 0; swap < 4; swap++) {
      String key = key(ledger, (swap & 1) == 1, (swap & 2) == 2);
      best = best.isEmpty() || key.compareTo(best) < 0 ? key : best;
    }
    return best;
  }

  private String key(Ledger ledger, boolean swapContainers, boolean swapTwins) {
    StringBuilder key = new StringBuilder();
    List<Box> boxes = new ArrayList<>();
    for (int c = 0; c < CONTAINERS; c++) {
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
      key.append(box.hadDomain ? 'd' : 'n');
    }
    functions.forEach(f -> key.append(ledger.drivers[f].charAt(0)));
    mdevs.forEach(m -> key.append(ledger.alive[m] ? 'a' : 'g'));
    ledger.waiting.forEach(key::append);
    return key.toString();
  }

  private static void append(StringBuilder key, Ledger ledger, int device, List<Box> boxes) {
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
  }
}
