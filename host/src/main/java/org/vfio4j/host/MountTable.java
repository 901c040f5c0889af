// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * The mounts of a host, as {@code /proc/PID/mountinfo} or {@code /proc/mounts} gives them.
 *
 * @param mounts in the kernel's order
 */
record MountTable(List<Mount> mounts) {

  /**
   * A mount.
   *
   * @param point where
   * @param number device number, {@code major:minor}; major 0 belongs to no block device. Empty
   *     where the source has none.
   * @param type the file system
   * @param source what is mounted, as its type names it
   * @param options of the file system
   */
  record Mount(String point, String number, String type, String source, List<String> options) {

    /** The folders that an overlay is made of; none for any other file system. */
    List<String> layers() {
      List<String> layers = new ArrayList<>();
      if (type.equals("overlay")) {
        for (String option : options) {
          if (option.startsWith("lowerdir") || option.startsWith("upperdir=")) {
            String folders = option.substring(option.indexOf('=') + 1);
            Arrays.stream(folders.split(":")).filter(f -> f.startsWith("/")).forEach(layers::add);
          }
        }
      }
      return layers;
    }
  }

  /** Reads {@code mountinfo}. */
  static MountTable ofMountinfo(List<String> lines) {
    List<Mount> mounts = new ArrayList<>();
    for (String line : lines) {
      String[] fields = line.split(" ");
      int dash = line.indexOf(" - ");
      String[] tail = dash < 0 ? new String[0] : line.substring(dash + 3).split(" ");
      if (fields.length >= 10 && tail.length >= 2) {
        List<String> options =
            tail.length > 2 ? List.of(unescaped(tail[2]).split(",")) : List.<String>of();
        mounts.add(
            new Mount(unescaped(fields[4]), fields[2], tail[0], unescaped(tail[1]), options));
      }
    }
    return new MountTable(mounts);
  }

  /** Reads {@code mounts}, which names devices and has no numbers. */
  static MountTable ofMounts(List<String> lines) {
    List<Mount> mounts = new ArrayList<>();
    for (String line : lines) {
      String[] fields = line.split(" ");
      if (fields.length >= 4) {
        mounts.add(
            new Mount(
                unescaped(fields[1]),
                "",
                fields[2],
                unescaped(fields[0]),
                List.of(unescaped(fields[3]).split(","))));
      }
    }
    return new MountTable(mounts);
  }

  /** The mount that a path lies on, of those that are not of the given one itself. */
  Optional<Mount> below(String path, Mount but) {
    return mounts.stream()
        .filter(m -> !m.equals(but) && contains(m.point(), path))
        .max(Comparator.comparingInt(m -> m.point().length()));
  }

  private static boolean contains(String point, String path) {
    return point.equals("/") || path.equals(point) || path.startsWith(point + "/");
  }

  /** The kernel writes spaces, tabs, line breaks and backslashes as {@code \\ooo}. */
  private static String unescaped(String text) {
    return text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\");
  }
}
