// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.vfio4j.posix.UnixSocket.Credentials;

/** The groups of the process at the other end of a socket. */
final class PeerGroups {
  private PeerGroups() {}

  /**
   * Whether a peer is of a group, by its own or by one of its further ones. The kernel tells only
   * the first with the connection. The others are read from /proc, which is no worse: the file's
   * permissions have been checked against all of them when it connected.
   */
  static boolean includes(Credentials peer, int gid) {
    if (peer.gid() == gid) {
      return true;
    }
    try {
      String wanted = Integer.toUnsignedString(gid);
      return Files.readAllLines(Path.of("/proc/%d/status".formatted(peer.pid()))).stream()
          .filter(line -> line.startsWith("Groups:"))
          .flatMap(line -> Arrays.stream(line.substring("Groups:".length()).strip().split(" +")))
          .anyMatch(wanted::equals);
    } catch (IOException _) {
      return false;
    }
  }
}
