// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.vfio4j.attack.Ledger.Area;
import org.vfio4j.attack.Ledger.Box;
import org.vfio4j.attack.Ledger.Fd;
import org.vfio4j.attack.Ledger.Kind;
import org.vfio4j.attack.Ledger.Vgroup;
import org.vfio4j.soft.SoftVfio;
import org.vfio4j.vfio.Vfio;

/** Each operation: the call, and what the ledger learns when it was not refused. */
final class Actions {
  private static final int NOWHERE = 9999;
  private static final int STATUS_BYTES = 8;

  private final World world;
  private final Ledger ledger;
  private final Answers answers;

  Actions(World world, Ledger ledger, Answers answers) {
    this.world = world;
    this.ledger = ledger;
    this.answers = answers;
  }

  /** What no user does: a slot that is full, a device that is on its way out, a parent in use. */
  boolean senseless(Op op) {
    return switch (op.kind()) {
      case CONT -> ledger.slots[op.a()] != null;
      case GRP -> ledger.groupFds[op.a()][World.groupKey(op.b())] != null;
      case DEV -> ledger.deviceFds[op.a()][op.b()] != null;
      case MAP -> movesMemory(op);
      case BIND ->
          World.isMdev(op.b())
              || ledger.waiting.contains(op.b())
              || !ledger.drivers[op.b()].equals("none");
      case UNBIND ->
          World.isMdev(op.b()) || ledger.waiting.contains(op.b()) || ledger.livingMdevs(op.b()) > 0;
      case CREATE -> !World.isMdev(op.b());
      case REMOVE -> !World.isMdev(op.b()) || ledger.waiting.contains(op.b());
      case PIN, UNPIN -> pinner(op).isEmpty();
      case AUX -> ledger.aux[op.b()] == (op.flags() == 1) || ledger.pasidsInUse(op.b());
      case DETACH -> stranger(op).isEmpty();
      case BITMAP -> {
        Box box = ledger.slots[op.a()];
        yield box == null || !box.tracking;
      }
      default -> false;
    };
  }

  /** An address may be given anew, but it has to lead to the same memory. */
  private boolean movesMemory(Op op) {
    Box box = ledger.slots[op.a()];
    Area area = box == null ? null : box.areas.get(op.iova());
    return op.flags() == Answers.VADDR && area != null && area.vaddr() != op.vaddr();
  }

  private Optional<Vgroup> stranger(Op op) {
    Box box = ledger.slots[op.a()];
    return Optional.ofNullable(ledger.groups.get(World.groupKey(op.b())))
        .filter(g -> box != null && box.live() && g.box != box);
  }

  private Optional<Vgroup> pinner(Op op) {
    return Optional.ofNullable(ledger.groups.get(op.b()))
        .filter(g -> g.kind == Kind.PLAIN && g.attached());
  }

  void perform(Op op) {
    switch (op.kind()) {
      case CONT, CLOSE_CONT, SET, IOMMU, MAP, UNMAP, DIRTY, BITMAP -> onContainer(op);
      case GRP, CLOSE_GRP, UNSET, DEV, CLOSE_DEV, STATUS -> onGroup(op);
      default -> around(op);
    }
  }

  private void onContainer(Op op) {
    int process = op.a() >> 1;
    SoftVfio vfio = world.processes.get(process);
    Box box = ledger.slots[op.a()];
    int fd = box == null ? NOWHERE : box.fd;
    switch (op.kind()) {
      case CONT -> ledger.slots[op.a()] = new Box(process, vfio.container());
      case CLOSE_CONT -> {
        vfio.close(fd);
        ledger.slots[op.a()] = null;
      }
      case SET -> {
        Fd group = ledger.groupFds[process][World.groupKey(op.b())];
        vfio.setContainer(number(group), fd);
        ledger.join(Objects.requireNonNull(group).group(), Objects.requireNonNull(box));
      }
      case IOMMU -> {
        vfio.setIommu(fd, op.flags());
        Box live = Objects.requireNonNull(box);
        live.type1 = vfio.type1(fd);
        live.type = op.flags();
        live.hadDomain = live.served();
        ledger.attached(live);
      }
      case MAP -> map(op, vfio, fd, box);
      case UNMAP -> unmap(op, vfio, fd, box);
      case DIRTY -> {
        vfio.dirtyPages(fd, op.flags());
        Box tracked = Objects.requireNonNull(box);
        tracked.tracking = op.flags() == 1;
        tracked.allDirty &= tracked.tracking;
      }
      default -> bitmap(op, vfio, fd, Objects.requireNonNull(box));
    }
  }

  private static int number(@Nullable Fd fd) {
    return fd == null ? NOWHERE : fd.number();
  }

  private void map(Op op, SoftVfio vfio, int fd, @Nullable Box box) {
    int process = op.a() >> 1;
    long vaddr = world.base.get(process) + op.vaddr();
    vfio.map(fd, new Vfio.MapRequest(vaddr, op.iova(), op.size(), op.flags(), Vfio.MAP_ARGSZ));
    if (op.flags() == Answers.VADDR) {
      Objects.requireNonNull(box).invalid.remove(op.iova());
      return;
    }
    Objects.requireNonNull(box)
        .areas
        .put(
            op.iova(),
            new Area(op.iova(), op.size(), process, op.vaddr(), op.flags(), ledger.caps[process]));
  }

  private void unmap(Op op, SoftVfio vfio, int fd, @Nullable Box box) {
    long bytes =
        vfio.unmap(
            fd,
            new Vfio.UnmapRequest(
                op.iova(), op.size(), op.flags(), Vfio.UNMAP_ARGSZ, Optional.empty()));
    List<Area> gone = answers.unmapped(Objects.requireNonNull(box), op);
    long should = gone.stream().mapToLong(Area::size).sum();
    Violation.when(bytes != should, "answer", "unmapped 0x%x bytes, should be 0x%x", bytes, should);
    if ((op.flags() & Answers.VADDR) != 0) {
      gone.forEach(area -> box.invalid.add(area.iova()));
    } else {
      gone.forEach(box::drop);
    }
  }

  /** Where an IOMMU serves a device that reports nothing, every page of it counts as dirty. */
  private void bitmap(Op op, SoftVfio vfio, int fd, Box box) {
    long[] words = new long[1];
    vfio.dirtyBitmap(
        fd,
        new Vfio.BitmapRequest(
            op.iova(), op.size(), new Vfio.Bitmap(World.PAGE, Long.BYTES, words)));
    box.allDirty = false;
    for (Area area : box.areas.values()) {
      boolean inside = area.iova() >= op.iova() && area.last() < op.iova() + op.size();
      for (long at = area.iova(); inside && box.served() && at <= area.last(); at += World.PAGE) {
        Violation.when(
            (words[0] >>> ((at - op.iova()) / World.PAGE) & 1) == 0,
            "answer",
            "page 0x%x reads clean though a device may have written to it",
            at);
      }
    }
  }

  private void onGroup(Op op) {
    SoftVfio vfio = world.processes.get(op.a());
    int key = World.groupKey(op.b());
    Fd group = ledger.groupFds[op.a()][key];
    switch (op.kind()) {
      case GRP -> {
        int fd = vfio.group(World.NAMES.get(op.b()));
        Vgroup opened = Objects.requireNonNull(ledger.groups.get(key));
        opened.fileOpen = true;
        ledger.groupFds[op.a()][key] = new Fd(fd, opened);
      }
      case CLOSE_GRP -> {
        vfio.close(number(group));
        Vgroup closed = Objects.requireNonNull(group).group();
        ledger.groupFds[op.a()][key] = null;
        closed.fileOpen = false;
        ledger.closed(closed);
      }
      case UNSET -> {
        vfio.unsetContainer(number(group));
        ledger.leave(Objects.requireNonNull(group).group());
      }
      case STATUS -> status(vfio.groupStatus(number(group), STATUS_BYTES), group);
      case DEV -> {
        int fd = vfio.deviceFd(number(group), Optional.of(World.NAMES.get(op.b())));
        Vgroup used = Objects.requireNonNull(group).group();
        used.deviceFiles++;
        used.listening |= used.kind == Kind.PLAIN;
        ledger.deviceFds[op.a()][op.b()] = new Fd(fd, used);
      }
      default -> {
        Fd device = ledger.deviceFds[op.a()][op.b()];
        vfio.close(number(device));
        ledger.deviceFds[op.a()][op.b()] = null;
        Vgroup used = Objects.requireNonNull(device).group();
        used.deviceFiles--;
        ledger.closed(used);
      }
    }
  }

  private void status(int flags, @Nullable Fd fd) {
    Vgroup group = Objects.requireNonNull(fd).group();
    boolean set = group.box != null;
    boolean viable = (ledger.profile.ownership() && set) || !ledger.hostDriven(group.backing());
    int should = (viable ? 1 : 0) | (set ? 2 : 0);
    Violation.when(flags != should, "answer", "status %d, should be %d", flags, should);
  }

  private void around(Op op) {
    String name = op.b() < World.NAMES.size() ? World.NAMES.get(op.b()) : "";
    switch (op.kind()) {
      case MEMLOCK -> {
        world.processes.get(op.a()).memory().limit(op.size() * World.PAGE);
        ledger.limits[op.a()] = op.size();
      }
      case CAP -> {
        world.processes.get(op.a()).memory().ipcLock(op.flags() == 1);
        ledger.caps[op.a()] = op.flags() == 1;
      }
      case UNSAFE -> {
        world.machine.parameters().allowUnsafeInterrupts(op.flags() == 1);
        ledger.unsafe = op.flags() == 1;
      }
      case BIND -> {
        String driver = World.DRIVERS.get(op.flags());
        world.machine.bind(name, driver);
        ledger.bound(world, op.b(), driver);
      }
      case UNBIND -> leaving(op.b(), ledger.mustWait(op.b()), world.machine.unbind(name));
      case CREATE -> {
        world.machine.createMdev(World.parent(op.b()), World.type(op.b()), name);
        ledger.created(op.b(), world.machine.groupOf(name).orElseThrow());
      }
      case REMOVE -> leaving(op.b(), ledger.mustWait(op.b()), world.machine.removeMdev(name));
      case AUX -> {
        world.machine.iommu().enableAux(world.machine.function(name), op.flags() == 1);
        ledger.aux[op.b()] = op.flags() == 1;
      }
      case DETACH ->
          Objects.requireNonNull(ledger.slots[op.a()])
              .container()
              .detach(stranger(op).orElseThrow().group);
      default -> pin(op);
    }
  }

  private void leaving(int device, boolean mustWait, boolean done) {
    Violation.when(
        mustWait == done, "answer", World.NAMES.get(device) + (done ? " did not wait" : " waits"));
    if (!done) {
      ledger.waiting.add(device);
    } else if (World.isMdev(device)) {
      ledger.removed(device);
    } else {
      ledger.unbound(device);
    }
  }

  private void pin(Op op) {
    Vgroup group = pinner(op).orElseThrow();
    Box box = group.in();
    long page = op.iova();
    boolean mapped =
        box.areas.values().stream().anyMatch(a -> a.iova() <= page && page <= a.last());
    if (op.kind() == Op.Kind.PIN) {
      box.container().pin(group.group, List.of(page), op.flags());
      Violation.when(!mapped, "answer", "a page was pinned that is not mapped");
      box.pins.merge(page, 1, Integer::sum);
    } else {
      box.container().unpin(group.group, List.of(page));
      Violation.when(!mapped, "answer", "a page was unpinned that is not mapped");
      box.pins.computeIfPresent(page, (p, n) -> n == 1 ? null : n - 1);
    }
  }
}
