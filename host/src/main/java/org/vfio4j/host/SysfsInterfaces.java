// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** Finds which network interfaces the host uses: from the routes and addresses that proc shows. */
final class SysfsInterfaces {
  private static final String NOWHERE6 = "0".repeat(32);
  private static final int UP = 1;

  private final Path sys;
  private final Path proc;
  private final Set<String> routed = new HashSet<>();
  private final Set<String> defaults = new TreeSet<>();
  private final boolean told;

  /**
   * Reads.
   *
   * @param addressed interfaces that have an address by another source than proc, which shows those
   *     of IPv4 by their routes only
   */
  SysfsInterfaces(Path sys, Path proc, Collection<String> addressed) {
    this.sys = sys;
    this.proc = proc;
    this.told = Files.isRegularFile(proc.resolve("net/route"));
    routed.addAll(addressed);
    readRoutes();
    readRoutes6();
    for (String[] fields : rows("net/if_inet6")) {
      if (fields.length >= 6) {
        routed.add(fields[5]);
      }
    }
  }

  private void readRoutes() {
    for (String[] fields : rows("net/route")) {
      if (fields.length >= 8 && fields[1].matches("[0-9A-Fa-f]{8}")) {
        routed.add(fields[0]);
        if (fields[1].equals("00000000") && fields[7].equals("00000000")) {
          defaults.add(fields[0]);
        }
      }
    }
  }

  /** The kernel keeps a default route to {@code lo} that refuses everything. */
  private void readRoutes6() {
    for (String[] fields : rows("net/ipv6_route")) {
      boolean everything =
          fields.length >= 10 && fields[0].equals(NOWHERE6) && fields[1].equals("00");
      if (everything && !fields[9].equals("lo")) {
        defaults.add(fields[9]);
      }
    }
  }

  private List<String[]> rows(String name) {
    return SysfsReader.lines(proc.resolve(name)).orElse(List.of()).stream()
        .map(line -> line.trim().split("\\s+"))
        .toList();
  }

  /** Whether the routes are known: a host without a default route is managed through none. */
  boolean told() {
    return told && Files.isDirectory(sys.resolve("class/net"));
  }

  /** The interfaces of the default routes, of either IP version. */
  List<Path> defaults() {
    return defaults.stream().map(this::folder).flatMap(Optional::stream).toList();
  }

  /** The interfaces that are up and have an address, or are a part of another one. */
  List<Path> used() {
    List<Path> used = new ArrayList<>(defaults());
    for (Path entry : SysfsReader.entries(sys.resolve("class/net"))) {
      String name = entry.getFileName().toString();
      boolean part = Files.exists(entry.resolve("master"), LinkOption.NOFOLLOW_LINKS);
      if (!name.equals("lo") && isUp(entry) && (part || routed.contains(name))) {
        used.add(entry);
      }
    }
    return used;
  }

  /** One whose flags are not shown is taken to be up. */
  private static boolean isUp(Path entry) {
    return SysfsReader.text(entry.resolve("flags"))
        .filter(f -> f.matches("0x[0-9a-f]{1,8}"))
        .map(f -> (Long.decode(f) & UP) != 0)
        .orElse(true);
  }

  private Optional<Path> folder(String name) {
    Path device = sys.resolve("class/net").resolve(name.replace('/', '_'));
    return Files.exists(device) ? Optional.of(device) : Optional.empty();
  }
}
