// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.util.Map;
import java.util.TreeMap;

/**
 * Descriptors that a process was started with, by systemd's protocol ({@code sd_listen_fds(3)}):
 * {@code LISTEN_FDS} of them from number 3 on, if {@code LISTEN_PID} is the process, with the names
 * of {@code LISTEN_FDNAMES} between colons.
 */
public final class GivenDescriptors {
  private static final int FIRST = 3;

  private GivenDescriptors() {}

  /**
   * Takes all of them over, and has them closed on exec. To be called once in a process.
   *
   * @param environment the process's
   * @param pid its number
   * @return by their names; of two with one name the later
   * @throws SystemCallException EBADF if one of them is not open
   * @throws NumberFormatException if {@code LISTEN_FDS} is no number
   */
  public static Map<String, Descriptor> take(
      SystemCalls calls, Map<String, String> environment, long pid) {
    Map<String, Descriptor> given = new TreeMap<>();
    if (!environment.getOrDefault("LISTEN_PID", "").equals(Long.toString(pid))) {
      return given;
    }
    int count = Integer.parseInt(environment.getOrDefault("LISTEN_FDS", "0"));
    String[] names = environment.getOrDefault("LISTEN_FDNAMES", "").split(":", -1);
    for (int n = 0; n < count; n++) {
      String name = n < names.length ? names[n] : "";
      Descriptor file = new Descriptor(calls, FIRST + n, name);
      SystemCallException.check(
          calls.fcntl(FIRST + n, Constants.F_SETFD, Constants.FD_CLOEXEC), "fcntl of " + file);
      Descriptor other = given.put(name, file);
      if (other != null) {
        other.close();
      }
    }
    return given;
  }
}
