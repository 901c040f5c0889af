// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.regex.Pattern;

/** A line in which somebody typed a command. */
final class Prompt {

  private static final String COMMANDS =
      "(?:sudo |su |cat |dmesg|lspci|ls |find |for |readlink|tree|driverctl|dpdk-|\\./|sh |bash"
          + " |virsh|lshw|journalctl|pvesh|shopt|uname|grep|egrep|echo|modprobe|lsmod|vfio"
          + " |ls-iommu|nl |mdevctl |lsmdev)";

  /** What is a command wherever a line begins with it, for it has options or pipes. */
  private static final String PLAIN =
      "(?=(?:sudo"
          + " )?(?:lspci|dmesg|lshw|journalctl|virsh|driverctl|dpdk-devbind(?:\\.py)?|readlink|cat|ls|find|tree|mdevctl)(?:"
          + " -| \\||  ?/|$))";

  /** The first group is the command. */
  static final Pattern PATTERN =
      Pattern.compile(
          "(?:\\[?[\\w.-]+@[\\w.-]++[^$#%>❯]{0,80}[$#%>❯]\\s*|[$%❯➜]\\s+|[~\\w/.-]{0,40}[$❯]\\s+"
              + "|virsh\\s?[#>]\\s+|#\\s+(?="
              + COMMANDS
              + ")|"
              + PLAIN
              + ")(\\S.*)");

  private Prompt() {}
}
