// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.fuzz;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.vfio4j.replay.Environment;
import org.vfio4j.replay.OpScript;
import org.vfio4j.replay.Replay;

/** What one side answers to a script. */
final class Answers {
  private static final Set<String> OPENS = Set.of("cont", "grp", "devfd", "open");
  private static final int CAP_IPC_LOCK = 14;

  private Answers() {}

  /**
   * One answer.
   *
   * @param op what was done
   * @param text the line and what was printed before it
   * @param result a number, {@code fd}, {@code -ERRNO} or {@code blocks}
   */
  record Answer(String op, String text, String result) {
    boolean succeeded() {
      return !result.startsWith("-");
    }
  }

  /** Runs it, and leaves the environment as it was. */
  static List<Answer> of(List<String> lines, Environment environment) {
    List<String> printed = new ArrayList<>();
    OpScript script = OpScript.parse("fuzz", "case\n" + String.join("\n", lines) + "\nend\n");
    try {
      new Replay("fuzz", script, environment, printed::add).run();
    } finally {
      environment.closeAll();
      environment.capability(CAP_IPC_LOCK, true);
      environment.memlock(Environment.BUFFER_SIZE);
    }
    List<Answer> answers = new ArrayList<>();
    StringBuilder before = new StringBuilder();
    for (String line : printed) {
      int arrow = line.lastIndexOf(" -> ");
      if (arrow < 0) {
        before.append(line).append('\n');
        continue;
      }
      String text = line.substring(0, arrow).strip();
      String op = op(text);
      String result = line.substring(arrow + 4);
      boolean opened = OPENS.contains(op) && !result.startsWith("-");
      answers.add(new Answer(op, before + text, opened ? "fd" : result));
      before.setLength(0);
    }
    return answers;
  }

  private static String op(String line) {
    int equals = line.indexOf(" = ");
    String words = equals > 0 ? line.substring(equals + 3) : line;
    return words.split(" ")[0];
  }
}
