// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;

/**
 * A kind of message, what is behind it, and what to do. A message is of this kind if one of {@code
 * match} is found in it or one of {@code when} was asked and answered in it, and if besides all
 * conditions hold.
 *
 * @param name its name, once in all files
 * @param title what happened, in a few words
 * @param by who says such things
 * @param level what it is in the log that it stands in
 * @param certainty how sure the cause is
 * @param match what is found in the message
 * @param when calls and their answers
 * @param only if not empty, one of these must have printed or handed on the message
 * @param where bounds of what the message names
 * @param with what must stand somewhere in the text, all of it
 * @param not what must not stand in the message, none of it
 * @param causes why it happens
 * @param verify commands that show whether it is so, each with what it shows
 * @param fixes what can be done
 * @param codes the codes under which this program knows it
 * @param tests messages of this kind
 * @param others messages of other kinds, which are near
 */
public record Rule(
    String name,
    String title,
    Set<Speaker> by,
    Level level,
    Certainty certainty,
    List<Needle> match,
    List<When> when,
    Set<Speaker> only,
    List<Where> where,
    List<Needle> with,
    List<Needle> not,
    List<String> causes,
    List<String> verify,
    List<String> fixes,
    List<String> codes,
    List<String> tests,
    List<String> others) {

  /** What an expression counts beside a call with its errno, which any speaker may name. */
  private static final int EXPRESSION = 100;

  private static final int CALL = 50;

  /** A call with whatever answer: what names the answer, too, comes before. */
  private static final int CALL_ALONE = 30;

  private static final int CONDITION = 30;

  /** Who handed a message on says more than a bound does. */
  private static final int WRAPPED = 40;

  private static final int MAX_LENGTH = 90;

  static Rule of(Block block) {
    return new Rule(
        block.one("rule"),
        block.one("title"),
        speakers(block.all("by")),
        block.all("level").stream()
            .map(l -> Level.valueOf(l.toUpperCase(java.util.Locale.ROOT)))
            .findFirst()
            .orElse(Level.ERROR),
        Certainty.of(block.one("sure")).orElseThrow(),
        needles(block.all("match")),
        block.all("when").stream().map(When::parse).toList(),
        speakers(block.all("only")),
        block.all("where").stream().map(Where::parse).toList(),
        needles(block.all("with")),
        needles(block.all("not")),
        block.all("cause"),
        block.all("verify"),
        block.all("fix"),
        block.all("code").stream().flatMap(c -> List.of(c.split(" ")).stream()).toList(),
        block.all("test"),
        block.all("other"));
  }

  private static List<Needle> needles(List<String> texts) {
    return texts.stream().map(Needle::of).toList();
  }

  private static Set<Speaker> speakers(List<String> texts) {
    Set<Speaker> speakers = EnumSet.noneOf(Speaker.class);
    for (String text : texts) {
      for (String word : text.split(" ")) {
        speakers.add(
            Speaker.of(word).orElseThrow(() -> new IllegalStateException("no speaker " + word)));
      }
    }
    return speakers;
  }

  /** The message as one of this kind, if it is one. */
  Optional<Finding> find(Statement statement, Scene scene) {
    Optional<Matcher> matcher = matched(statement);
    Optional<When> called = when.stream().filter(w -> w.isSaidBy(statement)).findFirst();
    if (matcher.isEmpty() && called.isEmpty() || !conditionsHold(statement, scene)) {
      return Optional.empty();
    }
    int said =
        matcher
            .map(m -> EXPRESSION + Math.min(MAX_LENGTH, m.end() - m.start()))
            .orElse(called.filter(w -> w.errnos().isEmpty()).map(_ -> CALL_ALONE).orElse(CALL));
    int weight =
        said
            + (only.isEmpty() ? 0 : WRAPPED)
            + CONDITION * (where.size() + with.size())
            - level.handicap();
    return Optional.of(new Finding(this, statement, scene.things(statement, matcher), weight));
  }

  private Optional<Matcher> matched(Statement statement) {
    for (Needle needle : match) {
      Optional<Matcher> found = needle.find(statement.text(), statement.lower());
      if (found.isPresent()) {
        return found;
      }
    }
    return Optional.empty();
  }

  private boolean conditionsHold(Statement statement, Scene scene) {
    Map<String, String> things = statement.things();
    return (only.isEmpty() || only.stream().anyMatch(scene.speakers(statement)::contains))
        && where.stream().allMatch(w -> w.holds(things))
        && not.stream().noneMatch(n -> n.find(statement.text(), statement.lower()).isPresent())
        && with.stream().allMatch(scene::says);
  }

  /**
   * The cause as sentences about these things; what needs a thing that is not known is left out.
   */
  List<String> filled(List<String> texts, Map<String, String> things) {
    return texts.stream().map(t -> Template.fill(t, things)).flatMap(Optional::stream).toList();
  }
}
