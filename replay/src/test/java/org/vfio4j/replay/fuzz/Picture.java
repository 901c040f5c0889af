// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.fuzz;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A rough picture of what a script has open where its next line stands. */
final class Picture {
  /** Functions on vfio-pci, by group. */
  static final Map<Integer, List<String>> GROUPS =
      Map.of(
          1, List.of("0000:00:02.0"),
          2, List.of("0000:00:03.0"),
          3, List.of("0000:00:04.0"),
          9, List.of("0000:00:0a.0", "0000:00:0a.1"),
          11, List.of("0000:02:01.0", "0000:02:02.0"));

  static final List<Integer> GROUP_IDS = List.of(1, 2, 3, 9, 11);

  final List<Box> boxes = new ArrayList<>();
  final Map<Integer, Group> groups = new HashMap<>();
  final List<Device> devices = new ArrayList<>();
  private int names;

  /** A container. */
  static final class Box {
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
  static final class Group {
    final int id;
    final String name;
    boolean open = true;
    Box in = Box.NOWHERE;

    Group(int id, String name) {
      this.id = id;
      this.name = name;
    }
  }

  /** A device that somebody has open. */
  record Device(String name, String address, Group group) {}

  /** A name that nothing has. */
  String fresh(String kind) {
    return kind + ++names;
  }

  List<Box> openBoxes() {
    return boxes.stream().filter(b -> b.open).toList();
  }

  /** Containers with a type. */
  List<Box> liveBoxes() {
    return openBoxes().stream().filter(b -> b.type != 0).toList();
  }

  /** Containers that have a group and could be given a type. */
  List<Box> readyBoxes() {
    return openBoxes().stream().filter(b -> b.type == 0 && !isEmpty(b)).toList();
  }

  private boolean isEmpty(Box box) {
    return groups.values().stream().noneMatch(g -> g.in == box);
  }

  List<Group> openGroups() {
    return GROUP_IDS.stream().map(groups::get).filter(g -> g != null && g.open).toList();
  }

  /** The group of a function, if somebody has it open or a device of it. */
  Optional<Group> groupOf(String address) {
    return groups.values().stream().filter(g -> GROUPS.get(g.id).contains(address)).findFirst();
  }

  boolean hasDevice(String address) {
    return devices.stream().anyMatch(d -> d.address.equals(address));
  }

  boolean hasDeviceOf(Group group) {
    return devices.stream().anyMatch(d -> d.group == group);
  }

  void leave(Group group) {
    Box box = group.in;
    group.in = Box.NOWHERE;
    if (box != Box.NOWHERE && isEmpty(box)) {
      box.type = 0;
      box.maps.clear();
    }
  }

  /** Who has neither group nor device open has nothing. */
  void gone(Group group) {
    if (!group.open && !hasDeviceOf(group)) {
      leave(group);
      groups.remove(group.id, group);
    }
  }
}
