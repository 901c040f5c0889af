// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign.request;

import java.util.ArrayList;
import java.util.List;

/**
 * Command lines as a shell would split them into words: of a script, with backslashes at the ends
 * of lines, or of ps, one in a line.
 */
final class CommandLines {
  /**
   * A word of a command line.
   *
   * @param line where it begins
   * @param text without quotes
   */
  record Word(int line, String text) {}

  private CommandLines() {}

  /** The commands; a line that a backslash ends goes on in the next, a remark is none. */
  static List<List<Word>> split(String text) {
    List<List<Word>> commands = new ArrayList<>();
    List<Word> words = new ArrayList<>();
    int number = 0;
    StringBuilder quoted = new StringBuilder();
    int begun = 0;
    for (String line : (Iterable<String>) text.lines()::iterator) {
      number++;
      begun = quoted.isEmpty() ? number : begun;
      String whole = quoted + line;
      if (whole.strip().startsWith("#")) {
        continue;
      }
      quoted.setLength(0);
      if (isOpen(whole) && whole.length() < 1 << 16) {
        quoted.append(whole).append('\n');
        continue;
      }
      String end = whole.stripTrailing();
      boolean goesOn = end.endsWith("\\");
      words(goesOn ? end.substring(0, end.length() - 1) : end, begun, words);
      if (!goesOn && !words.isEmpty()) {
        commands.add(List.copyOf(words));
        words.clear();
      }
    }
    words(quoted.toString(), begun, words);
    if (!words.isEmpty()) {
      commands.add(List.copyOf(words));
    }
    return commands;
  }

  /** Whether a quote that begins in a text does not end there. */
  private static boolean isOpen(String text) {
    char quote = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (quote == 0 && (c == '\'' || (c == '"' && startsWord(text, i)))) {
        quote = c;
      } else if (c == quote) {
        quote = 0;
      }
    }
    return quote != 0;
  }

  /** ps shows JSON without the quotes around it: those within are a part of it then. */
  private static boolean startsWord(String text, int at) {
    return at == 0 || Character.isWhitespace(text.charAt(at - 1)) || text.charAt(at - 1) == '=';
  }

  private static void words(String text, int line, List<Word> words) {
    StringBuilder word = new StringBuilder();
    char quote = 0;
    boolean any = false;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (quote != 0) {
        if (c == quote) {
          quote = 0;
        } else {
          word.append(c);
        }
      } else if (c == '\'' || (c == '"' && startsWord(text, i))) {
        quote = c;
        any = true;
      } else if (Character.isWhitespace(c)) {
        if (any || !word.isEmpty()) {
          words.add(new Word(line, word.toString()));
        }
        word.setLength(0);
        any = false;
      } else {
        word.append(c);
      }
    }
    if (any || !word.isEmpty()) {
      words.add(new Word(line, word.toString()));
    }
  }
}
