// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vfio4j.error.Errno;
import org.vfio4j.profile.KernelProfile;

/**
 * A counterexample as {@link Broken#script} prints it, read back: each line is what one operation
 * prints, so that there is no second grammar.
 *
 * @param profile of the kernel it names
 * @param ops what it does
 * @param broken what it says is broken at its end
 */
record Scripts(KernelProfile profile, List<Op> ops, String broken) {
  private static final Pattern FAULT =
      Pattern.compile("# of the next line, call (\\d+) into the IOMMU answers (\\w+)");
  private static final Map<String, Op> LINES = lines();

  /** Reads a script. IllegalArgumentException for a line that no operation prints. */
  static Scripts read(String text) {
    Optional<KernelProfile> profile = Optional.empty();
    List<Op> ops = new ArrayList<>();
    String last = "";
    int nth = 0;
    Errno errno = Errno.ENOMEM;
    for (String line : text.lines().toList()) {
      Matcher fault = FAULT.matcher(line);
      Op op = LINES.get(line);
      if (line.startsWith("# kernel ")) {
        profile = KernelProfile.named(line.substring("# kernel ".length()));
      } else if (fault.matches()) {
        nth = Integer.parseInt(fault.group(1));
        errno = Errno.valueOf(fault.group(2));
      } else if (op != null) {
        ops.add(nth == 0 ? op : op.failing(nth, 1, errno));
        nth = 0;
      } else if (line.startsWith("# ")) {
        last = line.substring(2);
      } else {
        throw new IllegalArgumentException("no operation prints: " + line);
      }
    }
    return new Scripts(profile.orElseThrow(), ops, last);
  }

  private static Map<String, Op> lines() {
    Map<String, Op> lines = new HashMap<>();
    for (int slot = 0; slot < World.SLOTS; slot++) {
      for (Op op : Alphabet.onMemory(slot)) {
        lines.put(op.script(), op);
      }
      for (int device = 0; device < World.NAMES.size(); device++) {
        for (Op.Kind kind : Op.Kind.values()) {
          boolean ofMdev = kind == Op.Kind.CREATE;
          int flags =
              kind == Op.Kind.BIND ? World.DRIVERS.size() : ofMdev && !World.isMdev(device) ? 0 : 7;
          for (int flag = 0; flag < flags; flag++) {
            Op op = Op.of(kind, slot, device, flag);
            lines.putIfAbsent(op.script(), op);
          }
        }
      }
    }
    return lines;
  }

  /** Whether a script of the replay language says all of it. */
  boolean replays() {
    return ops.stream().allMatch(op -> op.fault() == 0 && !op.script().startsWith("#"));
  }

  /** Runs it and gives everything back, with all checks. */
  Optional<Broken> run() {
    return Attack.run(profile, ops, new World.Memory());
  }
}
