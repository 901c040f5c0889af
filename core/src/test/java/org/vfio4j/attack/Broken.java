// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.profile.KernelProfile;

/**
 * A list of operations that breaks a rule.
 *
 * @param profile on which kernel
 * @param ops what was done; everything is given back afterwards
 * @param log what of it made sense, and what was given back until the rule broke
 * @param violation the rule
 */
record Broken(KernelProfile profile, List<Op> ops, List<Op> log, Violation violation) {
  /** The list in the op-script language. */
  String script() {
    StringBuilder text = new StringBuilder();
    text.append("# kernel ").append(profile.name()).append('\n');
    log.forEach(op -> text.append(op.script()).append('\n'));
    return text.append("# ").append(violation.getMessage()).append('\n').toString();
  }

  /** Leaves out what is not needed for the same rule to break, then faults that are not. */
  Broken shorten(World.Memory memory) {
    Broken best = this;
    for (int chunk = Math.max(1, ops.size() / 2); chunk > 0; chunk /= 2) {
      best = best.without(chunk, memory);
    }
    for (int at = 0; at < best.ops.size(); at++) {
      List<Op> calmer = new ArrayList<>(best.ops);
      calmer.set(at, calmer.get(at).failing(0, 0, Errno.ENOMEM));
      best = best.or(calmer, memory);
    }
    return best.without(1, memory);
  }

  /** Leaves out chunks of a size as long as one can be spared. */
  private Broken without(int chunk, World.Memory memory) {
    Broken best = this;
    int size = -1;
    while (size != best.ops.size()) {
      size = best.ops.size();
      for (int at = size - chunk; at >= 0; at -= chunk) {
        int end = Math.min(at + chunk, best.ops.size());
        List<Op> fewer = new ArrayList<>(best.ops.subList(0, Math.min(at, end)));
        fewer.addAll(best.ops.subList(end, best.ops.size()));
        best = best.or(fewer, memory);
      }
    }
    return best;
  }

  private Broken or(List<Op> list, World.Memory memory) {
    Optional<Broken> other = Attack.run(profile, list, memory);
    return other.filter(o -> o.violation.check().equals(violation.check())).orElse(this);
  }
}
