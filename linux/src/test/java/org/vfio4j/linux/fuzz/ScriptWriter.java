// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.fuzz;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.vfio4j.profile.KernelProfile;

/**
 * Writes scripts by chance. It keeps a rough picture of what is open, so that most operations make
 * sense where they stand; the rest are crooked on purpose. What would stop a kernel is never
 * written, what would block only as the last line.
 */
final class ScriptWriter {
  static final String HOST_FUNCTION = "0000:02:03.0";
  static final String HOST_DRIVER = "e1000";

  /** Functions on vfio-pci, by group. */
  private static final Map<Integer, List<String>> GROUPS =
      Map.of(
          1, List.of("0000:00:02.0"),
          2, List.of("0000:00:03.0"),
          3, List.of("0000:00:04.0"),
          9, List.of("0000:00:0a.0", "0000:00:0a.1"),
          11, List.of("0000:02:01.0", "0000:02:02.0"));

  private static final List<Integer> GROUP_IDS = List.of(1, 2, 3, 9, 11);
  private static final String WITHOUT_DRIVER = "0000:00:1f.2";
  private static final long PAGE = 4096;

  private final SplittableRandom random;
  private final KernelProfile kernel;
  private final List<String> lines = new ArrayList<>();
  private final List<Box> boxes = new ArrayList<>();
  private final Map<Integer, Group> groups = new HashMap<>();
  private final List<Device> devices = new ArrayList<>();
  private int names;
  private boolean hostDriven;
  private boolean over;

  /** A container. */
  private static final class Box {
    static final Box NOWHERE = new Box("");

    final String name;
    int type;
    boolean open = true;
    final List<long[]> maps = new ArrayList<>();

    Box(String name) {
      this.name = name;
    }
  }

  /** A group that somebody has open, or a device of. */
  private static final class Group {
    final int id;
    final String name;
    boolean open = true;
    Box in = Box.NOWHERE;

    Group(int id, String name) {
      this.id = id;
      this.name = name;
    }
  }

  private record Device(String name, String address, Group group) {}

  ScriptWriter(long seed, KernelProfile kernel) {
    this.random = new SplittableRandom(seed);
    this.kernel = kernel;
  }

  /** A new script, without the lines "case" and "end". */
  List<String> write() {
    int host = random.nextInt(40);
    if (host == 0) {
      lines.add("bind " + HOST_FUNCTION + " " + HOST_DRIVER);
      hostDriven = true;
    } else if (host < 4) {
      lines.add("bind " + HOST_FUNCTION + " pci-stub");
    }
    int length = 15 + random.nextInt(60);
    while (lines.size() < length && !over) {
      step();
    }
    return lines;
  }

  private boolean chance(int percent) {
    return random.nextInt(100) < percent;
  }

  private <T> T pick(List<T> from) {
    return from.get(random.nextInt(from.size()));
  }

  private String fresh(String kind) {
    return kind + ++names;
  }

  private void step() {
    int kind = random.nextInt(1000);
    if (boxes.stream().noneMatch(b -> b.open) || kind < 35) {
      Box box = new Box(fresh("c"));
      boxes.add(box);
      lines.add(box.name + " = cont");
    } else if (openGroups().isEmpty() || kind < 100) {
      openGroup();
    } else if (kind < 200 || (dead() && chance(60))) {
      advance();
    } else if (kind < 230) {
      setContainer();
    } else if (kind < 290) {
      setIommu();
    } else if (kind < 350) {
      openDevice();
    } else if (kind < 560) {
      map();
    } else if (kind < 690) {
      unmap();
    } else if (kind < 740) {
      unset();
    } else if (kind < 790) {
      close();
    } else if (kind < 830) {
      dirty();
    } else if (kind < 975) {
      ask();
    } else if (kind < 990) {
      drivers();
    } else {
      crossed();
    }
  }

  private boolean dead() {
    return openBoxes().stream().noneMatch(b -> b.type != 0);
  }

  /** Towards a container that has a type. */
  private void advance() {
    boolean ready =
        openBoxes().stream()
            .anyMatch(b -> b.type == 0 && groups.values().stream().anyMatch(g -> g.in == b));
    if (ready && chance(70)) {
      setIommu();
    } else if (openGroups().stream().anyMatch(g -> g.in == Box.NOWHERE)) {
      setContainer();
    } else {
      openGroup();
    }
  }

  private List<Box> openBoxes() {
    return boxes.stream().filter(b -> b.open).toList();
  }

  /** Containers with a type; sometimes any. */
  private Box box() {
    List<Box> live = openBoxes().stream().filter(b -> b.type != 0).toList();
    return live.isEmpty() || chance(4) ? pick(openBoxes()) : pick(live);
  }

  private List<Group> openGroups() {
    return GROUP_IDS.stream().map(groups::get).filter(g -> g != null && g.open).toList();
  }

  private void openGroup() {
    if (chance(3)) {
      lines.add(fresh("g") + " = grp " + (chance(50) ? WITHOUT_DRIVER : "0000:00:1e.7"));
      return;
    }
    int id = pick(GROUP_IDS);
    if (groups.containsKey(id) && chance(85)) {
      for (int other : GROUP_IDS) {
        id = groups.containsKey(other) ? id : other;
      }
    }
    String name = fresh("g");
    if (chance(15)) {
      lines.add("%s = open /dev/vfio/%d".formatted(name, id));
    } else {
      lines.add("%s = grp %s".formatted(name, pick(GROUPS.get(id))));
    }
    groups.putIfAbsent(id, new Group(id, name));
  }

  private void setContainer() {
    List<Group> outside = openGroups().stream().filter(g -> g.in == Box.NOWHERE).toList();
    Group group = outside.isEmpty() || chance(5) ? pick(openGroups()) : pick(outside);
    if (chance(3)) {
      lines.add("setcont $%s %s".formatted(group.name, chance(50) ? "-1" : "9999"));
      return;
    }
    Box box = pick(openBoxes());
    lines.add("setcont $%s $%s".formatted(group.name, box.name));
    boolean claimed = !(group.id == 11 && hostDriven && kernel.ownership());
    if (group.in == Box.NOWHERE && claimed) {
      group.in = box;
    }
  }

  private void setIommu() {
    List<Box> ready =
        openBoxes().stream()
            .filter(b -> b.type == 0)
            .filter(b -> groups.values().stream().anyMatch(g -> g.in == b))
            .toList();
    Box box = ready.isEmpty() ? pick(openBoxes()) : pick(ready);
    if (ready.isEmpty() && !chance(15)) {
      ask();
      return;
    }
    int[] types = {3, 3, 3, 3, 3, 3, 1, 1, 6, 8, 99, 0};
    int type = types[random.nextInt(types.length)];
    lines.add("setiommu $%s %d".formatted(box.name, type));
    if (!ready.isEmpty() && (type == 3 || type == 1)) {
      box.type = type;
      box.maps.clear();
    }
  }

  private void openDevice() {
    List<Group> live =
        openGroups().stream().filter(g -> g.in != Box.NOWHERE && g.in.type != 0).toList();
    Group group = live.isEmpty() || chance(4) ? pick(openGroups()) : pick(live);
    if (live.isEmpty() && chance(80)) {
      ask();
      return;
    }
    String name = fresh("d");
    if (chance(10)) {
      String odd = pick(List.of("nosuch", "0000:00:02.0", "0000:02:03.0", "", "0000:00:2.0"));
      lines.add("%s = devfd $%s %s".formatted(name, group.name, odd).strip());
      if (!odd.equals("0000:00:02.0") || group.id != 1) {
        return;
      }
      devices.add(new Device(name, odd, group));
      return;
    }
    String address = pick(GROUPS.get(group.id));
    lines.add("%s = devfd $%s %s".formatted(name, group.name, address));
    if (live.contains(group)) {
      devices.add(new Device(name, address, group));
    }
  }

  private long iova() {
    return chance(92)
        ? 0x100000 + random.nextInt(48) * 0x4000L
        : pick(
            List.of(
                0L,
                0x800L,
                0x100800L,
                0xfee00000L,
                0xfedff000L,
                0xfedfe000L,
                0xfef00000L,
                0xfeeff000L,
                (1L << 39) - PAGE,
                (1L << 48) - PAGE,
                1L << 48,
                -PAGE,
                -2 * PAGE));
  }

  private long size() {
    return chance(93)
        ? PAGE * (1 + random.nextInt(6))
        : pick(List.of(0L, 0x800L, 0x1800L, 0x100000L, 0x200000L, 0x102000L, -PAGE, 1L << 47));
  }

  private String vaddr() {
    if (chance(93)) {
      return "buf+0x%x".formatted(random.nextInt(256) * PAGE);
    }
    return pick(
        List.of(
            "0x1000", "buf+0x800", "buf+0x3fff000", "buf+0x3ffe000", "0xfffffffffffff000", "0"));
  }

  private void map() {
    Box box = box();
    long iova = iova();
    long size = size();
    String line = "map $%s %s 0x%x 0x%x".formatted(box.name, vaddr(), iova, size);
    if (chance(15)) {
      line += " " + pick(List.of(1, 2, 1, 2, 1, 2, 0, 4, 7, 8, 3));
      if (chance(15)) {
        line += " " + pick(List.of(16, 31, 32, 33, 64, 0));
      }
    }
    lines.add(line);
    box.maps.add(new long[] {iova, size});
  }

  private void unmap() {
    Box box = box();
    long iova = iova();
    long size = size();
    if (!box.maps.isEmpty() && chance(85)) {
      long[] known = box.maps.get(random.nextInt(box.maps.size()));
      iova = known[0];
      size = known[1];
      if (chance(15)) {
        iova += PAGE * (random.nextInt(5) - 2);
        size += PAGE * (random.nextInt(5) - 2);
      } else {
        box.maps.remove(known);
      }
    } else if (chance(30)) {
      iova = 0;
      size = pick(List.of(0x200000L, 1L << 40, -PAGE, 1L << 63));
    }
    if (chance(8)) {
      lines.add("unmapbm $%s 0x%x 0x%x".formatted(box.name, iova, Math.clamp(size, 0, 1 << 21)));
      return;
    }
    String line = "unmap $%s 0x%x 0x%x".formatted(box.name, iova, size);
    if (chance(10)) {
      int flags = pick(List.of(2, 2, 2, 4, 4, 6, 8, 3));
      line = flags == 2 || flags == 6 ? "unmap $%s 0 0".formatted(box.name) : line;
      line += " " + flags;
    } else if (chance(3)) {
      line += " 0 " + pick(List.of(8, 16, 23, 25, 48));
    }
    lines.add(line);
  }

  private void unset() {
    List<Group> inside = openGroups().stream().filter(g -> g.in != Box.NOWHERE).toList();
    Group group = inside.isEmpty() || chance(10) ? pick(openGroups()) : pick(inside);
    lines.add("unset $" + group.name);
    if (devices.stream().noneMatch(d -> d.group == group)) {
      leave(group);
    }
  }

  private void leave(Group group) {
    Box box = group.in;
    group.in = Box.NOWHERE;
    if (box != Box.NOWHERE && groups.values().stream().noneMatch(g -> g.in == box)) {
      box.type = 0;
      box.maps.clear();
    }
  }

  private void close() {
    int kind = random.nextInt(100);
    if (kind < 50 && !devices.isEmpty()) {
      closed(devices.remove(random.nextInt(devices.size())));
    } else if (kind < 80) {
      Group group = pick(openGroups());
      group.open = false;
      lines.add("close $" + group.name);
      gone(group);
    } else {
      Box box = pick(openBoxes());
      box.open = false;
      lines.add("close $" + box.name);
    }
  }

  private void closed(Device device) {
    lines.add("close $" + device.name);
    gone(device.group);
  }

  /** Who has neither group nor device open has nothing. */
  private void gone(Group group) {
    if (!group.open && devices.stream().noneMatch(d -> d.group == group)) {
      leave(group);
      groups.remove(group.id, group);
    }
  }

  private void dirty() {
    Box box = box();
    if (chance(50)) {
      lines.add("dirty $%s %d".formatted(box.name, pick(List.of(1, 1, 1, 2, 0, 3, 8))));
      return;
    }
    long iova = iova();
    long size = 0x4000;
    if (!box.maps.isEmpty() && chance(80)) {
      long[] known = box.maps.get(random.nextInt(box.maps.size()));
      iova = known[0];
      size = Math.clamp(known[1], 0, 0x40000);
    }
    if (chance(3)) {
      iova = -PAGE;
      size = PAGE;
    }
    String pages = chance(90) ? "4096" : pick(List.of("0x2000", "0", "512", "0x200000"));
    lines.add(
        "getbm $%s 0x%x 0x%x %s %d"
            .formatted(box.name, iova, size, pages, pick(List.of(8, 8, 8, 16, 64, 0))));
  }

  private void ask() {
    switch (random.nextInt(12)) {
      case 0, 1, 2 ->
          lines.add("status $%s%s".formatted(pick(openGroups()).name, chance(5) ? " 4" : ""));
      case 3 -> {
        if (openGroups().isEmpty() || chance(50)) {
          lines.add("ext $%s %d".formatted(pick(openBoxes()).name, 1 + random.nextInt(11)));
        } else {
          lines.add("api $" + pick(openBoxes()).name);
        }
      }
      case 4, 5 -> {
        String argsz = chance(25) ? " " + pick(List.of(8, 15, 16, 24, 100, 116, 119, 120)) : "";
        lines.add("info $%s%s".formatted(box().name, argsz));
      }
      case 6, 7 -> lines.add("vmlck");
      case 8 -> limits();
      case 9, 10 -> device();
      default -> lines.add("drv " + pick(List.of(HOST_FUNCTION, "0000:02:01.0", "0000:00:02.0")));
    }
  }

  private void limits() {
    lines.add(
        switch (random.nextInt(4)) {
          case 0 -> "dropcap 14";
          case 1 -> "addcap 14";
          default -> "memlock " + pick(List.of(0x10000, 0x4000, 0x40000, 0, 0x1000, 0x4000000));
        });
  }

  private void device() {
    if (devices.isEmpty()) {
      lines.add("vmlck");
      return;
    }
    Device device = pick(devices);
    switch (random.nextInt(10)) {
      case 0, 1, 2 -> lines.add("rdcfg $" + device.name);
      case 3, 4, 5 -> lines.add("devinfo $" + device.name);
      case 6, 7 -> lines.add("hotinfo $" + device.name);
      case 8 -> lines.add("reset $" + device.name);
      default -> dma(device);
    }
  }

  /** What the device can reach, byte for byte. */
  private void dma(Device device) {
    long page = PAGE * random.nextInt(16);
    lines.add("poke 0 7 0x110000");
    lines.add("poke 0x%x %d 16".formatted(page, 0x11 + random.nextInt(64)));
    long from = 0x100000 + random.nextInt(48) * 0x4000L;
    long to = from + 0x1000;
    Box box = device.group.in;
    if (box != Box.NOWHERE && !box.maps.isEmpty()) {
      from = box.maps.get(random.nextInt(box.maps.size()))[0] & 0xffff000;
      to = box.maps.get(random.nextInt(box.maps.size()))[0] & 0xffff000;
    }
    if (box != Box.NOWHERE && box.open && box.type != 0 && chance(60)) {
      from = 0xe000000 + random.nextInt(256) * 0x4000L;
      to = from + PAGE;
      lines.add("map $%s buf+0x%x 0x%x 0x2000".formatted(box.name, page, from));
      box.maps.add(new long[] {from, 0x2000});
    }
    lines.add("edudma $%s 0x%x 0x%x".formatted(device.name, from, to));
    lines.add("peek 0x%x".formatted(page + PAGE));
    lines.add("peek 0x%x".formatted(page));
    lines.add("peek 0x%x".formatted(PAGE * random.nextInt(16)));
  }

  private void drivers() {
    boolean bridgeGroup = groups.containsKey(11);
    switch (random.nextInt(5)) {
      case 0 -> lines.add("bind %s none".formatted(HOST_FUNCTION));
      case 1 -> lines.add("bind %s pci-stub".formatted(HOST_FUNCTION));
      case 2 -> {
        boolean live = bridgeGroup && groups.get(11).in != Box.NOWHERE;
        if (kernel.ownership() && live && !hostDriven) {
          lines.add("bind %s %s".formatted(HOST_FUNCTION, HOST_DRIVER));
        }
      }
      case 3 -> {
        String second = chance(50) ? "0000:00:0a.1" : "0000:02:02.0";
        if (devices.stream().noneMatch(d -> d.address.equals(second))) {
          lines.add("bind %s none".formatted(second));
          lines.add("drv " + second);
          lines.add("bind %s vfio-pci".formatted(second));
        }
      }
      default -> last();
    }
  }

  /** Unbinds the only function of a group; that may wait for a user, so nothing comes after it. */
  private void last() {
    if (!chance(30)) {
      lines.add("drv 0000:00:03.0");
      return;
    }
    String only = pick(List.of("0000:00:02.0", "0000:00:03.0", "0000:00:04.0"));
    lines.add("bind %s none".formatted(only));
    boolean waits =
        devices.stream().anyMatch(d -> d.address.equals(only))
            || (!kernel.forcedDetachOnUnbind()
                && groups.values().stream().anyMatch(g -> GROUPS.get(g.id).contains(only)));
    over = waits;
    if (!waits) {
      lines.add("drv " + only);
      Group group =
          groups.get(
              GROUP_IDS.stream()
                  .filter(i -> GROUPS.get(i).contains(only))
                  .findFirst()
                  .orElseThrow());
      if (group != null) {
        lines.add("status $" + group.name);
        leave(group);
      }
      lines.add("bind %s vfio-pci".formatted(only));
    }
  }

  /** Calls on descriptors of another kind, and calls that nobody has. */
  private void crossed() {
    String box = pick(openBoxes()).name;
    String group = openGroups().isEmpty() ? box : pick(openGroups()).name;
    String device = devices.isEmpty() ? group : pick(devices).name;
    lines.add(
        switch (random.nextInt(10)) {
          case 0 -> "status $" + box;
          case 1 -> "unset $" + device;
          case 2 -> "setiommu $%s 3".formatted(group);
          case 3 -> "map $%s buf 0x100000 0x1000".formatted(group);
          case 4 -> "setcont $%s $%s".formatted(group, group);
          case 5 -> "devinfo $" + box;
          case 6 -> "api $" + group;
          case 7 -> "ioctl $%s 0x3b99 0".formatted(box);
          case 8 -> "ioctl $%s 0x3b99 0".formatted(group);
          default -> "ext $%s 1".formatted(group);
        });
  }
}
