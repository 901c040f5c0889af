// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host.tree;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.host.input.Position;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.TokenStreamLocation;

/**
 * Reads a structured text through a streaming parser into a {@link Tree}. Knows nothing of the
 * format: the parser may be one for JSON or for YAML. Depth and size are bounded, and a field that
 * is given twice is refused.
 */
public final class TreeReader {

  /** How deep maps and lists may be nested. */
  public static final int MAX_DEPTH = 32;

  /** How many values a text may hold. */
  public static final int MAX_VALUES = 500_000;

  /** The field by which a map in YAML takes over the fields of others. */
  private static final String MERGE = "<<";

  /** What an alias stands for, and how many values that is. */
  private record Anchored(Tree tree, int values) {}

  private final JsonParser parser;
  private final String source;
  private final Optional<Predicate<JsonParser>> isAlias;
  private final Map<String, Anchored> anchors = new HashMap<>();
  private int values;

  private TreeReader(JsonParser parser, String source, Optional<Predicate<JsonParser>> isAlias) {
    this.parser = parser;
    this.source = source;
    this.isAlias = isAlias;
  }

  /**
   * Reads the one value of a text.
   *
   * @param parser a parser at the beginning of the text; the caller closes it
   * @param source the file, as the user named it
   * @throws BadInputException if the text is not well-formed, empty, too deep or too big, names a
   *     field twice, or goes on after the value
   */
  public static Tree read(JsonParser parser, String source) {
    return read(new TreeReader(parser, source, Optional.empty()), parser, source);
  }

  /**
   * The same of a text in YAML, with its aliases and merges.
   *
   * @param isAlias whether the parser stands at an alias, whose name is its text
   * @throws BadInputException also for an alias of nothing, or of what it is a part of
   */
  public static Tree read(JsonParser parser, String source, Predicate<JsonParser> isAlias) {
    return read(new TreeReader(parser, source, Optional.of(isAlias)), parser, source);
  }

  private static Tree read(TreeReader reader, JsonParser parser, String source) {
    try {
      JsonToken first = parser.nextToken();
      if (first == null) {
        throw new BadInputException(source, 1, "", "empty: a value is expected");
      }
      Tree tree = reader.value(first, Optional.empty(), "", 0);
      if (parser.nextToken() != null) {
        throw reader.here(Optional.empty(), "").error("text goes on after the end of the value");
      }
      return tree;
    } catch (JacksonException e) {
      TokenStreamLocation said = e.getLocation();
      boolean known = said != null && said.getLineNr() > 0;
      int line = known ? said.getLineNr() : Math.max(parser.currentLocation().getLineNr(), 1);
      throw new BadInputException(source, line, "", firstLine(e));
    }
  }

  /** The parser's complaint without the place, which it gives once more, and the text there. */
  private static String firstLine(JacksonException e) {
    String said = String.valueOf(e.getOriginalMessage());
    return said.lines().findFirst().orElse(said).strip();
  }

  static <T> T fail(Tree tree, String wanted) {
    throw tree.at().error("must be " + wanted + ", not " + nameOf(tree));
  }

  private static String nameOf(Tree tree) {
    return switch (tree) {
      case Tree.Obj object -> "a map of fields";
      case Tree.Arr array -> "a list";
      case Tree.Text text -> "the text '" + text.value() + "'";
      case Tree.Num number -> "the number " + number.literal();
      case Tree.Bool bool -> String.valueOf(bool.value());
      case Tree.Nil nil -> "null";
    };
  }

  private Position here(Optional<Position> parent, String step) {
    TokenStreamLocation at = parser.currentTokenLocation();
    return new Position(source, at.getLineNr(), at.getColumnNr(), parent, step);
  }

  private Tree value(JsonToken token, Optional<Position> parent, String step, int depth) {
    Position at = here(parent, step);
    if (++values > MAX_VALUES) {
      throw at.error("more than " + MAX_VALUES + " values");
    }
    if (depth > MAX_DEPTH) {
      throw at.error("nested deeper than " + MAX_DEPTH);
    }
    if (isAlias.isEmpty()) {
      return plain(token, at, depth);
    }
    if (isAlias.get().test(parser)) {
      return aliased(at);
    }
    Object anchor = parser.getObjectId();
    int before = values;
    Tree tree = plain(token, at, depth);
    if (anchor != null) {
      anchors.put(anchor.toString(), new Anchored(tree, values - before));
    }
    return tree;
  }

  /** An alias counts as all that it stands for: the text must not grow by them. */
  private Tree aliased(Position at) {
    Anchored anchored = anchors.get(parser.getString());
    if (anchored == null) {
      throw at.error("*%1$s: no &%1$s before it".formatted(parser.getString()));
    }
    values += anchored.values();
    if (values > MAX_VALUES) {
      throw at.error("more than " + MAX_VALUES + " values");
    }
    return anchored.tree();
  }

  private Tree plain(JsonToken token, Position at, int depth) {
    return switch (token) {
      case START_OBJECT -> object(at, depth);
      case START_ARRAY -> array(at, depth);
      case VALUE_STRING -> new Tree.Text(at, parser.getString());
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> new Tree.Num(at, parser.getString());
      case VALUE_TRUE -> new Tree.Bool(at, true);
      case VALUE_FALSE -> new Tree.Bool(at, false);
      case VALUE_NULL -> new Tree.Nil(at);
      default -> throw at.error("a value is expected");
    };
  }

  private Tree object(Position at, int depth) {
    Map<String, Tree> fields = new LinkedHashMap<>();
    JsonToken token = parser.nextToken();
    while (token == JsonToken.PROPERTY_NAME) {
      String name = parser.currentName();
      Position place = here(Optional.of(at), name);
      if (fields.containsKey(name)) {
        throw place.error("field given twice");
      }
      fields.put(name, value(next(at), Optional.of(at), name, depth + 1));
      token = parser.nextToken();
    }
    if (token != JsonToken.END_OBJECT) {
      throw at.error("the text ends inside this map");
    }
    if (isAlias.isPresent()) {
      Optional.ofNullable(fields.remove(MERGE)).ifPresent(merged -> merge(merged, fields));
    }
    return new Tree.Obj(at, fields);
  }

  /** What a map has itself comes before what it takes over. */
  private static void merge(Tree merged, Map<String, Tree> fields) {
    List<Tree> others = merged instanceof Tree.Arr list ? list.items() : List.of(merged);
    others.forEach(other -> other.asObject().fields().forEach(fields::putIfAbsent));
  }

  private Tree array(Position at, int depth) {
    List<Tree> items = new ArrayList<>();
    JsonToken token = next(at);
    while (token != JsonToken.END_ARRAY) {
      items.add(value(token, Optional.of(at), "[" + items.size() + "]", depth + 1));
      token = next(at);
    }
    return new Tree.Arr(at, items);
  }

  private JsonToken next(Position at) {
    JsonToken token = parser.nextToken();
    if (token == null) {
      throw at.error("the text ends inside this value");
    }
    return token;
  }
}
