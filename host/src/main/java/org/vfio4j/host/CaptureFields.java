// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Arrays;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.vfio4j.host.HostBuilder.Place;
import org.vfio4j.host.tree.Tree;

/** Fields of a capture, as values; what is none is refused with its place. */
final class CaptureFields {
  private CaptureFields() {}

  static Place place(Tree tree) {
    return new Place(tree.at().line(), tree.at().path());
  }

  /** The text it must be, and not an empty one. */
  static String filled(Tree from) {
    String text = from.asText();
    if (text.isEmpty()) {
      throw from.at().error("empty");
    }
    return text;
  }

  static Optional<String> text(Tree.Obj from, String name) {
    return from.field(name).map(Tree::asText);
  }

  static Optional<String> filled(Tree.Obj from, String name) {
    return from.field(name).map(CaptureFields::filled);
  }

  static <T> Fact<T> fact(Tree.Obj from, String name, Function<Tree, T> read) {
    Optional<Tree> field = from.field(name);
    if (field.isEmpty()) {
      return Fact.unknown();
    }
    return field.get().isNull() ? Fact.none() : Fact.known(read.apply(field.get()));
  }

  static <T> T word(Tree tree, T[] values, Function<T, String> wordOf) {
    String text = tree.asText();
    return Arrays.stream(values)
        .filter(v -> wordOf.apply(v).equals(text))
        .findFirst()
        .orElseThrow(
            () ->
                tree.at()
                    .error(
                        "'"
                            + text
                            + "' is none of "
                            + Stream.of(values).map(wordOf).collect(Collectors.joining(", "))));
  }
}
