// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay;

import java.util.Map;
import java.util.Optional;
import org.vfio4j.replay.OpScript.Step;

/** The words after an operation, read as what they stand for. */
final class Operands {
  private static final String BUFFER = "buf";

  private final String source;
  private final Step.Op op;
  private final Map<String, Long> variables;
  private final long buffer;

  Operands(String source, Step.Op op, Map<String, Long> variables, long buffer) {
    this.source = source;
    this.op = op;
    this.variables = variables;
    this.buffer = buffer;
  }

  boolean has(int index) {
    return index < op.arguments().size();
  }

  String word(int index) {
    return op.arguments().get(index);
  }

  /** The word, if it is there. */
  Optional<String> optionalWord(int index) {
    return has(index) ? Optional.of(word(index)) : Optional.empty();
  }

  /** All words from one on, as they stood. */
  String rest(int index) {
    return String.join(" ", op.arguments().subList(index, op.arguments().size()));
  }

  /** A number, a variable, or an address in the buffer. */
  long number(int index) {
    String word = word(index);
    if (word.startsWith("$")) {
      Long value = variables.get(word.substring(1));
      if (value == null) {
        throw wrong(word + " has no value here");
      }
      return value;
    }
    if (word.equals(BUFFER)) {
      return buffer;
    }
    if (word.startsWith(BUFFER + "+")) {
      return buffer + parse(word.substring(BUFFER.length() + 1));
    }
    return parse(word);
  }

  /** A number of 32 bits; a descriptor, a flag, a size of a struct. */
  int integer(int index) {
    return (int) number(index);
  }

  int integer(int index, int otherwise) {
    return has(index) ? integer(index) : otherwise;
  }

  private long parse(String word) {
    try {
      if (word.startsWith("0x")) {
        return Long.parseUnsignedLong(word.substring(2), 16);
      }
      return word.startsWith("-") ? Long.parseLong(word) : Long.parseUnsignedLong(word);
    } catch (NumberFormatException e) {
      throw wrong("'%s' is not a number".formatted(word));
    }
  }

  private ScriptException wrong(String message) {
    return new ScriptException(source, op.line(), message);
  }
}
