// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Iterator;
import java.util.List;

/** Words that the completion of shells offers for an argument; others may be typed too. */
abstract class CompletionWords implements Iterable<String> {
  private final List<String> words;

  CompletionWords(String... words) {
    this.words = List.of(words);
  }

  @Override
  public Iterator<String> iterator() {
    return words.iterator();
  }
}
