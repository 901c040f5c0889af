// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/** Lines that hold a message as a field: JSON, one field of JSON, logrus' key=value. */
final class Envelope {

  private static final JsonFactory JSON = new JsonFactory();

  /** Fields that hold what is said, by the loggers that write them. */
  private static final Set<String> SAID =
      Set.of(
          "msg",
          "message",
          "error",
          "err",
          "reason",
          "desc",
          "log",
          "stderr",
          "text",
          "description",
          "note",
          "detail",
          "cause",
          "output",
          "body");

  private static final Pattern FIELD =
      Pattern.compile(
          "^\\W*\"?(?:msg|message|error|err|reason|desc|log|stderr|detail)\"?\\s*[:=]\\s*\"(.*?)\"?[,}\\]]*\\s*$",
          Pattern.CASE_INSENSITIVE);

  private static final Pattern LOGRUS =
      Pattern.compile("\\b(?:msg|err|error|reason)=(?:\"((?:[^\"\\\\]|\\\\.)*)(?:\"|$)|(\\S+))");

  private Envelope() {}

  /** The messages of a line; the line itself where it is no envelope. */
  static List<String> messages(String line) {
    String rest = Prefixes.strip(line).strip();
    if (rest.startsWith("{") && rest.endsWith("}")) {
      List<String> said = ofJson(rest);
      if (!said.isEmpty()) {
        return said;
      }
    }
    if (rest.contains("level=") || rest.startsWith("time=")) {
      List<String> said = new ArrayList<>();
      Matcher logrus = LOGRUS.matcher(rest);
      while (logrus.find()) {
        said.add(logrus.group(1) == null ? logrus.group(2) : logrus.group(1));
      }
      if (!said.isEmpty()) {
        return said;
      }
    }
    Matcher field = FIELD.matcher(rest);
    return List.of(field.find() ? field.group(1) : line);
  }

  private static List<String> ofJson(String text) {
    List<String> said = new ArrayList<>();
    try (JsonParser parser = JSON.createParser(ObjectReadContext.empty(), text)) {
      for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
        String name = parser.currentName();
        if (token == JsonToken.VALUE_STRING
            && name != null
            && SAID.contains(name.toLowerCase(java.util.Locale.ROOT))) {
          said.addAll(List.of(parser.getString().split("\n")));
        }
      }
    } catch (JacksonException _) {
      // Cut off, or no JSON after all: then it is a line like any other.
      return List.of();
    }
    return said;
  }
}
