// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.fuzz;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.fuzz.Picture.Box;
import org.vfio4j.replay.fuzz.Picture.Device;
import org.vfio4j.replay.fuzz.Picture.Group;

/**
 * Writes scripts by chance. It keeps a {@link Picture} of what is open, so that most operations
 * make sense where they stand; the rest are crooked on purpose. What would stop a kernel is never
 * written, what would block only as the last line.
 */
final class ScriptWriter {
  static final String HOST_FUNCTION = "0000:02:03.0";
  static final String HOST_DRIVER = "e1000";

  private static final String WITHOUT_DRIVER = "0000:00:1f.2";

  private final Dice dice;
  private final KernelProfile kernel;
  private final List<String> lines = new ArrayList<>();
  private final Picture open = new Picture();
  private final MemoryLines memory;
  private boolean hostDriven;
  private boolean over;

  ScriptWriter(long seed, KernelProfile kernel) {
    this.dice = new Dice(seed);
    this.kernel = kernel;
    this.memory = new MemoryLines(dice, open, lines);
  }

  /** A new script, without the lines "case" and "end". */
  List<String> write() {
    int host = dice.below(40);
    if (host == 0) {
      lines.add("bind " + HOST_FUNCTION + " " + HOST_DRIVER);
      hostDriven = true;
    } else if (host < 4) {
      lines.add("bind " + HOST_FUNCTION + " pci-stub");
    }
    int length = 15 + dice.below(60);
    while (lines.size() < length && !over) {
      step();
    }
    return lines;
  }

  private void step() {
    int kind = dice.below(1000);
    if (open.openBoxes().isEmpty() || kind < 35) {
      Box box = new Box(open.fresh("c"));
      open.boxes.add(box);
      lines.add(box.name + " = cont");
    } else if (open.openGroups().isEmpty() || kind < 100) {
      openGroup();
    } else if (kind < 200 || (open.liveBoxes().isEmpty() && dice.chance(60))) {
      advance();
    } else if (kind < 230) {
      setContainer();
    } else if (kind < 290) {
      setIommu();
    } else if (kind < 350) {
      openDevice();
    } else if (kind < 560) {
      memory.map();
    } else if (kind < 690) {
      memory.unmap();
    } else if (kind < 740) {
      unset();
    } else if (kind < 790) {
      close();
    } else if (kind < 830) {
      memory.dirty();
    } else if (kind < 975) {
      ask();
    } else if (kind < 990) {
      drivers();
    } else {
      crossed();
    }
  }

  /** Towards a container that has a type. */
  private void advance() {
    if (!open.readyBoxes().isEmpty() && dice.chance(70)) {
      setIommu();
    } else if (open.openGroups().stream().anyMatch(g -> g.in == Box.NOWHERE)) {
      setContainer();
    } else {
      openGroup();
    }
  }

  private void openGroup() {
    if (dice.chance(3)) {
      lines.add(open.fresh("g") + " = grp " + (dice.chance(50) ? WITHOUT_DRIVER : "0000:00:1e.7"));
      return;
    }
    int id = dice.pick(Picture.GROUP_IDS);
    if (open.groups.containsKey(id) && dice.chance(85)) {
      for (int other : Picture.GROUP_IDS) {
        id = open.groups.containsKey(other) ? id : other;
      }
    }
    String name = open.fresh("g");
    if (dice.chance(15)) {
      lines.add("%s = open /dev/vfio/%d".formatted(name, id));
    } else {
      lines.add("%s = grp %s".formatted(name, dice.pick(Picture.GROUPS.get(id))));
    }
    open.groups.putIfAbsent(id, new Group(id, name));
  }

  private void setContainer() {
    List<Group> outside = open.openGroups().stream().filter(g -> g.in == Box.NOWHERE).toList();
    Group group =
        outside.isEmpty() || dice.chance(5) ? dice.pick(open.openGroups()) : dice.pick(outside);
    if (dice.chance(3)) {
      lines.add("setcont $%s %s".formatted(group.name, dice.chance(50) ? "-1" : "9999"));
      return;
    }
    Box box = dice.pick(open.openBoxes());
    lines.add("setcont $%s $%s".formatted(group.name, box.name));
    boolean claimed = !(group.id == 11 && hostDriven && kernel.ownership());
    if (group.in == Box.NOWHERE && claimed) {
      group.in = box;
    }
  }

  private void setIommu() {
    List<Box> ready = open.readyBoxes();
    Box box = ready.isEmpty() ? dice.pick(open.openBoxes()) : dice.pick(ready);
    if (ready.isEmpty() && !dice.chance(15)) {
      ask();
      return;
    }
    int[] types = {3, 3, 3, 3, 3, 3, 1, 1, 6, 8, 99, 0};
    int type = types[dice.below(types.length)];
    lines.add("setiommu $%s %d".formatted(box.name, type));
    if (!ready.isEmpty() && (type == 3 || type == 1)) {
      box.type = type;
      box.maps.clear();
    }
  }

  private void openDevice() {
    List<Group> live =
        open.openGroups().stream().filter(g -> g.in != Box.NOWHERE && g.in.type != 0).toList();
    Group group = live.isEmpty() || dice.chance(4) ? dice.pick(open.openGroups()) : dice.pick(live);
    if (live.isEmpty() && dice.chance(80)) {
      ask();
      return;
    }
    String name = open.fresh("d");
    if (dice.chance(10)) {
      String odd = dice.pick(List.of("nosuch", "0000:00:02.0", "0000:02:03.0", "", "0000:00:2.0"));
      lines.add("%s = devfd $%s %s".formatted(name, group.name, odd).strip());
      if (!odd.equals("0000:00:02.0") || group.id != 1) {
        return;
      }
      open.devices.add(new Device(name, odd, group));
      return;
    }
    String address = dice.pick(Picture.GROUPS.get(group.id));
    lines.add("%s = devfd $%s %s".formatted(name, group.name, address));
    if (live.contains(group)) {
      open.devices.add(new Device(name, address, group));
    }
  }

  private void unset() {
    List<Group> inside = open.openGroups().stream().filter(g -> g.in != Box.NOWHERE).toList();
    Group group =
        inside.isEmpty() || dice.chance(10) ? dice.pick(open.openGroups()) : dice.pick(inside);
    lines.add("unset $" + group.name);
    if (!open.hasDeviceOf(group)) {
      open.leave(group);
    }
  }

  private void close() {
    int kind = dice.below(100);
    if (kind < 50 && !open.devices.isEmpty()) {
      Device device = open.devices.remove(dice.below(open.devices.size()));
      lines.add("close $" + device.name());
      open.gone(device.group());
    } else if (kind < 80) {
      Group group = dice.pick(open.openGroups());
      group.open = false;
      lines.add("close $" + group.name);
      open.gone(group);
    } else {
      Box box = dice.pick(open.openBoxes());
      box.open = false;
      lines.add("close $" + box.name);
    }
  }

  private void ask() {
    switch (dice.below(12)) {
      case 0, 1, 2 ->
          lines.add(
              "status $%s%s"
                  .formatted(dice.pick(open.openGroups()).name, dice.chance(5) ? " 4" : ""));
      case 3 -> {
        if (open.openGroups().isEmpty() || dice.chance(50)) {
          lines.add("ext $%s %d".formatted(dice.pick(open.openBoxes()).name, 1 + dice.below(11)));
        } else {
          lines.add("api $" + dice.pick(open.openBoxes()).name);
        }
      }
      case 4, 5 -> {
        String argsz =
            dice.chance(25) ? " " + dice.pick(List.of(8, 15, 16, 24, 100, 116, 119, 120)) : "";
        lines.add("info $%s%s".formatted(memory.box().name, argsz));
      }
      case 6, 7 -> lines.add("vmlck");
      case 8 -> limits();
      case 9, 10 -> device();
      default ->
          lines.add("drv " + dice.pick(List.of(HOST_FUNCTION, "0000:02:01.0", "0000:00:02.0")));
    }
  }

  private void limits() {
    lines.add(
        switch (dice.below(4)) {
          case 0 -> "dropcap 14";
          case 1 -> "addcap 14";
          default ->
              "memlock " + dice.pick(List.of(0x10000, 0x4000, 0x40000, 0, 0x1000, 0x4000000));
        });
  }

  private void device() {
    if (open.devices.isEmpty()) {
      lines.add("vmlck");
      return;
    }
    Device device = dice.pick(open.devices);
    switch (dice.below(10)) {
      case 0, 1, 2 -> lines.add("rdcfg $" + device.name());
      case 3, 4, 5 -> lines.add("devinfo $" + device.name());
      case 6, 7 -> lines.add("hotinfo $" + device.name());
      case 8 -> lines.add("reset $" + device.name());
      default -> memory.dma(device);
    }
  }

  private void drivers() {
    boolean bridgeGroup = open.groups.containsKey(11);
    switch (dice.below(5)) {
      case 0 -> lines.add("bind %s none".formatted(HOST_FUNCTION));
      case 1 -> lines.add("bind %s pci-stub".formatted(HOST_FUNCTION));
      case 2 -> {
        boolean live = bridgeGroup && open.groups.get(11).in != Box.NOWHERE;
        if (kernel.ownership() && live && !hostDriven) {
          lines.add("bind %s %s".formatted(HOST_FUNCTION, HOST_DRIVER));
        }
      }
      case 3 -> {
        String second = dice.chance(50) ? "0000:00:0a.1" : "0000:02:02.0";
        if (!open.hasDevice(second)) {
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
    if (!dice.chance(30)) {
      lines.add("drv 0000:00:03.0");
      return;
    }
    String only = dice.pick(List.of("0000:00:02.0", "0000:00:03.0", "0000:00:04.0"));
    lines.add("bind %s none".formatted(only));
    Optional<Group> group = open.groupOf(only);
    boolean waits = open.hasDevice(only) || (!kernel.forcedDetachOnUnbind() && group.isPresent());
    over = waits;
    if (!waits) {
      lines.add("drv " + only);
      group.ifPresent(
          g -> {
            lines.add("status $" + g.name);
            open.leave(g);
          });
      lines.add("bind %s vfio-pci".formatted(only));
    }
  }

  /** Calls on descriptors of another kind, and calls that nobody has. */
  private void crossed() {
    String box = dice.pick(open.openBoxes()).name;
    String group = open.openGroups().isEmpty() ? box : dice.pick(open.openGroups()).name;
    String device = open.devices.isEmpty() ? group : dice.pick(open.devices).name();
    lines.add(
        switch (dice.below(10)) {
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
