// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * What this process holds, as /proc tells: the judge of every test for leaks.
 *
 * @param descriptors sockets, eventfds, memfds and other files without a name that are open, by
 *     what they refer to
 * @param mappings parts of memfds that are mapped
 */
record Held(TreeMap<String, Integer> descriptors, int mappings) {
  static Held now() throws IOException {
    TreeMap<String, Integer> open = new TreeMap<>();
    try (Stream<Path> entries = Files.list(Path.of("/proc/self/fd"))) {
      for (Path entry : entries.toList()) {
        try {
          String target = Files.readSymbolicLink(entry).toString();
          if (target.startsWith("socket:")) {
            open.merge("socket", 1, Integer::sum);
          } else if (target.startsWith("anon_inode:") || target.endsWith(" (deleted)")) {
            open.merge(target, 1, Integer::sum);
          }
        } catch (IOException _) {
          // The descriptor of the listing itself.
        }
      }
    }
    List<String> maps = Files.readAllLines(Path.of("/proc/self/maps"));
    return new Held(open, (int) maps.stream().filter(line -> line.contains("/memfd:")).count());
  }
}
