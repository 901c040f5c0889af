// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.vfio4j.attack.Ledger.Area;
import org.vfio4j.attack.Ledger.Box;
import org.vfio4j.attack.Ledger.Fd;
import org.vfio4j.attack.Ledger.Kind;
import org.vfio4j.attack.Ledger.Vgroup;
import org.vfio4j.error.Errno;
import org.vfio4j.profile.KernelProfile;

/**
 * The rules once more, in the attacker's words: what each call must answer while nothing is made to
 * fail. Written from the reference and the ledger, without the engine.
 */
final class Answers {
  /** Nothing is foretold: the answer hangs on more than the ledger has. */
  static final Optional<Optional<Errno>> OPEN = Optional.empty();

  private static final long PAGES = World.PAGE - 1;
  private static final int UNMAP_ALL = 2;
  static final int VADDR = 4;
  private static final int NARROW = 5;
  private static final int NO_DEFAULT = 6;
  private static final int NO_REMAPPING = 7;
  private static final int WIDE_BITS = 48;
  private static final int NARROW_BITS = 39;

  private final Ledger ledger;
  private final KernelProfile profile;

  Answers(Ledger ledger) {
    this.ledger = ledger;
    this.profile = ledger.profile;
  }

  private static Optional<Optional<Errno>> ok() {
    return Optional.of(Optional.empty());
  }

  private static Optional<Optional<Errno>> refused(Errno errno) {
    return Optional.of(Optional.of(errno));
  }

  /** What the operation must answer; {@link #OPEN} where that is not foretold. */
  Optional<Optional<Errno>> to(Op op) {
    return switch (op.kind()) {
      case CONT, MEMLOCK, CAP, UNSAFE, UNBIND, AUX, DETACH -> ok();
      case CLOSE_CONT -> ledger.slots[op.a()] == null ? refused(Errno.EBADF) : ok();
      case GRP -> open(op.b());
      case CLOSE_GRP -> group(op) == null ? refused(Errno.EBADF) : ok();
      case CLOSE_DEV -> ledger.deviceFds[op.a()][op.b()] == null ? refused(Errno.EBADF) : ok();
      case SET -> set(op);
      case UNSET -> unset(group(op));
      case IOMMU -> iommu(ledger.slots[op.a()], op.flags());
      case DEV -> device(group(op), op.b());
      case STATUS -> status(group(op));
      case MAP -> map(ledger.slots[op.a()], op);
      case UNMAP -> unmap(ledger.slots[op.a()], op);
      case DIRTY -> dirty(ledger.slots[op.a()], op.flags());
      case BITMAP, PIN, UNPIN -> OPEN;
      case BIND -> bind(op.b(), World.DRIVERS.get(op.flags()));
      case CREATE -> create(op.b());
      case REMOVE -> ledger.alive[op.b()] ? ok() : refused(Errno.ENODEV);
    };
  }

  private Fd group(Op op) {
    int process = op.kind() == Op.Kind.SET ? op.a() >> 1 : op.a();
    return ledger.groupFds[process][World.groupKey(op.b())];
  }

  private Optional<Optional<Errno>> open(int device) {
    Vgroup group = ledger.groups.get(World.groupKey(device));
    if (group == null) {
      return refused(Errno.ENOENT);
    }
    return group.opened() ? refused(Errno.EBUSY) : ok();
  }

  private Optional<Optional<Errno>> set(Op op) {
    Fd fd = group(op);
    Box box = ledger.slots[op.a()];
    if (fd == null) {
      return refused(Errno.EBADF);
    }
    Vgroup group = fd.group();
    if (box == null || group.box != null) {
      boolean descriptor = box == null && (profile.containerFdFirst() || group.box == null);
      return refused(descriptor ? Errno.EBADF : Errno.EINVAL);
    }
    if (group.dead) {
      return refused(Errno.ENODEV);
    }
    if (profile.ownership() && ledger.hostDriven(group.backing())) {
      return refused(Errno.EPERM);
    }
    return box.live() ? attach(group, box, box.type, new HashSet<>()) : ok();
  }

  private static Optional<Optional<Errno>> unset(Fd fd) {
    if (fd == null) {
      return refused(Errno.EBADF);
    }
    if (fd.group().box == null) {
      return refused(Errno.EINVAL);
    }
    return fd.group().deviceFiles > 0 ? refused(Errno.EBUSY) : ok();
  }

  private Optional<Optional<Errno>> iommu(Box box, int type) {
    if (box == null) {
      return refused(Errno.EBADF);
    }
    if (box.groups.isEmpty() || box.live()) {
      return refused(Errno.EINVAL);
    }
    boolean known = type == 1 || type == 3 || (type == 6 && profile.nestingKnown());
    if (!known) {
      return refused(Errno.ENODEV);
    }
    Set<Integer> inside = new HashSet<>();
    for (Vgroup each : box.groups) {
      Optional<Optional<Errno>> answer = attach(each, box, type, inside);
      if (!answer.equals(ok())) {
        return answer;
      }
      inside.add(each.backing());
    }
    return ok();
  }

  private Optional<Optional<Errno>> attach(Vgroup g, Box box, int type, Set<Integer> inside) {
    if (!box.invalid.isEmpty()) {
      return refused(Errno.EBUSY);
    }
    if (g.memberless()) {
      return refused(Errno.EIO);
    }
    if (g.kind == Kind.PLAIN) {
      return ok();
    }
    if (g.kind != Kind.AUX) {
      if (g.physical == Ledger.NO_GROUP) {
        return refused(Errno.EINVAL);
      }
      List<Vgroup> users = ledger.users(g.physical);
      if (inside.contains(g.physical) || users.stream().anyMatch(u -> u.box == box)) {
        return ok();
      }
      if (g.kind == Kind.BACKED && ledger.hostDriven(g.physical)) {
        return refused(Errno.EINVAL);
      }
      if (!users.isEmpty()) {
        return refused(Errno.EBUSY);
      }
    }
    return attachHardware(g, box, type);
  }

  private Optional<Optional<Errno>> attachHardware(Vgroup g, Box box, int type) {
    if (type == 6 && g.physical == NARROW) {
      return refused(profile.nestingRefused());
    }
    if (ledger.auxOn(g.physical) != (g.kind == Kind.AUX)) {
      return refused(Errno.EPERM);
    }
    long last = lastOf(g.physical);
    boolean beyond = box.areas.values().stream().anyMatch(a -> a.last() > last);
    if (beyond && !(profile.iovaRanges() && box.hadDomain)) {
      return OPEN;
    }
    boolean clash = box.areas.values().stream().anyMatch(a -> clashes(g, a));
    if (beyond || (profile.iovaRanges() && clash)) {
      return refused(Errno.EINVAL);
    }
    if (g.physical == NO_REMAPPING && !ledger.unsafe) {
      return refused(Errno.EPERM);
    }
    boolean pins = !box.areas.isEmpty() && !box.served();
    return pins && box.areas.values().stream().anyMatch(a -> !a.exempt() || missing(a))
        ? OPEN
        : ok();
  }

  static long lastOf(int physical) {
    return (1L << (physical == NARROW ? NARROW_BITS : WIDE_BITS)) - 1;
  }

  private static boolean clashes(Vgroup g, Area area) {
    return g.kind != Kind.AUX
        && reserved(g.physical).entrySet().stream()
            .anyMatch(r -> r.getKey() <= area.last() && area.iova() <= r.getValue());
  }

  /** First to last address of what a physical group keeps for itself. */
  static Map<Long, Long> reserved(int physical) {
    return switch (physical) {
      case NARROW -> Map.of(0x14000L, 0x14fffL, 0x8000000L, 0x80fffffL);
      case NO_DEFAULT -> Map.of(0x8000000L, 0x80fffffL);
      default -> Map.of(0xfee00000L, 0xfeefffffL);
    };
  }

  private static boolean missing(Area area) {
    return present(area.vaddr(), area.size(), area.prot()) < area.size();
  }

  /** Bytes that are there, from an offset in a process's memory up to the first that is not. */
  private static long present(long offset, long size, int prot) {
    long writable = (prot & 2) != 0 ? 0 : World.READ_ONLY * World.PAGE;
    long end = World.WRITABLE * World.PAGE + writable;
    return Math.max(0, Math.min(size, end - offset));
  }

  private Optional<Optional<Errno>> device(Fd fd, int device) {
    if (fd == null) {
      return refused(Errno.EBADF);
    }
    Vgroup group = fd.group();
    boolean hidden = profile.removalHidesDevice() && ledger.waiting.contains(device);
    boolean named = group.registered.contains(device) && !hidden;
    if (profile.deviceNameFirst() && !named) {
      return refused(Errno.ENODEV);
    }
    boolean viable = profile.ownership() || !ledger.hostDriven(group.backing());
    if (!group.attached() || !viable) {
      return refused(Errno.EINVAL);
    }
    return !named || ledger.wrapped(device) ? refused(Errno.ENODEV) : ok();
  }

  private static Optional<Optional<Errno>> status(Fd fd) {
    if (fd == null) {
      return refused(Errno.EBADF);
    }
    return fd.group().dead ? refused(Errno.ENODEV) : ok();
  }

  private Optional<Optional<Errno>> map(Box box, Op op) {
    if (box == null || !box.live()) {
      return refused(box == null ? Errno.EBADF : Errno.EINVAL);
    }
    int known = profile.vaddrUpdate() ? 7 : 3;
    long size = op.size();
    boolean update = op.flags() == VADDR;
    if ((op.flags() & ~known) != 0 || op.flags() == 0 || op.flags() > VADDR) {
      return refused(Errno.EINVAL);
    }
    if (size == 0 || ((size | op.iova() | op.vaddr()) & PAGES) != 0) {
      return refused(Errno.EINVAL);
    }
    long last = op.iova() + size - 1;
    Optional<Area> there =
        box.areas.values().stream()
            .filter(a -> a.iova() <= last && op.iova() <= a.last())
            .findFirst();
    if (update) {
      return there.map(a -> update(box, a, op)).orElse(refused(Errno.ENOENT));
    }
    if (there.isPresent()) {
      return refused(Errno.EEXIST);
    }
    return pinned(box, op, last);
  }

  private static Optional<Optional<Errno>> update(Box box, Area area, Op op) {
    boolean same = area.iova() == op.iova() && area.size() == op.size();
    return same && box.invalid.contains(area.iova()) ? ok() : refused(Errno.EINVAL);
  }

  private Optional<Optional<Errno>> pinned(Box box, Op op, long last) {
    boolean within = allowed(box, op.iova(), last);
    if (!within || !box.served()) {
      return within ? ok() : refused(Errno.EINVAL);
    }
    long there = present(op.vaddr(), op.size(), op.flags());
    long locked = ledger.locked(box.process) + there / World.PAGE;
    if (there > 0 && !ledger.caps[box.process] && locked > ledger.limits[box.process]) {
      return refused(Errno.ENOMEM);
    }
    return there < op.size() || last > smallest(box) ? refused(Errno.EFAULT) : ok();
  }

  private static long smallest(Box box) {
    return box.groups.stream()
        .filter(g -> g.kind != Kind.PLAIN)
        .mapToLong(g -> lastOf(g.physical))
        .min()
        .orElse(Long.MAX_VALUE);
  }

  private boolean allowed(Box box, long first, long last) {
    return !profile.iovaRanges()
        || !box.served()
        || (last <= smallest(box)
            && box.groups.stream()
                .noneMatch(
                    g ->
                        g.kind != Kind.PLAIN
                            && clashes(g, new Area(first, last - first + 1, 0, 0, 0, true))));
  }

  private Optional<Optional<Errno>> unmap(Box box, Op op) {
    if (box == null || !box.live()) {
      return refused(box == null ? Errno.EBADF : Errno.EINVAL);
    }
    if ((op.flags() & ~(profile.vaddrUpdate() ? UNMAP_ALL | VADDR : 0)) != 0) {
      return refused(Errno.EINVAL);
    }
    boolean update = (op.flags() & VADDR) != 0;
    if (update && box.groups.stream().anyMatch(g -> g.kind == Kind.PLAIN)) {
      return refused(Errno.EBUSY);
    }
    boolean invalid =
        update && unmapped(box, op).stream().anyMatch(a -> box.invalid.contains(a.iova()));
    if ((op.flags() & UNMAP_ALL) != 0) {
      return (op.iova() | op.size()) == 0 && !invalid ? ok() : refused(Errno.EINVAL);
    }
    boolean aligned = ((op.iova() | op.size()) & PAGES) == 0;
    if (op.size() == 0 || !aligned) {
      return refused(Errno.EINVAL);
    }
    long last = op.iova() + op.size() - 1;
    boolean cut =
        box.type != 1
            && box.areas.values().stream()
                .anyMatch(
                    a ->
                        (a.iova() < op.iova() && op.iova() <= a.last())
                            || (a.iova() <= last && last < a.last()));
    return cut || invalid ? refused(Errno.EINVAL) : ok();
  }

  /** The mappings an accepted unmap takes away. */
  List<Area> unmapped(Box box, Op op) {
    long last = op.iova() + op.size() - 1;
    boolean cut =
        (op.flags() & UNMAP_ALL) == 0
            && box.areas.values().stream()
                .anyMatch(a -> a.iova() < op.iova() && op.iova() <= a.last());
    return box.areas.values().stream()
        .filter(
            a ->
                (op.flags() & UNMAP_ALL) != 0
                    || (!cut && a.iova() >= op.iova() && a.iova() <= last))
        .toList();
  }

  private Optional<Optional<Errno>> dirty(Box box, int flags) {
    if (box == null || !box.live()) {
      return refused(box == null ? Errno.EBADF : Errno.EINVAL);
    }
    if (!profile.dirtyTracking()) {
      return refused(Errno.ENOTTY);
    }
    if (box.type == 1) {
      return refused(Errno.EACCES);
    }
    return flags == 1 || flags == 2 ? ok() : refused(Errno.EINVAL);
  }

  private Optional<Optional<Errno>> bind(int function, String driver) {
    int physical = World.physicalOf(function);
    if (driver.startsWith("vfio-")) {
      return physical == Ledger.NO_GROUP ? refused(Errno.EINVAL) : ok();
    }
    boolean host = driver.equals("e1000") && physical != Ledger.NO_GROUP;
    boolean taken = ledger.claims(physical) > 0 || !ledger.users(physical).isEmpty();
    return host && taken ? refused(Errno.EBUSY) : ok();
  }

  /** Whether the kernel of the profile would stop with a BUG. */
  boolean bug(Op op) {
    Vgroup group = op.kind() == Op.Kind.BIND ? ledger.groups.get(World.groupKey(op.b())) : null;
    return group != null
        && World.DRIVERS.get(op.flags()).equals("e1000")
        && !profile.ownership()
        && group.box != null;
  }

  private Optional<Optional<Errno>> create(int mdev) {
    int parent = World.parentIndex(mdev);
    if (ledger.waiting.contains(parent)) {
      return refused(Errno.ENODEV);
    }
    if (ledger.instances[parent] == 0) {
      return refused(Errno.ENOENT);
    }
    if (ledger.alive[mdev]) {
      return refused(Errno.EEXIST);
    }
    return ledger.livingMdevs(parent) < ledger.instances[parent] ? ok() : refused(Errno.ENOSPC);
  }
}
