// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** What stands before a message in logs and in pasted text: stamps, hosts, levels, quotes. */
final class Prefixes {

  private static final String MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
  private static final String DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
  private static final String CLOCK = "[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?";
  private static final String ZONE = "(?: ?(?:Z|UTC|GMT|[A-Z]{3,4}|[+-][0-9]{2}:?[0-9]{2}))?";
  private static final String HOST = "[A-Za-z0-9][A-Za-z0-9.-]*";
  private static final String PROGRAM =
      "(?:kernel|libvirtd|virtqemud|pvedaemon|qemu[\\w-]*|systemd|[\\w.@/-]+\\[[0-9]+\\]):";

  /** Stamps: with one of these a new message begins. */
  private static final List<Pattern> STAMPS =
      patterns(
          // printk, with its level and its caller; dmesg -T; dmesg --ctime with the level.
          "<[0-9]{1,3}>",
          "(?:kern|user|daemon|syslog) *: *(?:emerg|alert|crit|err|warn|notice|info|debug) *:",
          "\\[ *[0-9]+\\.[0-9]{3,9}(?: +[<(][^>)]{1,20}[>)])?\\]",
          "\\[ *[TC][0-9]+\\]",
          "\\[" + DAY + " +" + MONTH + " +[0-9]+ +" + CLOCK + " [0-9]{4}\\]",
          // syslog and the journal: date, host, program.
          "(?:"
              + DAY
              + ",? )?"
              + MONTH
              + " +[0-9]{1,2},? +(?:[0-9]{4} +)?"
              + CLOCK
              + ZONE
              + "(?: "
              + HOST
              + " (?="
              + PROGRAM
              + "))?",
          // ISO 8601; libvirt's log adds thread, level, function and line.
          "\\[?[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T _]"
              + CLOCK
              + ZONE
              + "\\]?:?"
              + "(?: [0-9]+: (?:error|warning|info|debug) : \\w+:[0-9]+ :| "
              + HOST
              + " (?="
              + PROGRAM
              + "))?",
          // VirtualBox, klog, env_logger of cloud-hypervisor.
          CLOCK,
          "[IWEF][0-9]{4} " + CLOCK + " +[0-9]+ [\\w./-]+:[0-9]+\\]",
          "(?:cloud-hypervisor: )?[0-9]+\\.[0-9]+(?:ms|us|s): <[^>]{1,40}> [A-Z]+:[\\w./-]+:[0-9]+"
              + " --");

  /** Words: with one of these a message begins that a person would write on a line of its own. */
  private static final List<Pattern> WORDS =
      patterns(
          "kernel:",
          "\\$|#(?= )|[>|]|[*+\u2022] |- (?=\\w)|\u276f|[\"'](?=[A-Za-z\\[])|\\*\\*",
          "TASK ERROR:",
          "start failed: (?!command)",
          "\\[(?:error|warn(?:ing)?|info|fatal|ERROR|WARN(?:ING)?|INFO|FATAL)\\]:?",
          "(?:error|warning|fatal|info)(?:\\(s\\))?: (?!bind|unbind)",
          "(?:Error|Warning) (?=starting|while)",
          "\\w+\\[[0-9]+\\]:",
          "(?:libvirt|virtqemud|libvirtd|systemd|bash|sh|zsh|tee|echo):");

  private static final Pattern BEGINS =
      Pattern.compile(
          "^\\W{0,3}(?:qemu|kvm|EAL|vfio|DMAR|AMD-Vi|pci|nvidia|i915|error|warning|libvirt|TASK|Error|Warning|VFIO|Please|Process|at"
              + " |File )[\\w.-]*[: ]|^[\\w./-]{2,30}(?:\\[[0-9]+\\])?: "
              // A driver of the kernel and its device; a device and its ids.
              + "|^[\\w-]{2,24} [0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]: "
              + "|^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7] \\(",
          Pattern.CASE_INSENSITIVE);

  private static final Pattern WRITES =
      Pattern.compile(
          "(?:>|\\btee\\b).{0,40}/sys/|/sys/\\S{0,80}[#$] .{0,80}> ?\\w"
              + "|\\becho \\S{0,12}(?:efi|simple|vesa)-framebuffer");
  private static final Pattern COMPLAINT =
      Pattern.compile(
          "^\\s*(?:-?[\\w./-]{0,40}sh: )?(?:line [0-9]+: |[0-9]+: )?(?:echo|printf|tee|cat):"
              + " .{0,20}(?:write error|error writing|I/O error)",
          Pattern.CASE_INSENSITIVE);

  private Prefixes() {}

  private static List<Pattern> patterns(String... texts) {
    return Stream.of(texts).map(t -> Pattern.compile("^\\s*(?:" + t + ")\\s*")).toList();
  }

  /** The line without what stands before its message. */
  static String strip(String line) {
    String rest = line;
    boolean more = true;
    while (more) {
      String shorter = once(rest, STAMPS);
      shorter = shorter.length() < rest.length() ? shorter : once(rest, WORDS);
      more = shorter.length() < rest.length() && !shorter.isBlank();
      rest = more ? shorter : rest;
    }
    return rest;
  }

  /** Whether a line begins a message of its own, and does not go on with the line before. */
  static boolean begins(String line) {
    return once(line, STAMPS).length() < line.length() || BEGINS.matcher(line).find();
  }

  /** Whether a line is what a shell says of the command in the line before. */
  static boolean answers(String command, String line) {
    return COMPLAINT.matcher(line).find() && WRITES.matcher(command).find();
  }

  private static String once(String line, List<Pattern> prefixes) {
    for (Pattern prefix : prefixes) {
      Matcher matcher = prefix.matcher(line);
      if (matcher.find() && matcher.end() > 0) {
        return line.substring(matcher.end());
      }
    }
    return line;
  }
}
