// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;
import org.vfio4j.error.Errno;

/** What is known of the codes of refusals. */
public final class Codes {
  private static final int MAX_SUGGESTIONS = 3;
  private static final int MAX_DISTANCE = 4;

  private final List<Code> all = Block.read("codes.txt").stream().map(Code::of).toList();

  /** All codes, in the order of their file. */
  public List<Code> all() {
    return all;
  }

  /** The code of this name, in any case and with any separators. */
  public Optional<Code> named(String name) {
    String wanted = name.strip().toUpperCase(Locale.ROOT).replaceAll("[ -]+", "_");
    return all.stream().filter(c -> c.name().equals(wanted)).findFirst();
  }

  /** The codes of a text that is nothing but their names, with spaces, bars or commas between. */
  public List<Code> listed(String text) {
    Optional<Code> one = named(text);
    if (one.isPresent()) {
      return List.of(one.get());
    }
    List<Code> codes = new ArrayList<>();
    for (String word : text.strip().split("[\\s|,;]+")) {
      Optional<Code> code = named(word);
      if (code.isEmpty()) {
        return List.of();
      }
      codes.add(code.get());
    }
    return codes;
  }

  /** The codes that a kernel answers with this errno. */
  public List<Code> of(Errno errno) {
    return all.stream().filter(c -> c.answersWith(errno)).toList();
  }

  /** The codes that this call answers with this errno. */
  List<Code> of(Errno errno, String call) {
    return all.stream()
        .filter(
            c -> c.answers().stream().anyMatch(a -> a.errno() == errno && a.calls().contains(call)))
        .toList();
  }

  /** Codes and errnos that are spelt like a word. */
  public List<String> near(String text) {
    String word = text.strip().toUpperCase(Locale.ROOT);
    return Stream.concat(
            all.stream().map(Code::name), Arrays.stream(Errno.values()).map(Errno::name))
        .filter(n -> !n.equals(word))
        .filter(n -> distance(n, word) <= Math.min(MAX_DISTANCE, n.length() / 3))
        .sorted(Comparator.comparingInt(n -> distance(n, word)))
        .limit(MAX_SUGGESTIONS)
        .toList();
  }

  /** How many letters must be put in, taken out or changed to turn one word into the other. */
  private static int distance(String a, String b) {
    if (Math.abs(a.length() - b.length()) > MAX_DISTANCE) {
      return Integer.MAX_VALUE;
    }
    int[] row = new int[b.length() + 1];
    for (int j = 0; j < row.length; j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j < row.length; j++) {
        int changed = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(changed, Math.min(row[j], row[j - 1]) + 1);
      }
    }
    return row[b.length()];
  }
}
