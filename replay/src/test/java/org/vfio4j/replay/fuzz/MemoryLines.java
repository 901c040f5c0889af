// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.fuzz;

import java.util.List;
import org.vfio4j.replay.fuzz.Picture.Box;
import org.vfio4j.replay.fuzz.Picture.Device;

/** Lines about memory: maps, unmaps, dirty pages, and what a device reaches. */
final class MemoryLines {
  private final Dice dice;
  private final Picture open;
  private final List<String> lines;

  /** Adds to the lines, and to the picture what they change. */
  MemoryLines(Dice dice, Picture open, List<String> lines) {
    this.dice = dice;
    this.open = open;
    this.lines = lines;
  }

  /** Containers with a type; sometimes any. */
  Box box() {
    List<Box> live = open.liveBoxes();
    return live.isEmpty() || dice.chance(4) ? dice.pick(open.openBoxes()) : dice.pick(live);
  }

  void map() {
    Box box = box();
    long iova = dice.iova();
    long size = dice.size();
    String line = "map $%s %s 0x%x 0x%x".formatted(box.name, dice.vaddr(), iova, size);
    if (dice.chance(15)) {
      line += " " + dice.pick(List.of(1, 2, 1, 2, 1, 2, 0, 4, 7, 8, 3));
      if (dice.chance(15)) {
        line += " " + dice.pick(List.of(16, 31, 32, 33, 64, 0));
      }
    }
    lines.add(line);
    box.maps.add(new long[] {iova, size});
  }

  void unmap() {
    Box box = box();
    long iova = dice.iova();
    long size = dice.size();
    if (!box.maps.isEmpty() && dice.chance(85)) {
      long[] known = box.maps.get(dice.below(box.maps.size()));
      iova = known[0];
      size = known[1];
      if (dice.chance(15)) {
        iova += Dice.PAGE * (dice.below(5) - 2);
        size += Dice.PAGE * (dice.below(5) - 2);
      } else {
        box.maps.remove(known);
      }
    } else if (dice.chance(30)) {
      iova = 0;
      size = dice.pick(List.of(0x200000L, 1L << 40, -Dice.PAGE, 1L << 63));
    }
    if (dice.chance(8)) {
      lines.add("unmapbm $%s 0x%x 0x%x".formatted(box.name, iova, Math.clamp(size, 0, 1 << 21)));
      return;
    }
    String line = "unmap $%s 0x%x 0x%x".formatted(box.name, iova, size);
    if (dice.chance(10)) {
      int flags = dice.pick(List.of(2, 2, 2, 4, 4, 6, 8, 3));
      line = flags == 2 || flags == 6 ? "unmap $%s 0 0".formatted(box.name) : line;
      line += " " + flags;
    } else if (dice.chance(3)) {
      line += " 0 " + dice.pick(List.of(8, 16, 23, 25, 48));
    }
    lines.add(line);
  }

  void dirty() {
    Box box = box();
    if (dice.chance(50)) {
      lines.add("dirty $%s %d".formatted(box.name, dice.pick(List.of(1, 1, 1, 2, 0, 3, 8))));
      return;
    }
    long iova = dice.iova();
    long size = 0x4000;
    if (!box.maps.isEmpty() && dice.chance(80)) {
      long[] known = box.maps.get(dice.below(box.maps.size()));
      iova = known[0];
      size = Math.clamp(known[1], 0, 0x40000);
    }
    if (dice.chance(3)) {
      iova = -Dice.PAGE;
      size = Dice.PAGE;
    }
    String pages = dice.chance(90) ? "4096" : dice.pick(List.of("0x2000", "0", "512", "0x200000"));
    lines.add(
        "getbm $%s 0x%x 0x%x %s %d"
            .formatted(box.name, iova, size, pages, dice.pick(List.of(8, 8, 8, 16, 64, 0))));
  }

  /** What the device can reach, byte for byte. */
  void dma(Device device) {
    long page = Dice.PAGE * dice.below(16);
    lines.add("poke 0 7 0x110000");
    lines.add("poke 0x%x %d 16".formatted(page, 0x11 + dice.below(64)));
    long from = 0x100000 + dice.below(48) * 0x4000L;
    long to = from + 0x1000;
    Box box = device.group().in;
    if (box != Box.NOWHERE && !box.maps.isEmpty()) {
      from = box.maps.get(dice.below(box.maps.size()))[0] & 0xffff000;
      to = box.maps.get(dice.below(box.maps.size()))[0] & 0xffff000;
    }
    if (box != Box.NOWHERE && box.open && box.type != 0 && dice.chance(60)) {
      from = 0xe000000 + dice.below(256) * 0x4000L;
      to = from + Dice.PAGE;
      lines.add("map $%s buf+0x%x 0x%x 0x2000".formatted(box.name, page, from));
      box.maps.add(new long[] {from, 0x2000});
    }
    lines.add("edudma $%s 0x%x 0x%x".formatted(device.name(), from, to));
    lines.add("peek 0x%x".formatted(page + Dice.PAGE));
    lines.add("peek 0x%x".formatted(page));
    lines.add("peek 0x%x".formatted(Dice.PAGE * dice.below(16)));
  }
}
