// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.vfio4j.host.MountTable.Mount;

/**
 * Finds which block devices the host uses, and for what: from the mounts and swaps of proc, the
 * holders that sysfs shows, and what udev has read from the devices.
 */
final class SysfsDisks {
  private static final Set<String> BOOT_MOUNTS = Set.of("/", "/boot", "/boot/efi", "/usr");

  /** File systems without a device of this machine: in memory, or on the network. */
  private static final Set<String> DEVICELESS =
      Set.of("rootfs", "tmpfs", "ramfs", "devtmpfs", "nfs", "nfs4", "cifs", "smb3", "ceph");

  /** What udev finds on a device that a driver or a daemon may hold without sysfs showing it. */
  private static final Set<String> CLAIMS = Set.of("bcache", "drbd", "ceph_bluestore");

  /**
   * A block device that the host uses.
   *
   * @param device its folder in sysfs
   * @param what for what, in words
   * @param boot whether the host runs from it
   */
  record Use(Path device, String what, boolean boot) {}

  /** The devices of a mount, and whether these are all. */
  private record Sources(Set<Path> devices, boolean told) {
    static final Sources NONE = new Sources(Set.of(), true);
    static final Sources UNTOLD = new Sources(Set.of(), false);

    static Sources of(Optional<Path> device) {
      return device.map(d -> new Sources(Set.of(d), true)).orElse(UNTOLD);
    }
  }

  private final Path sys;
  private final Path proc;
  private final Path udev;
  private final List<Use> uses = new ArrayList<>();
  private boolean bootTold;
  private boolean allTold;

  private SysfsDisks(Path sys, Path proc, Path udev) {
    this.sys = sys;
    this.proc = proc;
    this.udev = udev;
  }

  /**
   * Reads.
   *
   * @param udev the folder of udev's records, {@code /run/udev/data}; it may be missing
   */
  static SysfsDisks read(Path sys, Path proc, Path udev) {
    SysfsDisks disks = new SysfsDisks(sys, proc, udev);
    Optional<List<String>> mountinfo =
        SysfsReader.lines(proc.resolve("self/mountinfo"))
            .or(() -> SysfsReader.lines(proc.resolve("1/mountinfo")));
    MountTable mounts =
        mountinfo
            .map(MountTable::ofMountinfo)
            .orElseGet(
                () ->
                    MountTable.ofMounts(
                        SysfsReader.lines(proc.resolve("mounts")).orElse(List.of())));
    disks.allTold = mountinfo.isPresent() && Files.isDirectory(sys.resolve("class/block"));
    disks.addMounts(mounts);
    disks.addSwaps();
    disks.addClaims();
    return disks;
  }

  /** The devices, with a use each; a device may be there several times. */
  List<Use> uses() {
    return uses;
  }

  /** Whether those that the host runs from are known in full. */
  boolean bootTold() {
    return bootTold;
  }

  /** Whether all that are used are known. */
  boolean allTold() {
    return allTold;
  }

  private void addMounts(MountTable mounts) {
    bootTold = false;
    boolean bootLost = false;
    for (Mount mount : mounts.mounts()) {
      boolean boot = BOOT_MOUNTS.contains(mount.point());
      Sources sources = sources(mounts, mount);
      sources.devices().forEach(d -> uses.add(new Use(d, mounted(d, mount), boot)));
      boolean lost = !sources.told();
      bootLost |= boot && lost;
      bootTold |= mount.point().equals("/") && !lost;
      allTold &= !lost;
    }
    bootTold &= !bootLost;
  }

  private static String mounted(Path device, Mount mount) {
    return "%s is mounted on %s".formatted(device.getFileName(), mount.point());
  }

  private Sources sources(MountTable mounts, Mount mount) {
    Path byNumber = sys.resolve("dev/block/" + mount.number());
    if (mount.number().matches("[0-9]+:[0-9]+") && Files.exists(byNumber)) {
      return new Sources(Set.of(real(byNumber)), true);
    }
    return switch (mount.type()) {
      case "overlay" -> layers(mounts, mount);
      case "zfs" -> pool(mount.source());
      case "btrfs" -> volume(mount.source());
      case "bcachefs" -> Sources.of(named(mount.source().replaceFirst(":.*", "")));
      default -> {
        if (mount.source().startsWith("/dev/") && !mount.type().startsWith("fuse.")) {
          yield isDevice(mount) ? Sources.of(named(mount.source())) : Sources.NONE;
        }
        boolean root = BOOT_MOUNTS.contains(mount.point());
        yield root && !DEVICELESS.contains(mount.type()) ? Sources.UNTOLD : Sources.NONE;
      }
    };
  }

  /** {@code /dev/fuse} and {@code devtmpfs} name a file there that is no block device. */
  private static boolean isDevice(Mount mount) {
    return !mount.source().equals("/dev/fuse") && !DEVICELESS.contains(mount.type());
  }

  /** What the layers of an overlay lie on; a container's lie where it cannot look. */
  private Sources layers(MountTable mounts, Mount overlay) {
    Set<Path> devices = new LinkedHashSet<>();
    boolean told = !overlay.layers().isEmpty();
    for (String layer : overlay.layers()) {
      Optional<Mount> on = mounts.below(layer, overlay).filter(m -> !m.type().equals("overlay"));
      Sources sources = on.map(m -> sources(mounts, m)).orElse(Sources.UNTOLD);
      devices.addAll(sources.devices());
      told &= sources.told();
    }
    return new Sources(devices, told);
  }

  /** ZFS shows sysfs nothing; udev knows what pool it has found on a device. */
  private Sources pool(String dataset) {
    String pool = dataset.replaceFirst("/.*", "");
    Set<Path> members = new LinkedHashSet<>();
    for (Path device : SysfsReader.entries(sys.resolve("class/block"))) {
      List<String> record = record(device);
      if (record.contains("E:ID_FS_TYPE=zfs_member") && record.contains("E:ID_FS_LABEL=" + pool)) {
        members.add(real(device));
      }
    }
    return new Sources(members, !members.isEmpty());
  }

  /** A btrfs has several devices; only one of them is the source of its mounts. */
  private Sources volume(String source) {
    Optional<Path> first = named(source);
    if (first.isEmpty()) {
      return Sources.UNTOLD;
    }
    Set<Path> devices = new LinkedHashSet<>(Set.of(first.get()));
    for (Path volume : SysfsReader.entries(sys.resolve("fs/btrfs"))) {
      List<Path> members =
          SysfsReader.entries(volume.resolve("devices")).stream().map(SysfsDisks::real).toList();
      if (members.contains(first.get())) {
        devices.addAll(members);
      }
    }
    return new Sources(devices, true);
  }

  private void addSwaps() {
    List<String> lines = SysfsReader.lines(proc.resolve("swaps")).orElse(List.of());
    for (String line : lines.stream().skip(1).toList()) {
      String[] fields = line.trim().split("\\s+");
      if (fields.length >= 2 && fields[1].equals("partition")) {
        Optional<Path> device = named(fields[0]);
        device.ifPresent(d -> uses.add(new Use(d, "%s swaps".formatted(d.getFileName()), false)));
        allTold &= device.isPresent();
      }
    }
  }

  /** What is a part of something else, running or not. */
  private void addClaims() {
    boolean zfsSeen = false;
    for (Path entry : SysfsReader.entries(sys.resolve("class/block"))) {
      Path device = real(entry);
      for (Path holder : SysfsReader.entries(device.resolve("holders"))) {
        uses.add(new Use(device, heldBy(device, holder), false));
      }
      if (Files.exists(device.resolve("bcache"))) {
        uses.add(new Use(device, device.getFileName() + " is a part of a bcache", false));
      }
      for (String line : record(entry)) {
        String type = line.replaceFirst("^E:ID_FS_TYPE=", "");
        if (!type.equals(line) && (type.endsWith("_member") || CLAIMS.contains(type))) {
          uses.add(new Use(device, "%s is %s".formatted(device.getFileName(), claim(type)), false));
          zfsSeen |= type.equals("zfs_member");
        }
      }
    }
    allTold &= zfsSeen || pools().isEmpty();
  }

  private List<Path> pools() {
    return SysfsReader.entries(proc.resolve("spl/kstat/zfs")).stream()
        .filter(Files::isDirectory)
        .toList();
  }

  private static String heldBy(Path device, Path holder) {
    String uuid = SysfsReader.text(holder.resolve("dm/uuid")).orElse("");
    String name =
        SysfsReader.text(holder.resolve("dm/name")).orElse(holder.getFileName().toString());
    String what = uuid.startsWith("LVM-") ? "is an LVM physical volume of " : "is a part of ";
    return device.getFileName() + " " + what + name;
  }

  private static String claim(String type) {
    return switch (type) {
      case "LVM2_member", "LVM1_member" -> "an LVM physical volume";
      case "linux_raid_member" -> "a part of an MD RAID";
      case "zfs_member" -> "a part of a ZFS pool";
      default -> "a part of a " + type.replace("_member", "");
    };
  }

  /** What udev wrote down of a block device. */
  private List<String> record(Path device) {
    return SysfsReader.text(device.resolve("dev"))
        .filter(number -> number.matches("[0-9]+:[0-9]+"))
        .flatMap(number -> SysfsReader.lines(udev.resolve("b" + number)))
        .orElse(List.of());
  }

  /** A device by the name of its file: {@code /dev/sda2}, {@code /dev/mapper/vg-root}. */
  private Optional<Path> named(String file) {
    Path blocks = sys.resolve("class/block");
    if (file.startsWith("/dev/mapper/")) {
      Optional<String> name = Optional.of(file.substring("/dev/mapper/".length()));
      return SysfsReader.entries(blocks).stream()
          .filter(d -> SysfsReader.text(d.resolve("dm/name")).equals(name))
          .map(SysfsDisks::real)
          .findFirst();
    }
    if (!file.matches("/dev/[A-Za-z0-9_!/-]+")) {
      return Optional.empty();
    }
    Path byName = blocks.resolve(file.substring("/dev/".length()).replace('/', '!'));
    return Files.exists(byName) ? Optional.of(real(byName)) : Optional.empty();
  }

  private static Path real(Path device) {
    try {
      return device.toRealPath();
    } catch (java.io.IOException e) {
      return device;
    }
  }
}
