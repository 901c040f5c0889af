// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.vfio4j.attack.Ledger.Area;
import org.vfio4j.attack.Ledger.Box;
import org.vfio4j.attack.Ledger.Vgroup;
import org.vfio4j.error.Errno;

/** Operations by chance: mostly such as make sense where the ledger stands, some that do not. */
final class RandomOps {
  private static final Errno[] FAULTS = {
    Errno.ENOMEM, Errno.EIO, Errno.EBUSY, Errno.ENODEV, Errno.EINVAL, Errno.EPERM, Errno.EFAULT
  };
  private static final int[] TYPES = {3, 3, 3, 3, 1, 1, 6, 6, 8, 99};
  private static final int[] PROTS = {3, 3, 3, 3, 1, 2, 0, 8, 7};
  private static final long POOL = 0x10000;
  private static final int POOL_PAGES = 16;
  private static final long[] ODD = {
    0,
    0xfee00000L,
    0xfedff000L,
    0x8000000L,
    (1L << 39) - 0x1000,
    1L << 39,
    (1L << 48) - 0x1000,
    1L << 48,
    0x10800
  };

  /** How often each kind comes, beside the others. */
  private static final int[][] WEIGHTS = {
    {Op.Kind.CONT.ordinal(), 12},
    {Op.Kind.CLOSE_CONT.ordinal(), 2},
    {Op.Kind.GRP.ordinal(), 16},
    {Op.Kind.CLOSE_GRP.ordinal(), 4},
    {Op.Kind.SET.ordinal(), 22},
    {Op.Kind.UNSET.ordinal(), 9},
    {Op.Kind.IOMMU.ordinal(), 10},
    {Op.Kind.DEV.ordinal(), 6},
    {Op.Kind.CLOSE_DEV.ordinal(), 5},
    {Op.Kind.STATUS.ordinal(), 1},
    {Op.Kind.MAP.ordinal(), 18},
    {Op.Kind.UNMAP.ordinal(), 8},
    {Op.Kind.DIRTY.ordinal(), 3},
    {Op.Kind.BITMAP.ordinal(), 8},
    {Op.Kind.PIN.ordinal(), 10},
    {Op.Kind.UNPIN.ordinal(), 4},
    {Op.Kind.MEMLOCK.ordinal(), 2},
    {Op.Kind.CAP.ordinal(), 2},
    {Op.Kind.UNSAFE.ordinal(), 2},
    {Op.Kind.BIND.ordinal(), 4},
    {Op.Kind.UNBIND.ordinal(), 2},
    {Op.Kind.CREATE.ordinal(), 3},
    {Op.Kind.REMOVE.ordinal(), 2},
    {Op.Kind.AUX.ordinal(), 1},
    {Op.Kind.DETACH.ordinal(), 1},
  };

  private static final int TOTAL = total();

  private final SplittableRandom random;
  private final Ledger ledger;

  RandomOps(SplittableRandom random, Ledger ledger) {
    this.random = random;
    this.ledger = ledger;
  }

  private static int total() {
    int sum = 0;
    for (int[] each : WEIGHTS) {
      sum += each[1];
    }
    return sum;
  }

  /** The next operation; every fifth has a call into the IOMMU fail. */
  Op next() {
    Op op = sensible(plain());
    if (random.nextInt(5) > 0) {
      return op;
    }
    boolean attaches = op.kind() == Op.Kind.IOMMU || op.kind() == Op.Kind.SET;
    int reach = attaches ? 12 : 1 + random.nextInt(10);
    Errno errno = FAULTS[random.nextInt(FAULTS.length)];
    return op.failing(1 + random.nextInt(reach), random.nextInt(3) == 0 ? 2 : 1, errno);
  }

  /** Where nothing is open for it there is little to learn: a group is opened instead. */
  private Op sensible(Op op) {
    boolean onGroup =
        switch (op.kind()) {
          case CLOSE_GRP, UNSET, STATUS, DEV ->
              ledger.groupFds[op.a()][World.groupKey(op.b())] != null;
          case SET ->
              ledger.groupFds[op.a() >> 1][World.groupKey(op.b())] != null
                  && ledger.slots[op.a()] != null;
          case CLOSE_DEV -> ledger.deviceFds[op.a()][op.b()] != null;
          case MAP, UNMAP, DIRTY, IOMMU, CLOSE_CONT -> ledger.slots[op.a()] != null;
          default -> true;
        };
    return onGroup || random.nextInt(8) == 0
        ? op
        : Op.of(Op.Kind.GRP, random.nextInt(World.PROCESSES), closedGroup());
  }

  private Op plain() {
    int at = random.nextInt(TOTAL);
    int i = 0;
    while (at >= WEIGHTS[i][1]) {
      at -= WEIGHTS[i][1];
      i++;
    }
    return of(Op.Kind.values()[WEIGHTS[i][0]]);
  }

  private Op of(Op.Kind kind) {
    int slot = slot(kind != Op.Kind.CONT);
    int process = random.nextInt(World.PROCESSES);
    return switch (kind) {
      case CONT, CLOSE_CONT -> Op.of(kind, slot, 0);
      case GRP -> Op.of(kind, process, closedGroup());
      case CLOSE_GRP, UNSET, STATUS -> Op.of(kind, process, openGroup(process));
      case SET -> set(slot);
      case IOMMU -> Op.of(kind, filled(slot), 0, pick(TYPES));
      case DEV -> device(process);
      case CLOSE_DEV -> closeDevice(process);
      case MAP -> map(live(slot));
      case UNMAP -> unmap(live(slot));
      case DIRTY -> Op.of(kind, live(slot), 0, pick(new int[] {1, 1, 1, 2, 3}));
      case BITMAP -> Op.bitmap(live(slot), POOL, 64 * World.PAGE);
      case PIN, UNPIN ->
          Op.pin(
              kind,
              World.NAMES.size() - 1 - random.nextInt(2),
              POOL + random.nextInt(POOL_PAGES) * World.PAGE,
              1 + random.nextInt(3));
      case MEMLOCK -> Op.limit(process, random.nextInt(3) == 0 ? 1L << 40 : random.nextInt(40));
      case CAP, UNSAFE -> Op.of(kind, process, 0, random.nextInt(2));
      case BIND -> Op.of(kind, 0, undriven(), random.nextInt(World.DRIVERS.size()));
      case UNBIND -> Op.of(kind, 0, random.nextInt(World.FIRST_MDEV));
      case CREATE, REMOVE -> Op.of(kind, 0, mdev(kind == Op.Kind.REMOVE));
      case AUX -> Op.of(kind, 0, World.AUX_PARENT, random.nextInt(2));
      case DETACH -> Op.of(kind, live(slot), random.nextInt(World.NAMES.size()));
    };
  }

  private int pick(int[] from) {
    return from[random.nextInt(from.length)];
  }

  private <T> T pick(List<T> from, T otherwise) {
    return from.isEmpty() || random.nextInt(24) == 0
        ? otherwise
        : from.get(random.nextInt(from.size()));
  }

  private int slot(boolean open) {
    List<Integer> found = new ArrayList<>();
    for (int c = 0; c < World.SLOTS; c++) {
      if ((ledger.slots[c] != null) == open) {
        found.add(c);
      }
    }
    return pick(found, random.nextInt(World.SLOTS));
  }

  private int closedGroup() {
    List<Integer> closed = new ArrayList<>();
    for (Vgroup group : ledger.groups.values()) {
      if (!group.opened()) {
        closed.add(group.key);
      }
    }
    return pick(closed, random.nextInt(World.NAMES.size()));
  }

  private int openGroup(int process) {
    List<Integer> open = new ArrayList<>();
    for (int d = 0; d < World.NAMES.size(); d++) {
      if (ledger.groupFds[process][d] != null) {
        open.add(d);
      }
    }
    return pick(open, random.nextInt(World.NAMES.size()));
  }

  private Op set(int slot) {
    int process = slot >> 1;
    List<Integer> free = new ArrayList<>();
    for (int d = 0; d < World.NAMES.size(); d++) {
      Ledger.Fd fd = ledger.groupFds[process][d];
      if (fd != null && fd.group().box == null) {
        free.add(d);
      }
    }
    return Op.of(Op.Kind.SET, slot, pick(free, random.nextInt(World.NAMES.size())));
  }

  private int filled(int otherwise) {
    List<Integer> filled = new ArrayList<>();
    for (int c = 0; c < World.SLOTS; c++) {
      Box box = ledger.slots[c];
      if (box != null && !box.live() && !box.groups.isEmpty()) {
        filled.add(c);
      }
    }
    return pick(filled, otherwise);
  }

  private int live(int otherwise) {
    List<Integer> live = new ArrayList<>();
    for (int c = 0; c < World.SLOTS; c++) {
      Box box = ledger.slots[c];
      if (box != null && box.live()) {
        live.add(c);
      }
    }
    return pick(live, otherwise);
  }

  private Op device(int process) {
    List<Integer> usable = new ArrayList<>();
    for (int d = 0; d < World.NAMES.size(); d++) {
      Ledger.Fd fd = ledger.groupFds[process][World.groupKey(d)];
      if (fd != null && fd.group().attached()) {
        usable.add(d);
      }
    }
    return Op.of(Op.Kind.DEV, process, pick(usable, random.nextInt(World.NAMES.size())));
  }

  private Op closeDevice(int process) {
    List<Integer> open = new ArrayList<>();
    for (int d = 0; d < World.NAMES.size(); d++) {
      if (ledger.deviceFds[process][d] != null) {
        open.add(d);
      }
    }
    return Op.of(Op.Kind.CLOSE_DEV, process, pick(open, random.nextInt(World.NAMES.size())));
  }

  private int undriven() {
    List<Integer> free = new ArrayList<>();
    for (int f = 0; f < World.FIRST_MDEV; f++) {
      if (ledger.drivers[f].equals("none")) {
        free.add(f);
      }
    }
    return pick(free, random.nextInt(World.FIRST_MDEV));
  }

  private int mdev(boolean living) {
    List<Integer> found = new ArrayList<>();
    for (int d = World.FIRST_MDEV; d < World.NAMES.size(); d++) {
      Vgroup group = ledger.groups.get(d);
      if (ledger.alive[d] == living
          && (group == null || group.box == null || random.nextBoolean())) {
        found.add(d);
      }
    }
    int any = World.FIRST_MDEV + random.nextInt(World.NAMES.size() - World.FIRST_MDEV);
    return pick(found, any);
  }

  private Op map(int slot) {
    Box box = ledger.slots[slot];
    boolean update = random.nextInt(box == null || box.invalid.isEmpty() ? 40 : 3) == 0;
    if (box != null && !box.areas.isEmpty() && update) {
      List<Area> areas = List.copyOf(box.areas.values());
      Area area = areas.get(random.nextInt(areas.size()));
      long size = area.size() + (random.nextInt(6) == 0 ? World.PAGE : 0);
      return Op.map(slot, area.vaddr(), area.iova(), size, Answers.VADDR);
    }
    boolean odd = random.nextInt(8) == 0;
    long iova =
        odd ? ODD[random.nextInt(ODD.length)] : POOL + random.nextInt(POOL_PAGES) * World.PAGE;
    long size = (1 + random.nextInt(3)) * World.PAGE;
    if (random.nextInt(20) == 0) {
      size = random.nextBoolean() ? 0 : size + 0x800;
    }
    int behind = World.WRITABLE + World.READ_ONLY + (random.nextInt(4) == 0 ? 4 : -4);
    long vaddr = random.nextInt(behind) * World.PAGE + (random.nextInt(30) == 0 ? 0x10 : 0);
    return Op.map(slot, vaddr, iova, size, pick(PROTS));
  }

  private Op unmap(int slot) {
    Box box = ledger.slots[slot];
    List<Area> areas = box == null ? List.of() : List.copyOf(box.areas.values());
    if (areas.isEmpty() || random.nextInt(3) == 0) {
      boolean all = random.nextInt(4) == 0;
      long iova = all ? 0 : POOL + random.nextInt(POOL_PAGES) * World.PAGE;
      long size = all ? 0 : (1 + random.nextInt(POOL_PAGES)) * World.PAGE;
      return Op.unmap(
          slot,
          iova,
          size,
          all ? pick(new int[] {2, 2, 6}) : pick(new int[] {0, 0, 0, 0, 1, 4, 8}));
    }
    Area area = areas.get(random.nextInt(areas.size()));
    int crooked = random.nextInt(6);
    long iova = area.iova() + (crooked == 0 ? World.PAGE : crooked == 1 ? 0x100 : 0);
    return Op.unmap(
        slot, iova, area.size() + (crooked == 2 ? 0x10 : 0), random.nextInt(8) == 0 ? 4 : 0);
  }
}
