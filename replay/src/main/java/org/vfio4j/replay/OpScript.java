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

/**
 * A scenario as text, one operation a line, as a user of VFIO would live it. Parsing checks all of
 * it, so that a script with a mistake in its last line runs nothing.
 *
 * @param steps what is to be done, in order
 */
public record OpScript(List<Step> steps) {
  private static final int MAX_LINE = 4096;

  /** Copies the list. */
  public OpScript {
    steps = List.copyOf(steps);
  }

  /** One line that does something. */
  public sealed interface Step {
    /** The line, from 1. */
    int line();

    /** {@code case TITLE}. */
    record Case(int line, String title) implements Step {}

    /** {@code end}. */
    record End(int line) implements Step {}

    /**
     * An operation.
     *
     * @param text the line as written, without the space around it
     * @param variable where the result is kept
     * @param op what is done
     * @param arguments the words after it
     */
    record Op(int line, String text, Optional<String> variable, String op, List<String> arguments)
        implements Step {
      /** Copies the list. */
      public Op {
        arguments = List.copyOf(arguments);
      }
    }
  }

  /** How many words an operation takes after its name. */
  private record Arity(int least, int most) {}

  /** Operations that only a kernel can run; a case with one of them is skipped elsewhere. */
  static final Set<String> KERNEL_ONLY = Set.of("sh", "fork");

  private static final Map<String, Arity> OPS = operations();

  private static Map<String, Arity> operations() {
    Map<String, Arity> ops = new HashMap<>();
    List.of("cont", "vmlck").forEach(op -> ops.put(op, new Arity(0, 0)));
    List.of(
            "grp", "close", "api", "unset", "devinfo", "reset", "rdcfg", "hotinfo", "peek",
            "memlock", "dropcap", "addcap", "drv", "cat", "sleep", "open")
        .forEach(op -> ops.put(op, new Arity(1, 1)));
    List.of("ext", "setcont", "setiommu", "bind", "dirty")
        .forEach(op -> ops.put(op, new Arity(2, 2)));
    List.of("status", "info").forEach(op -> ops.put(op, new Arity(1, 2)));
    List.of("poke", "edudma", "unmapbm", "ioctl").forEach(op -> ops.put(op, new Arity(3, 3)));
    ops.put("devfd", new Arity(1, 3));
    ops.put("map", new Arity(4, 6));
    ops.put("unmap", new Arity(3, 5));
    ops.put("getbm", new Arity(5, 5));
    ops.put("write", new Arity(2, Integer.MAX_VALUE));
    ops.put("dmesg", new Arity(0, Integer.MAX_VALUE));
    KERNEL_ONLY.forEach(op -> ops.put(op, new Arity(0, Integer.MAX_VALUE)));
    return Map.copyOf(ops);
  }

  /**
   * Reads a script.
   *
   * @param source its name, for errors
   * @param text all of it
   * @throws ScriptException at the first line that is not of the language
   */
  public static OpScript parse(String source, String text) {
    List<Step> steps = new ArrayList<>();
    Set<String> variables = new HashSet<>();
    int number = 0;
    for (String raw : (Iterable<String>) text.lines()::iterator) {
      number++;
      String line = raw.strip();
      if (line.isEmpty() || line.startsWith("#")) {
        continue;
      }
      if (line.length() > MAX_LINE) {
        throw new ScriptException(
            source, number, "line too long: length=%d, max=%d".formatted(line.length(), MAX_LINE));
      }
      steps.add(step(source, number, line, variables));
    }
    return new OpScript(steps);
  }

  private static Step step(String source, int number, String line, Set<String> variables) {
    if (line.equals("case") || line.startsWith("case ")) {
      return new Step.Case(number, line.substring("case".length()).strip());
    }
    if (line.equals("end")) {
      variables.clear();
      return new Step.End(number);
    }
    List<String> words = new ArrayList<>(List.of(line.split("\\s+")));
    Optional<String> variable = Optional.empty();
    if (words.size() >= 2 && words.get(1).equals("=")) {
      variable = Optional.of(words.getFirst());
      words.subList(0, 2).clear();
    }
    if (words.isEmpty()) {
      throw new ScriptException(source, number, "nothing after '='");
    }
    String op = words.removeFirst();
    check(source, number, op, words, variables);
    variable.ifPresent(variables::add);
    return new Step.Op(number, line, variable, op, words);
  }

  private static void check(
      String source, int number, String op, List<String> words, Set<String> variables) {
    Arity arity = OPS.get(op);
    if (arity == null) {
      throw new ScriptException(source, number, "unknown operation '%s'".formatted(op));
    }
    if (words.size() < arity.least || words.size() > arity.most) {
      throw new ScriptException(
          source, number, "%s takes %s, not %d".formatted(op, describe(arity), words.size()));
    }
    if (KERNEL_ONLY.contains(op) || op.equals("write")) {
      return;
    }
    for (String word : words) {
      if (word.startsWith("$") && !variables.contains(word.substring(1))) {
        throw new ScriptException(source, number, "%s has no value here".formatted(word));
      }
    }
  }

  private static String describe(Arity arity) {
    if (arity.least == arity.most) {
      return arity.least + (arity.least == 1 ? " argument" : " arguments");
    }
    return arity.most == Integer.MAX_VALUE
        ? "at least %d arguments".formatted(arity.least)
        : "%d to %d arguments".formatted(arity.least, arity.most);
  }
}
