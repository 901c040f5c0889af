// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import org.vfio4j.error.Errno;

/**
 * One operation against a {@link World}, by slots instead of descriptors: without the operations
 * before it, it still means something, so that a failing list can be shortened.
 *
 * @param kind what to do
 * @param a the process, or the container's slot, two to a process
 * @param b the device
 * @param vaddr offset in the process's memory, in bytes
 * @param iova in bytes
 * @param size in bytes, or pages of a limit
 * @param flags of the call: type, protection, driver
 * @param fault which call into the IOMMU fails, from 1; 0 for none
 * @param faults how many in a row
 * @param errno what it answers
 */
record Op(
    Kind kind,
    int a,
    int b,
    long vaddr,
    long iova,
    long size,
    int flags,
    int fault,
    int faults,
    Errno errno) {

  /** What can be done. */
  enum Kind {
    CONT,
    CLOSE_CONT,
    GRP,
    CLOSE_GRP,
    SET,
    UNSET,
    IOMMU,
    DEV,
    CLOSE_DEV,
    STATUS,
    MAP,
    UNMAP,
    DIRTY,
    BITMAP,
    PIN,
    UNPIN,
    MEMLOCK,
    CAP,
    UNSAFE,
    BIND,
    UNBIND,
    CREATE,
    REMOVE,
    /** The function's driver enters or leaves PASID mode: no user can have it do so. */
    AUX,
    /** VFIO has a container detach a group that is not there, which it takes care not to do. */
    DETACH
  }

  static Op of(Kind kind, int a, int b) {
    return new Op(kind, a, b, 0, 0, 0, 0, 0, 0, Errno.ENOMEM);
  }

  static Op of(Kind kind, int a, int b, int flags) {
    return of(kind, a, b).with(flags);
  }

  static Op map(int slot, long vaddr, long iova, long size, int flags) {
    return new Op(Kind.MAP, slot, 0, vaddr, iova, size, flags, 0, 0, Errno.ENOMEM);
  }

  static Op unmap(int slot, long iova, long size, int flags) {
    return new Op(Kind.UNMAP, slot, 0, 0, iova, size, flags, 0, 0, Errno.ENOMEM);
  }

  static Op pin(Kind kind, int device, long iova, int prot) {
    return new Op(kind, 0, device, 0, iova, 0, prot, 0, 0, Errno.ENOMEM);
  }

  static Op limit(int process, long pages) {
    return new Op(Kind.MEMLOCK, process, 0, 0, 0, pages, 0, 0, 0, Errno.ENOMEM);
  }

  static Op bitmap(int slot, long iova, long size) {
    return new Op(Kind.BITMAP, slot, 0, 0, iova, size, 0, 0, 0, Errno.ENOMEM);
  }

  private Op with(int newFlags) {
    return new Op(kind, a, b, vaddr, iova, size, newFlags, fault, faults, errno);
  }

  /** The same, while the {@code nth} call into the IOMMU and {@code count - 1} after it fail. */
  Op failing(int nth, int count, Errno answer) {
    return new Op(kind, a, b, vaddr, iova, size, flags, nth, count, answer);
  }

  /** The line of the op-script language, or a comment where the language has no word for it. */
  String script() {
    String name = b < World.NAMES.size() ? World.NAMES.get(b) : "?";
    String c = "$c" + a;
    String g = "$g" + (a >> (onContainer() ? 1 : 0)) + "_" + World.groupKey(b);
    String line =
        switch (kind) {
          case CONT -> c.substring(1) + " = cont";
          case CLOSE_CONT -> "close " + c;
          case GRP -> g.substring(1) + " = grp " + name;
          case CLOSE_GRP -> "close " + g;
          case SET -> "setcont " + g + " " + c;
          case UNSET -> "unset " + g;
          case IOMMU -> "setiommu " + c + " " + flags;
          case DEV -> "d" + a + "_" + b + " = devfd " + g + " " + name;
          case CLOSE_DEV -> "close $d" + a + "_" + b;
          case STATUS -> "status " + g;
          case MAP -> "map %s buf+0x%x 0x%x 0x%x %d".formatted(c, vaddr, iova, size, flags);
          case UNMAP -> "unmap %s 0x%x 0x%x %d".formatted(c, iova, size, flags);
          case DIRTY -> "dirty " + c + " " + flags;
          case BITMAP -> "getbm %s 0x%x 0x%x 4096 8".formatted(c, iova, size);
          case PIN -> "# pin through %s: iova=0x%x prot=%d".formatted(name, iova, flags);
          case UNPIN -> "# unpin through %s: iova=0x%x".formatted(name, iova);
          case MEMLOCK -> "memlock " + size * World.PAGE;
          case CAP -> (flags == 1 ? "addcap" : "dropcap") + " 14";
          case UNSAFE ->
              "write /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts "
                  + (flags == 1 ? "Y" : "N");
          case BIND -> "bind " + name + " " + World.DRIVERS.get(flags);
          case UNBIND -> "bind " + name + " none";
          case CREATE ->
              "write /sys/bus/pci/devices/%s/mdev_supported_types/%s/create %s"
                  .formatted(World.parent(b), World.type(b), name);
          case REMOVE -> "write /sys/bus/mdev/devices/" + name + "/remove 1";
          case AUX ->
              "# the driver of %s turns PASIDs %s".formatted(name, flags == 1 ? "on" : "off");
          case DETACH -> "# detach of %s from %s, which does not have it".formatted(name, c);
        };
    String injected =
        fault == 0
            ? ""
            : "# of the next line, call %d into the IOMMU%s answers %s%n"
                .formatted(fault, faults > 1 ? " and the one after it" : "", errno);
    return injected + line + (process() == 1 ? "   # process 1" : "");
  }

  private boolean onContainer() {
    return switch (kind) {
      case CONT, CLOSE_CONT, SET, IOMMU, MAP, UNMAP, DIRTY, BITMAP, DETACH -> true;
      default -> false;
    };
  }

  private int process() {
    return onContainer() ? a >> 1 : a;
  }
}
