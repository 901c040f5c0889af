// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.fuzz;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.error.VfioException;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.Environment;
import org.vfio4j.replay.ScriptException;
import org.vfio4j.replay.fuzz.Answers.Answer;
import org.vfio4j.vfio.KernelBugException;

/** The engine and the kernel, asked the same. Both begin each script with the same drivers. */
final class Duel {
  private static final Map<String, String> DRIVERS = drivers();
  private static final int MOST_TRIES = 400;

  private final KernelProfile profile;
  private final Environment engine;
  private final Environment judge;

  Duel(KernelProfile profile, Environment engine, Environment judge) {
    this.profile = profile;
    this.engine = engine;
    this.judge = judge;
    restore(engine);
    restore(judge);
  }

  private static Map<String, String> drivers() {
    Map<String, String> drivers = new LinkedHashMap<>();
    for (String edu : List.of("00:02.0", "00:03.0", "00:04.0", "00:0a.0", "00:0a.1")) {
      drivers.put("0000:" + edu, "vfio-pci");
    }
    drivers.put("0000:02:01.0", "vfio-pci");
    drivers.put("0000:02:02.0", "vfio-pci");
    drivers.put(ScriptWriter.HOST_FUNCTION, "none");
    return drivers;
  }

  private static void restore(Environment environment) {
    DRIVERS.forEach(
        (device, driver) -> {
          if (!environment.driver(device).equals(driver)) {
            environment.bind(device, driver);
          }
        });
  }

  /**
   * The outcome of a script.
   *
   * @param judged what the kernel answered
   * @param known whether the comparison ended early, at a difference that is explained
   * @param difference the first line where they differ, in words
   */
  record Outcome(List<Answer> judged, boolean known, Optional<String> difference) {}

  /** Runs a script on both. */
  Outcome fight(List<String> lines) {
    List<Answer> expected = Answers.of(lines, engine);
    List<Answer> judged = Answers.of(lines, judge);
    for (int i = 0; i < judged.size(); i++) {
      Answer mine = expected.get(i);
      Answer its = judged.get(i);
      if (mine.equals(its)) {
        continue;
      }
      restore(engine);
      restore(judge);
      if (KnownDifferences.explains(profile, mine, its)) {
        return new Outcome(judged.subList(0, i), true, Optional.empty());
      }
      return new Outcome(
          judged.subList(0, i),
          false,
          Optional.of(
              "line %d\nengine: %s -> %s\nkernel: %s -> %s"
                  .formatted(i + 1, mine.text(), mine.result(), its.text(), its.result())));
    }
    return new Outcome(judged, false, afterwards());
  }

  /** Drivers, which must be what they were on both sides, or the same on both. */
  private Optional<String> afterwards() {
    for (String device : DRIVERS.keySet()) {
      String mine = engine.driver(device);
      String its = judge.driver(device);
      if (!mine.equals(its)) {
        restore(engine);
        restore(judge);
        return Optional.of(
            "afterwards, driver of %s\nengine: %s\nkernel: %s".formatted(device, mine, its));
      }
    }
    restore(engine);
    restore(judge);
    return Optional.empty();
  }

  /** The shortest script that still differs, found by leaving lines out. */
  List<String> shrink(List<String> lines) {
    List<String> best = new ArrayList<>(lines);
    int tries = 0;
    for (int chunk = Math.max(1, best.size() / 2); chunk >= 1; chunk /= 2) {
      boolean shorter = true;
      while (shorter && tries < MOST_TRIES) {
        shorter = false;
        for (int at = best.size() - chunk; at >= 0 && tries < MOST_TRIES; at -= chunk) {
          List<String> less = new ArrayList<>(best);
          less.subList(at, at + chunk).clear();
          tries++;
          if (differs(less)) {
            best = less;
            shorter = true;
          }
        }
      }
    }
    return best;
  }

  private boolean differs(List<String> lines) {
    try {
      return fight(lines).difference().isPresent();
    } catch (ScriptException | KernelBugException | VfioException e) {
      // Without a line that others need, or one that would stop a kernel: no script.
      return false;
    }
  }
}
