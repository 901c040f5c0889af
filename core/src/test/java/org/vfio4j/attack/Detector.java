// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.vfio4j.profile.KernelProfile;

/**
 * Finds out whether the engine it is loaded with keeps the rules: random operations from a fixed
 * seed first, then checks of what no user can reach. Speaks only in strings, so that it can be
 * loaded with a patched engine and asked from outside.
 */
final class Detector implements Function<String, String> {
  /** What stands between the parts of an answer. */
  static final String SEPARATOR = "\u001f";

  private static final String EXPLORE = "explore";
  private static final long SEED = 20190905;

  /** Only lest a defect that makes the world endless stops the build: the depth is what ends it. */
  private static final double EXPLORE_SECONDS = 3600;

  private static final Map<Alphabet, Integer> DEPTHS = new LinkedHashMap<>();

  static {
    DEPTHS.put(Alphabet.ODD, 5);
    DEPTHS.put(Alphabet.TRACKED, 8);
    DEPTHS.put(Alphabet.BENEATH, 5);
    DEPTHS.put(Alphabet.FEW, 5);
  }

  /**
   * Runs the checks.
   *
   * @param operations how many random ones; or {@code explore} for the explorer instead, with the
   *     name of a world if only that is to be explored, or a script
   * @return empty if nothing is broken; else the rule, what was seen, after how many operations,
   *     the script, and of the explorer the world
   */
  @Override
  public String apply(String operations) {
    if (operations.startsWith("#")) {
      return Scripts.read(operations)
          .run()
          .map(b -> answer(b.violation(), 0, b.script()))
          .orElse("");
    }
    return operations.startsWith(EXPLORE)
        ? explore(operations.substring(EXPLORE.length()).strip())
        : attack(operations);
  }

  /** In one world, or in one after the other. */
  private static String explore(String world) {
    long transitions = 0;
    for (Map.Entry<Alphabet, Integer> each : DEPTHS.entrySet()) {
      if (!world.isEmpty() && !world.equals(each.getKey().name())) {
        continue;
      }
      Explorer.Report report =
          new Explorer(KernelProfile.LINUX_5_10, each.getKey())
              .run(EXPLORE_SECONDS, each.getValue());
      transitions += report.transitions();
      if (report.broken().isPresent()) {
        Broken broken = report.broken().get();
        return String.join(
            SEPARATOR,
            answer(broken.violation(), transitions, broken.script()),
            each.getKey().name());
      }
    }
    return "";
  }

  private static String attack(String operations) {
    RandomAttack attack = new RandomAttack();
    Optional<Broken> broken = attack.run(SEED, Integer.parseInt(operations), KernelProfile.all());
    if (broken.isPresent()) {
      return answer(broken.get().violation(), attack.done(), broken.get().script());
    }
    try {
      DirectedChecks.run();
    } catch (Violation found) {
      return answer(found, 0, "");
    } catch (RuntimeException escaped) {
      return answer(new Violation("I6", escaped.toString()), 0, "");
    }
    return "";
  }

  private static String answer(Violation broken, long after, String script) {
    return String.join(
        SEPARATOR,
        List.of(broken.check(), String.valueOf(broken.getMessage()), "" + after, script));
  }
}
