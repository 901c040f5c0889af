// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.vfio4j.error.Errno;
import org.vfio4j.user.device.Pci;

/**
 * A VM of {@link HeldWorld}: its devices, their clients, and the memory that these have announced.
 * The rules are written down here anew, as simply as they can be said. Each change answers with the
 * errno that a client gets, 0 for none; one that is refused has changed nothing but what it says.
 */
final class HeldVm {
  /** Bytes of RAM that each VM is to have. */
  static final long MEMORY = 4 << 20;

  /** Addresses of this are no memory of anybody's: interrupts are messages to them. */
  static final long MSI = 0xfee0_0000L;

  private static final long MSI_LAST = 0xfeef_ffffL;

  /**
   * Where something of a file is announced.
   *
   * @param file which of the VM's files
   * @param writable whether its descriptor was
   */
  record Range(long iova, long size, int prot, int file, boolean writable, long offset) {
    boolean same(Range other) {
      return equals(
          new Range(other.iova, other.size, other.prot, other.file, writable, other.offset));
    }

    boolean overlaps(long at, long bytes) {
      return iova < at + bytes && at < iova + size;
    }
  }

  /** A range, by whom it was announced, and whether devices reach it. */
  static final class Piece {
    final Range range;
    final Set<Integer> holders;
    boolean pinned;

    Piece(Range range, Set<Integer> holders, boolean pinned) {
      this.range = range;
      this.holders = holders;
      this.pinned = pinned;
    }

    Piece copy() {
      return new Piece(range, new TreeSet<>(holders), pinned);
    }
  }

  /** Who has a device. */
  static final class User {
    boolean admitted;

    /** Why it will not be admitted; 0 for nothing. */
    int failure;

    /** Sizes of what it has announced without a file. */
    final NavigableMap<Long, Long> without = new TreeMap<>();

    final int[] vectors = new int[Pci.IRQS];

    /** Numbers of the eventfds that interrupts go to. */
    final Map<Integer, Integer> eventFds = new TreeMap<>();

    int register;

    User copy() {
      User copy = new User();
      copy.admitted = admitted;
      copy.failure = failure;
      copy.without.putAll(without);
      System.arraycopy(vectors, 0, copy.vectors, 0, vectors.length);
      copy.eventFds.putAll(eventFds);
      copy.register = register;
      return copy;
    }
  }

  /** A function for the VM, and who has come for it. */
  static final class Device {
    final String address;
    final PassOptions options;
    boolean served = true;
    Optional<User> user = Optional.empty();

    /** The number of who is served, -1 for nobody, and of who waits. */
    int current = -1;

    final List<Integer> queue = new ArrayList<>();

    Device(String address, PassOptions options) {
      this.address = address;
      this.options = options;
    }

    Device copy() {
      Device copy = new Device(address, options);
      copy.served = served;
      copy.user = user.map(User::copy);
      copy.current = current;
      copy.queue.addAll(queue);
      return copy;
    }
  }

  final String name;
  final int slot;

  /** In the names of what is kept for it. */
  int number;

  final List<Device> devices = new ArrayList<>();
  final NavigableMap<Long, Piece> pieces = new TreeMap<>();

  /** In which of its containers each of its groups is; the last was made last. */
  final Map<Integer, Integer> containers = new TreeMap<>();

  HeldVm(String name, int slot, int number) {
    this.name = name;
    this.slot = slot;
    this.number = number;
  }

  HeldVm copy() {
    HeldVm copy = new HeldVm(name, slot, number);
    devices.forEach(d -> copy.devices.add(d.copy()));
    pieces.forEach((iova, piece) -> copy.pieces.put(iova, piece.copy()));
    copy.containers.putAll(containers);
    return copy;
  }

  User user(int device) {
    return devices.get(device).user.orElseThrow();
  }

  /** A group is in a container that there is, if the kernel takes it there. */
  void enter(int group, boolean refused) {
    int last = containers.values().stream().mapToInt(c -> c).max().orElse(-1);
    containers.putIfAbsent(group, refused || last < 0 ? last + 1 : last);
  }

  /** How many containers it has. */
  int inUse() {
    return (int) containers.values().stream().distinct().count();
  }

  private static int refused(User user, Errno errno) {
    user.failure = user.failure == 0 ? errno.number() : user.failure;
    return errno.number();
  }

  private boolean overlapsOwn(int device, long iova, long size) {
    boolean file =
        pieces.values().stream()
            .anyMatch(p -> p.holders.contains(device) && p.range.overlaps(iova, size));
    return file
        || user(device).without.entrySet().stream()
            .anyMatch(e -> e.getKey() < iova + size && iova < e.getKey() + e.getValue());
  }

  /** Whether the others of the VM have there what is not the same. */
  boolean atOdds(int device, Range range) {
    return pieces.values().stream()
        .anyMatch(
            p ->
                p.range.overlaps(range.iova, range.size)
                    && !p.range.same(range)
                    && !p.holders.equals(Set.of(device)));
  }

  private static boolean aligned(long iova, long size) {
    return ((iova | size) & 4095) == 0 && size > 0;
  }

  /** Memory without a file: no device reaches it. */
  int mapWithout(int device, long iova, long size) {
    User user = user(device);
    if (!aligned(iova, size)) {
      return refused(user, Errno.EINVAL);
    }
    if (Long.valueOf(size).equals(user.without.get(iova))) {
      return 0;
    }
    if (overlapsOwn(device, iova, size)) {
      return refused(user, Errno.EEXIST);
    }
    user.without.put(iova, size);
    return 0;
  }

  /**
   * Memory of a file.
   *
   * @param length of the file, in bytes
   */
  int map(int device, Range range, long length) {
    User user = user(device);
    if (!aligned(range.iova, range.size) || range.prot == 0) {
      return refused(user, Errno.EINVAL);
    }
    Optional<Piece> same =
        Optional.ofNullable(pieces.get(range.iova)).filter(p -> p.range.same(range));
    if (same.isEmpty() || !same.get().holders.contains(device)) {
      if (overlapsOwn(device, range.iova, range.size)) {
        return refused(user, Errno.EEXIST);
      }
    }
    if (same.isEmpty()) {
      long others = pieces.values().stream().mapToLong(p -> p.range.size).sum();
      if (others + range.size > MEMORY) {
        return refused(user, Errno.ENOMEM);
      }
      if ((range.offset & 4095) != 0 || range.offset < 0 || range.offset + range.size > length) {
        return refused(user, Errno.EINVAL);
      }
      if (!range.writable && (range.prot & 2) != 0) {
        return refused(user, Errno.EACCES);
      }
    }
    boolean pin = user.admitted;
    if (pin && reserved(range)) {
      return refused(user, Errno.EINVAL);
    }
    Piece piece = same.orElseGet(() -> new Piece(range, new TreeSet<>(), false));
    piece.holders.add(device);
    piece.pinned |= pin;
    pieces.put(range.iova, piece);
    return 0;
  }

  static boolean reserved(Range range) {
    return range.iova <= MSI_LAST && range.iova + range.size > MSI;
  }

  /** Takes back what it has in a range, where that cuts nothing. */
  int unmap(int device, long iova, long size) {
    if (!aligned(iova, size)) {
      return Errno.EINVAL.number();
    }
    User user = user(device);
    for (Piece piece : pieces.values()) {
      boolean inside =
          piece.range.iova >= iova && piece.range.iova + piece.range.size <= iova + size;
      if (piece.holders.contains(device) && piece.range.overlaps(iova, size) && !inside) {
        return Errno.EINVAL.number();
      }
    }
    for (Map.Entry<Long, Long> each : user.without.entrySet()) {
      boolean inside = each.getKey() >= iova && each.getKey() + each.getValue() <= iova + size;
      if (each.getKey() < iova + size && iova < each.getKey() + each.getValue() && !inside) {
        return Errno.EINVAL.number();
      }
    }
    user.without.keySet().removeIf(at -> at >= iova && at < iova + size);
    pieces.values().stream()
        .filter(p -> p.range.overlaps(iova, size))
        .forEach(p -> p.holders.remove(device));
    pieces.values().removeIf(p -> p.holders.isEmpty());
    return 0;
  }

  void unmapAll(int device) {
    user(device).without.clear();
    pieces.values().forEach(p -> p.holders.remove(device));
    pieces.values().removeIf(p -> p.holders.isEmpty());
  }

  /**
   * GET_INFO.
   *
   * @param most how many of its ranges are pinned before something fails
   */
  int admit(int device, int most) {
    User user = user(device);
    if (user.admitted) {
      return 0;
    }
    if (user.failure != 0) {
      return user.failure;
    }
    List<Piece> mine = pieces.values().stream().filter(p -> p.holders.contains(device)).toList();
    if (mine.stream().mapToLong(p -> p.range.size).sum() + (2 << 20) < MEMORY) {
      return Errno.ENOMEM.number();
    }
    int pinned = 0;
    for (Piece piece : mine) {
      if (reserved(piece.range) || pinned++ == most) {
        return Errno.EINVAL.number();
      }
      piece.pinned = true;
    }
    if (most < Integer.MAX_VALUE) {
      return Errno.EINVAL.number();
    }
    user.admitted = true;
    return 0;
  }

  /** The files that some range is of, with the descriptors that opened them. */
  long files() {
    return pieces.values().stream()
        .map(p -> p.range.file + " " + p.range.writable)
        .distinct()
        .count();
  }
}
