// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Consumer;
import org.vfio4j.replay.OpScript;
import org.vfio4j.replay.OpScript.Step;
import tools.jackson.core.JsonGenerator;

/** The lines that a replay prints, tied to the lines of its script. */
final class ReplayAnswers implements Consumer<String> {

  private static final String CASE = "CASE ";
  private static final String EXTRA = "     ";
  private static final String ARROW = " -> ";

  /**
   * What one operation was answered.
   *
   * @param title of its case; empty before the first
   * @param line its line in the script, from 1
   * @param op the operation as written
   * @param answer a number, {@code -ERRNO}, or {@code blocks}
   * @param extra the lines printed before the answer
   */
  record Answer(String title, int line, String op, String answer, List<String> extra) {}

  private final Iterator<Step> steps;
  private final List<Answer> answers = new ArrayList<>();
  private final List<String> extra = new ArrayList<>();
  private String title = "";

  ReplayAnswers(OpScript script) {
    this.steps = script.steps().iterator();
  }

  @Override
  public void accept(String line) {
    if (line.startsWith(CASE)) {
      title = line.substring(CASE.length());
      nextCase();
    } else if (line.startsWith(EXTRA)) {
      extra.add(line.substring(EXTRA.length()));
    } else if (line.contains(ARROW)) {
      Step.Op op = nextOp();
      String answer = line.substring(line.lastIndexOf(ARROW) + ARROW.length());
      answers.add(new Answer(title, op.line(), op.text(), answer, List.copyOf(extra)));
      extra.clear();
    }
  }

  /** Goes behind the next case's line: what a skipped case holds is passed over. */
  private void nextCase() {
    while (steps.hasNext()) {
      if (steps.next() instanceof Step.Case) {
        return;
      }
    }
    throw new IllegalStateException("a case that the script does not have: " + title);
  }

  private Step.Op nextOp() {
    while (steps.hasNext()) {
      if (steps.next() instanceof Step.Op op) {
        return op;
      }
    }
    throw new IllegalStateException("an answer more than the script has operations");
  }

  /** The answers as a JSON list. */
  void write(JsonGenerator g) {
    Json.objects(
        g,
        answers,
        (to, a) -> {
          Json.put(to, "case", a.title());
          to.writeNumberProperty("line", a.line());
          Json.put(to, "op", a.op());
          Json.put(to, "answer", a.answer());
          Json.put(to, "extra", a.extra());
        });
  }
}
