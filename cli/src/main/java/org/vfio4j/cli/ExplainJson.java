// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.List;
import java.util.Optional;
import org.vfio4j.cli.explain.Answer;
import org.vfio4j.cli.explain.Code;
import org.vfio4j.cli.explain.Finding;
import org.vfio4j.cli.explain.LogLine;
import org.vfio4j.cli.explain.Rule;
import org.vfio4j.cli.explain.Speaker;
import org.vfio4j.error.Errno;
import tools.jackson.core.JsonGenerator;

/** What {@code vfio explain --json} prints. */
final class ExplainJson {
  private static final int MAX_QUERY = 1000;

  private ExplainJson() {}

  static void write(
      JsonGenerator g, Pasted pasted, Answer answer, Optional<ConcernedDevices> concerned) {
    g.writeStartObject();
    Json.put(g, "query", Text.cut(Text.printable(pasted.text()).strip(), MAX_QUERY));
    Json.put(g, "source", pasted.log());
    g.writeBooleanProperty("found", !(answer instanceof Answer.Unknown));
    switch (answer) {
      case Answer.OfCodes(List<Code> codes) -> {
        Json.put(g, "kind", "code");
        codes(g, codes);
      }
      case Answer.OfErrno(Errno errno, List<Code> codes) -> {
        Json.put(g, "kind", "errno");
        Json.put(g, "errno", errno.name());
        codes(g, codes);
      }
      case Answer.OfCall call -> {
        Json.put(g, "kind", "call");
        line(g, call.line());
        Json.put(g, "call", call.call().name());
        Json.put(g, "errno", call.errno().name());
        codes(g, call.codes());
      }
      case Answer.Explained explained -> {
        Json.put(g, "kind", "message");
        explained(g, explained);
        concerned.ifPresent(c -> host(g, c));
      }
      case Answer.Unknown unknown -> {
        Json.put(g, "kind", "unknown");
        Json.put(g, "errno", unknown.errno());
        unknown.consequence().ifPresent(c -> line(g, c.line()));
        Json.put(g, "suggestions", unknown.near());
      }
    }
    g.writeEndObject();
  }

  private static void explained(JsonGenerator g, Answer.Explained explained) {
    Finding decided = explained.decided();
    Json.put(g, "rule", decided.rule().name());
    Json.put(g, "title", decided.rule().title());
    Json.put(g, "speaker", decided.speaker().map(Speaker::word));
    Json.put(g, "level", word(decided.rule().level()));
    Json.put(g, "certainty", word(decided.rule().certainty()));
    line(g, decided.line());
    g.writeNumberProperty("lines", explained.lines());
    Json.put(g, "call", decided.statement().call().map(c -> c.name()));
    Json.put(g, "errno", decided.statement().errno());
    g.writeObjectPropertyStart("things");
    decided.things().forEach((name, thing) -> Json.put(g, name, thing));
    g.writeEndObject();
    Json.put(g, "causes", decided.causes());
    Json.put(g, "verify", decided.verify());
    Json.put(g, "fixes", decided.fixes());
    Json.put(g, "codes", decided.rule().codes());
    Json.objects(
        g,
        "also",
        explained.also(),
        (to, also) -> {
          Json.put(to, "rule", also.rule().name());
          Json.put(to, "title", also.rule().title());
          line(to, also.line());
        });
  }

  private static String word(Enum<?> constant) {
    return constant.name().toLowerCase(java.util.Locale.ROOT).replace('_', ' ');
  }

  private static void line(JsonGenerator g, LogLine line) {
    g.writeObjectPropertyStart("line");
    g.writeNumberProperty("number", line.number());
    Json.put(g, "text", line.text());
    g.writeEndObject();
  }

  private static void codes(JsonGenerator g, List<Code> codes) {
    Json.objects(
        g,
        "codes",
        codes,
        (to, code) -> {
          Json.put(to, "code", code.name());
          Json.put(to, "means", code.means());
          Json.objects(
              to,
              "answers",
              code.answers(),
              (at, answer) -> {
                Json.put(at, "errno", answer.errno().name());
                Json.put(at, "calls", answer.calls());
              });
          Json.put(to, "fixes", code.fixes());
        });
  }

  private static void host(JsonGenerator g, ConcernedDevices concerned) {
    g.writeObjectPropertyStart("host");
    Json.put(g, "name", concerned.host());
    Json.objects(
        g,
        "devices",
        concerned.members(),
        (to, member) -> {
          Json.put(to, "address", member.address().toString());
          Json.put(to, "group", member.group().value());
          Json.put(to, "driver", member.driver().value());
          Json.put(to, "description", member.description());
        });
    Json.put(g, "says", concerned.lines());
    g.writeEndObject();
  }

  static void writeRules(JsonGenerator g, List<Rule> rules) {
    Json.objects(
        g,
        rules,
        (to, rule) -> {
          Json.put(to, "rule", rule.name());
          Json.put(to, "title", rule.title());
          Json.put(to, "speakers", rule.by().stream().map(Speaker::word).toList());
          Json.put(to, "level", word(rule.level()));
          Json.put(to, "certainty", word(rule.certainty()));
          Json.put(to, "codes", rule.codes());
        });
  }
}
