// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;

/** What can be said of a text. */
public sealed interface Answer {

  /** The codes that the text names, and nothing else. */
  record OfCodes(List<Code> codes) implements Answer {}

  /** All that an errno can mean, for a text that is nothing but the errno. */
  record OfErrno(Errno errno, List<Code> codes) implements Answer {}

  /**
   * What happened.
   *
   * @param decided the message that decides, and its kind
   * @param lines how many lines the text has
   * @param also other failures that the text tells, the last one first
   */
  record Explained(Finding decided, int lines, List<Finding> also) implements Answer {}

  /**
   * No rule fits, but the kernel answers this call with this errno for few reasons.
   *
   * @param line where it stands
   * @param call the call
   * @param errno the answer
   * @param codes the reasons
   */
  record OfCall(LogLine line, Call call, Errno errno, List<Code> codes) implements Answer {}

  /**
   * Nothing is known of it.
   *
   * @param errno the errno that it names, which by itself tells nothing
   * @param consequence the line that only says that something before it failed
   * @param near codes and errnos that are spelt like it
   */
  record Unknown(Optional<Errno> errno, Optional<Finding> consequence, List<String> near)
      implements Answer {}
}
