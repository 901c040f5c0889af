// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix.testing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.vfio4j.posix.Descriptor;

/** What this process has open, as /proc tells: the judge of every test for leaks. */
public final class OpenDescriptors {
  private OpenDescriptors() {}

  /**
   * The number of an open descriptor, which the caller closes no sooner than it has done with the
   * number, or compares it with another's.
   */
  public static int number(Descriptor descriptor) {
    try (Descriptor.Use use = descriptor.use()) {
      return use.number();
    }
  }

  /** Sockets, eventfds, memfds and VFIO files that are open now. */
  public static Set<String> now() throws IOException {
    Set<String> open = new TreeSet<>();
    try (Stream<Path> entries = Files.list(Path.of("/proc/self/fd"))) {
      for (Path entry : entries.toList()) {
        try {
          String target = Files.readSymbolicLink(entry).toString();
          if (target.startsWith("socket:")
              || target.startsWith("anon_inode:")
              || target.startsWith("/memfd:")
              || target.startsWith("/dev/vfio")) {
            open.add(entry.getFileName() + " " + target);
          }
        } catch (IOException _) {
          // The descriptor of the listing itself.
        }
      }
    }
    return open;
  }
}
