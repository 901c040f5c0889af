// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.replay.OpScript.Step;

/** Runs a script and prints, for each line, what was answered. */
public final class Replay {
  private final String source;
  private final OpScript script;
  private final Environment environment;
  private final Consumer<String> out;
  private final Map<String, Long> variables = new HashMap<>();

  /**
   * A run to be.
   *
   * @param source the script's name, for errors
   * @param script what to do
   * @param environment where; it is left with all descriptors closed
   * @param out takes each line of the answer, without its end
   */
  public Replay(String source, OpScript script, Environment environment, Consumer<String> out) {
    this.source = source;
    this.script = script;
    this.environment = environment;
    this.out = out;
  }

  /**
   * Runs it from start to end; refusals are answers.
   *
   * @throws ScriptException at a line whose words are not what its operation takes
   */
  public void run() {
    Set<Integer> skipped = kernelOnly();
    try {
      for (Step step : script.steps()) {
        switch (step) {
          case Step.Case(int line, String title) -> {
            out.accept("CASE " + title);
            if (skipped.contains(line)) {
              out.accept("  skipped: it needs a kernel's shell or a second process");
            }
          }
          case Step.End _ -> end();
          case Step.Op op when !skipped.contains(op.line()) -> run(op);
          case Step.Op _ -> {}
        }
      }
    } finally {
      end();
    }
  }

  /** Lines of cases that use what only a kernel can do, their titles' lines among them. */
  private Set<Integer> kernelOnly() {
    Set<Integer> skipped = new HashSet<>();
    List<Step> current = new ArrayList<>();
    for (Step step : script.steps()) {
      if (step instanceof Step.Case) {
        skip(current, skipped);
        current.clear();
      }
      current.add(step);
    }
    skip(current, skipped);
    return skipped;
  }

  private static void skip(List<Step> steps, Set<Integer> skipped) {
    boolean kernelOnly =
        steps.stream()
            .anyMatch(s -> s instanceof Step.Op op && OpScript.KERNEL_ONLY.contains(op.op()));
    if (kernelOnly) {
      steps.forEach(s -> skipped.add(s.line()));
    }
  }

  private void end() {
    environment.closeAll();
    variables.clear();
  }

  private void run(Step.Op op) {
    List<String> printed = new ArrayList<>();
    String answer;
    try {
      Operands operands = new Operands(source, op, variables, environment.buffer());
      Optional<Long> result = Operations.run(environment, op.op(), operands, printed::add);
      answer = result.map(Object::toString).orElse("blocks");
      op.variable().ifPresent(v -> variables.put(v, result.orElse(0L)));
    } catch (VfioException refused) {
      Errno errno = refused.errno();
      answer = "-" + errno.name();
      op.variable().ifPresent(v -> variables.put(v, (long) -errno.number()));
    }
    printed.forEach(line -> out.accept("     " + line));
    out.accept("  %-58s -> %s".formatted(op.text(), answer));
  }
}
