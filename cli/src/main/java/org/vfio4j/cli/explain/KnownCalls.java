// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.List;
import java.util.Optional;

/** The calls that messages name. */
final class KnownCalls {

  private final List<Call> calls = Block.read("calls.txt").stream().map(Call::of).toList();

  /** The first that the text names, in the order of the file: the particular ones come first. */
  Optional<Call> in(String text, String lower) {
    return calls.stream().filter(c -> c.isIn(text, lower)).findFirst();
  }

  Optional<Call> named(String name) {
    return calls.stream().filter(c -> c.name().equals(name)).findFirst();
  }
}
