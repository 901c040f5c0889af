// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.FileDescriptor;
import java.io.IOException;
import java.io.PrintStream;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi.Style;

/**
 * What a command has of the world outside: where it prints, and what may be printed there.
 *
 * @param out answers
 * @param err what went wrong, and nothing else
 * @param width columns, at least {@value #MIN_WIDTH}
 * @param colour whether escape sequences for colours are wanted
 * @param unicode whether characters beyond ASCII can be shown
 * @param debug whether an unexpected failure shows its stack trace
 */
record Console(Screen out, Screen err, int width, boolean colour, boolean unicode, boolean debug) {

  /** Columns where the output is no terminal and nobody says otherwise. */
  static final int DEFAULT_WIDTH = 100;

  /** Fewer columns than this are not taken seriously. */
  static final int MIN_WIDTH = 32;

  private static final int MAX_WIDTH = 1000;

  private static final Help.ColorScheme COLOURS = Help.defaultColorScheme(Help.Ansi.ON);
  private static final Help.ColorScheme NO_COLOURS = Help.defaultColorScheme(Help.Ansi.OFF);

  /** Set by the launcher where standard output is a terminal. */
  private static final String TERMINAL = "vfio4j.terminal";

  /** Checks the bounds. */
  Console {
    if (width < MIN_WIDTH) {
      throw new IllegalArgumentException("too narrow: width=" + width + ", min=" + MIN_WIDTH);
    }
  }

  /** A console for output that is no terminal: no colours, {@value #DEFAULT_WIDTH} columns. */
  static Console plain(PrintStream out, PrintStream err) {
    return new Console(new Screen(out), new Screen(err), DEFAULT_WIDTH, false, true, false);
  }

  /** The console of this process. */
  static Console ofProcess() {
    Map<String, String> environment = System.getenv();
    boolean terminal = Boolean.getBoolean(TERMINAL);
    boolean noColour = !environment.getOrDefault("NO_COLOR", "").isEmpty();
    boolean dumb = environment.getOrDefault("TERM", "").equals("dumb");
    String encoding = System.getProperty("native.encoding", "");
    return new Console(
        new Screen(AnswerStream.to(FileDescriptor.out)),
        new Screen(AnswerStream.to(FileDescriptor.err)),
        columns(environment.getOrDefault("COLUMNS", "")),
        terminal && !noColour && !dumb,
        encoding.equalsIgnoreCase("UTF-8") || !terminal,
        environment.getOrDefault("VFIO_DEBUG", "").equals("1"));
  }

  /** Why the answer could not be written, if it could not. */
  Optional<IOException> lost() {
    return out.raw() instanceof AnswerStream stream ? stream.lost() : Optional.empty();
  }

  private static int columns(String text) {
    // A terminal that does not know its size says 0.
    if (!text.matches("[1-9][0-9]{0,4}")) {
      return DEFAULT_WIDTH;
    }
    return Math.clamp(Integer.parseInt(text), MIN_WIDTH, MAX_WIDTH);
  }

  /** The text in this style, or as it is where there are no colours. */
  String paint(Style style, String text) {
    return Screen.colours(colours().apply(Screen.clean(text), List.of(style)).toString());
  }

  /** The same, for a cell of a {@link #table}; a cell may have several styles, or none. */
  Help.Ansi.Text styled(String text, Style... styles) {
    return colours().apply(Text.printable(text), List.of(styles));
  }

  /** Prints a table whose cells were {@link #styled}. */
  void print(Help.TextTable table) {
    out.print(Screen.colours(table.toString()));
  }

  /** A table to be filled, whose columns are counted as a screen does. */
  Help.TextTable table(Help.Column... columns) {
    Help.TextTable table = Help.TextTable.forColumns(colours(), columns);
    table.setAdjustLineBreaksForWideCJKCharacters(true);
    return table;
  }

  private Help.ColorScheme colours() {
    return colour ? COLOURS : NO_COLOURS;
  }

  /** The first text where it can be shown, the second in ASCII elsewhere. */
  String glyph(String wanted, String ascii) {
    return unicode ? wanted : ascii;
  }
}
