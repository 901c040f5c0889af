// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.List;
import java.util.Optional;

/**
 * Something that a program asks of the kernel, and how messages name it.
 *
 * @param name its name in the rules
 * @param title the same for a reader
 * @param needles what a message of it matches
 * @param not what a message of it does not match
 * @param known the name under which codes.txt lists what it answers, if it does
 */
public record Call(
    String name, String title, List<Needle> needles, List<Needle> not, Optional<String> known) {

  static Call of(Block block) {
    return new Call(
        block.one("call"),
        block.one("title"),
        block.all("match").stream().map(Needle::of).toList(),
        block.all("not").stream().map(Needle::of).toList(),
        block.all("known").stream().findFirst());
  }

  boolean isIn(String text, String lower) {
    return needles.stream().anyMatch(n -> n.find(text, lower).isPresent())
        && not.stream().noneMatch(n -> n.find(text, lower).isPresent());
  }
}
