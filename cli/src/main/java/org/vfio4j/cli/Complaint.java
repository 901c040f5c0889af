// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.util.Arrays;
import java.util.Optional;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.replay.ScriptException;
import tools.jackson.core.JsonGenerator;

/**
 * Why there is no answer: a line on standard error, and with {@code --json} an object of one line
 * on standard output as well, so that whoever reads JSON gets it whatever happens.
 *
 * @param status the exit status
 * @param message what is wrong, with the place before it
 * @param source the file or other source that is wrong, as it was named
 * @param line its line, from 1; 0 for the whole
 * @param field the field in it; empty for none
 * @param see the command that shows what is allowed
 */
record Complaint(
    int status,
    String message,
    Optional<String> source,
    int line,
    String field,
    Optional<String> see) {

  /** How the command is told to answer in JSON. */
  private static final String JSON = "--json";

  private static final String END_OF_OPTIONS = "--";

  Complaint(int status, String message) {
    this(status, message, Optional.empty(), 0, "", Optional.empty());
  }

  /** What failed because of its input; empty for any other failure. */
  static Optional<Complaint> of(Exception e) {
    return switch (e) {
      case BadInputException bad ->
          Optional.of(
              new Complaint(
                  Main.BAD_INPUT,
                  String.valueOf(bad.getMessage()),
                  Optional.of(bad.source()),
                  bad.line(),
                  bad.field(),
                  Optional.empty()));
      case ScriptException bad ->
          Optional.of(new Complaint(Main.BAD_INPUT, String.valueOf(bad.getMessage())));
      case RefusedException refused ->
          Optional.of(new Complaint(Main.REFUSED, String.valueOf(refused.getMessage())));
      case FileSystemException bad -> Optional.of(ofFile(bad));
      case IOException bad -> Optional.of(new Complaint(Main.BAD_INPUT, OutputFile.reason(bad)));
      default -> Optional.empty();
    };
  }

  private static Complaint ofFile(FileSystemException bad) {
    return new Complaint(
        Main.BAD_INPUT,
        bad.getFile() + ": " + OutputFile.reason(bad),
        Optional.ofNullable(bad.getFile()),
        0,
        "",
        Optional.empty());
  }

  /** Whether the arguments ask for JSON, also where they are wrong otherwise. */
  static boolean inJson(String... arguments) {
    return Arrays.stream(arguments)
        .takeWhile(a -> !a.equals(END_OF_OPTIONS))
        .anyMatch(JSON::equals);
  }

  /**
   * The arguments with the name of the command first, where {@code --json} stands before it: it is
   * an option of every command and none of the whole.
   */
  static String[] commandFirst(String... arguments) {
    if (arguments.length < 2 || !arguments[0].equals(JSON) || arguments[1].startsWith("-")) {
      return arguments;
    }
    String[] turned = arguments.clone();
    turned[0] = arguments[1];
    turned[1] = JSON;
    return turned;
  }

  /** Prints it and answers with the exit status. */
  int print(Console console, boolean json) {
    String hint = see.map(s -> "; see '" + s + "'").orElse("");
    console.err().println("vfio: " + Text.printable(message + hint));
    if (json) {
      console.out().println(Json.line(this::write));
    }
    return status;
  }

  /** As properties of an object. */
  void write(JsonGenerator g) {
    Json.put(g, "error", Text.printable(message));
    g.writeNumberProperty("status", status);
    Json.put(g, "source", source);
    if (line > 0) {
      g.writeNumberProperty("line", line);
    }
    Json.put(g, "field", Optional.of(field).filter(f -> !f.isEmpty()));
    Json.put(g, "see", see);
  }
}
