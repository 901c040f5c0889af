// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host.tree;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.host.input.Position;

/**
 * A value of a structured text (JSON, YAML) that knows where it stands, so that every complaint
 * about it can name file, line and field. Read by {@link TreeReader}.
 */
public sealed interface Tree {

  /** Where it stands. */
  Position at();

  /**
   * A map of fields, in the order of the source.
   *
   * @param at where it stands
   * @param fields the fields
   */
  record Obj(Position at, Map<String, Tree> fields) implements Tree {

    /** Copies the map and keeps its order. */
    public Obj {
      fields = Collections.unmodifiableMap(new LinkedHashMap<>(fields));
    }

    /** The field of this name. */
    public Optional<Tree> field(String name) {
      return Optional.ofNullable(fields.get(name));
    }

    /**
     * The field of this name.
     *
     * @throws BadInputException if it is missing
     */
    public Tree required(String name) {
      return field(name).orElseThrow(() -> at.error("missing field '" + name + "'"));
    }

    /**
     * Checks that there are no fields but these.
     *
     * @throws BadInputException at the first that is not among them
     */
    public void only(Set<String> known) {
      fields.forEach(
          (name, value) -> {
            if (!known.contains(name)) {
              List<String> names = known.stream().sorted().toList();
              throw value.at().error("unknown field; known here: " + String.join(", ", names));
            }
          });
    }
  }

  /**
   * A list.
   *
   * @param at where it stands
   * @param items the items
   */
  record Arr(Position at, List<Tree> items) implements Tree {

    /** Copies the list. */
    public Arr {
      items = List.copyOf(items);
    }
  }

  /**
   * A text.
   *
   * @param at where it stands
   * @param value the text
   */
  record Text(Position at, String value) implements Tree {}

  /**
   * A number.
   *
   * @param at where it stands
   * @param literal the number as it is written
   */
  record Num(Position at, String literal) implements Tree {}

  /**
   * True or false.
   *
   * @param at where it stands
   * @param value which of them
   */
  record Bool(Position at, boolean value) implements Tree {}

  /**
   * Null.
   *
   * @param at where it stands
   */
  record Nil(Position at) implements Tree {}

  /** Whether it is null. */
  default boolean isNull() {
    return this instanceof Nil;
  }

  /** The map it must be. */
  default Obj asObject() {
    return this instanceof Obj object ? object : wrong("a map of fields");
  }

  /** The items of the list it must be. */
  default List<Tree> asList() {
    return this instanceof Arr array ? array.items() : wrong("a list");
  }

  /** The text it must be. */
  default String asText() {
    return this instanceof Text text ? text.value() : wrong("a text");
  }

  /** The text of a scalar: a text, or a number or truth value as it is written. */
  default String asScalar() {
    return switch (this) {
      case Text text -> text.value();
      case Num number -> number.literal();
      case Bool bool -> String.valueOf(bool.value());
      default -> wrong("a single value");
    };
  }

  /** The truth value it must be. */
  default boolean asBoolean() {
    return this instanceof Bool bool
        ? bool.value()
        : TreeReader.<Boolean>fail(this, "true or false");
  }

  /** The whole number it must be, within the bounds, both inclusive. */
  default long asLong(long min, long max) {
    if (this instanceof Num(Position at, String literal) && literal.matches("-?[0-9]{1,18}")) {
      long value = Long.parseLong(literal);
      if (value < min || value > max) {
        throw at.error("out of range: " + value + ", must be " + min + " to " + max);
      }
      return value;
    }
    return TreeReader.<Long>fail(this, "a whole number");
  }

  /** The whole number it must be, within the bounds, both inclusive. */
  default int asInt(int min, int max) {
    return (int) asLong(min, max);
  }

  /**
   * The text it must be, turned into a value.
   *
   * @throws BadInputException with the message of the exception, if {@code parse} throws {@link
   *     IllegalArgumentException}
   */
  default <T> T parse(Function<String, T> parse) {
    String text = asText();
    try {
      return parse.apply(text);
    } catch (IllegalArgumentException e) {
      throw at().error(String.valueOf(e.getMessage()));
    }
  }

  /** The items of the list it must be, each turned into a value. */
  default <T> List<T> map(Function<Tree, T> item) {
    List<T> values = new ArrayList<>();
    asList().forEach(t -> values.add(item.apply(t)));
    return values;
  }

  private <T> T wrong(String wanted) {
    return TreeReader.fail(this, wanted);
  }
}
