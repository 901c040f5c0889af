// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.List;
import org.vfio4j.error.Errno;

/**
 * What the code of a refusal means.
 *
 * @param name the code
 * @param means what it says, in sentences
 * @param answers the errno and the calls that answer with it, none where no kernel is asked
 * @param fixes what can be done
 */
public record Code(String name, String means, List<Answer> answers, List<String> fixes) {

  /** An errno, and the calls that answer with it. */
  public record Answer(Errno errno, List<String> calls) {

    private static Answer parse(String text) {
      List<String> words = List.of(text.split(" "));
      return new Answer(Errno.valueOf(words.getFirst()), words.subList(1, words.size()));
    }
  }

  static Code of(Block block) {
    return new Code(
        block.one("code"),
        block.one("means"),
        block.all("errno").stream().map(Answer::parse).toList(),
        block.all("fix"));
  }

  /** Whether a kernel can answer so with this errno. */
  public boolean answersWith(Errno errno) {
    return answers.stream().anyMatch(a -> a.errno() == errno);
  }
}
