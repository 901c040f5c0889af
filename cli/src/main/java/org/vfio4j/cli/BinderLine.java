// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.vfio4j.host.PciAddress;
import org.vfio4j.linux.bind.BindingException;
import org.vfio4j.linux.bind.DriverBinding.Change;

/**
 * What {@code vfio binder} is asked and answers, a line each. The question is {@code bind} or
 * {@code release} and addresses, between blanks. The answer is {@code done} and for each function
 * that has changed its address, the driver before and the driver now, all between tabs, empty for
 * none; or {@code no}, a tab and why not.
 */
final class BinderLine {
  static final String BIND = "bind";
  static final String RELEASE = "release";

  /** A machine has no more functions that could be asked for at once. */
  static final int LONGEST = 16_384;

  private static final String DONE = "done";
  private static final String NO = "no";

  private BinderLine() {}

  /**
   * A question.
   *
   * @param verb {@link #BIND} or {@link #RELEASE}
   * @param functions at least one, each once, as the kernel writes them
   */
  record Question(String verb, List<String> functions) {}

  static String question(String verb, List<String> functions) {
    return verb + " " + String.join(" ", functions);
  }

  /** Reads a question; empty for what is none. */
  static Optional<Question> question(String line) {
    List<String> words = List.of(line.split(" ", -1));
    String verb = words.getFirst();
    List<String> functions = new ArrayList<>();
    for (String word : words.subList(1, words.size())) {
      Optional<PciAddress> address = PciAddress.tryParse(word);
      if (address.isEmpty()) {
        return Optional.empty();
      }
      functions.add(address.get().toString());
    }
    return functions.isEmpty() || !(verb.equals(BIND) || verb.equals(RELEASE))
        ? Optional.empty()
        : Optional.of(new Question(verb, functions.stream().distinct().toList()));
  }

  static String answer(List<Change> changes) {
    StringBuilder line = new StringBuilder(DONE);
    for (Change change : changes) {
      line.append('\t').append(change.address());
      line.append('\t').append(plain(change.before().orElse("")));
      line.append('\t').append(plain(change.now().orElse("")));
    }
    return line.toString();
  }

  static String refusal(String why) {
    return NO + "\t" + plain(why);
  }

  /** Whatever a driver is called or has said, the answer stays one line. */
  private static String plain(String text) {
    return text.replaceAll("\\p{Cntrl}", " ");
  }

  /**
   * Reads an answer.
   *
   * @throws BindingException for a refusal, and for what is no answer
   */
  static List<Change> changes(String answer) {
    List<String> fields = List.of(answer.split("\t", -1));
    if (fields.getFirst().equals(NO) && fields.size() == 2) {
      throw new BindingException(fields.get(1));
    }
    if (!fields.getFirst().equals(DONE) || fields.size() % 3 != 1) {
      throw new BindingException("what 'vfio binder' answers is not understood: " + answer);
    }
    List<Change> changes = new ArrayList<>();
    for (int n = 1; n < fields.size(); n += 3) {
      changes.add(new Change(fields.get(n), driver(fields.get(n + 1)), driver(fields.get(n + 2))));
    }
    return changes;
  }

  private static Optional<String> driver(String name) {
    return name.isEmpty() ? Optional.empty() : Optional.of(name);
  }
}
