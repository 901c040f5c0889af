// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import org.vfio4j.assign.BuiltIn;
import org.vfio4j.assign.request.Written;
import picocli.CommandLine;
import picocli.CommandLine.Help;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.TypeConversionException;
import picocli.CommandLine.UnmatchedArgumentException;

/** Runs the command. */
public final class Main {

  /** What was asked is so, or was done. */
  static final int OK = 0;

  /** The answer is no: refused, or nothing is known. */
  static final int REFUSED = 1;

  /** The input cannot be used. */
  static final int BAD_INPUT = 2;

  /** A mistake of this program. */
  static final int BROKEN = 70;

  /** The answer could not be written, so that nobody has it. */
  static final int LOST = 74;

  /**
   * Whoever read the answer wanted no more of it; what a shell says of a program that SIGPIPE ends.
   */
  static final int PIPE = 141;

  private static final List<String> LOG_LEVELS =
      List.of("trace", "debug", "info", "warn", "error", "off");

  private static final int MIN_HELP_WIDTH = 55;
  private static final int MAX_HELP_WIDTH = 100;

  private Main() {}

  /** Runs the command with the process's streams and ends the process. */
  public static void main(String[] arguments) {
    Console console = Console.ofProcess();
    String level = System.getenv().getOrDefault("VFIO_LOG", "");
    if (!level.isEmpty()) {
      if (!LOG_LEVELS.contains(level)) {
        String message = "VFIO_LOG=" + level + ": " + String.join(", ", LOG_LEVELS);
        int status = new Complaint(BAD_INPUT, message).print(console, Complaint.inJson(arguments));
        console.out().flush();
        console.err().flush();
        System.exit(status);
      }
      System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", level);
    }
    int status = run(console, arguments);
    System.exit(console.lost().map(e -> lost(console, e)).orElse(status));
  }

  private static int lost(Console console, IOException e) {
    String why = String.valueOf(e.getMessage());
    if (why.contains("Broken pipe")) {
      return PIPE;
    }
    console.err().println("vfio: the answer could not be written: " + Text.printable(why));
    console.err().flush();
    return LOST;
  }

  /**
   * Runs the command within this process.
   *
   * @param out takes the answer
   * @param err takes messages about what went wrong, each a single line; with {@code --json} they
   *     are also answers
   * @return the exit status: 0 yes or done, 1 refused or nothing known, 2 bad input, 70 a mistake
   *     of this program
   */
  public static int run(PrintStream out, PrintStream err, String... arguments) {
    return run(Console.plain(out, err), arguments);
  }

  static int run(Console console, String... arguments) {
    VfioCommand root = new VfioCommand(console);
    boolean json = Complaint.inJson(arguments);
    try {
      return commandLine(root, console)
          .setParameterExceptionHandler((e, words) -> badParameter(console, json, e))
          .setExecutionExceptionHandler(
              (e, command, result) ->
                  Complaint.of(e)
                      .map(c -> c.print(console, json))
                      .orElseGet(() -> unexpected(console, json, root, e)))
          .execute(Complaint.commandFirst(arguments));
    } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
      return unexpected(console, json, root, e);
    } finally {
      console.out().flush();
      console.err().flush();
    }
  }

  /** The command and its subcommands, ready to be executed. */
  static CommandLine commandLine(VfioCommand root, Console console) {
    CommandLine line = new CommandLine(root);
    for (Object command : root.subcommands()) {
      CommandLine subcommand = new CommandLine(command);
      // A message may begin with a dash, as an option of QEMU or -EBUSY does.
      subcommand.setUnmatchedOptionsArePositionalParams(command instanceof ExplainCommand);
      // What follows a command that is to be run is that one's.
      subcommand.setStopAtPositional(command instanceof KeepCommand);
      line.addSubcommand(subcommand);
    }
    line.registerConverter(BuiltIn.class, new Choice<>(BuiltIn.class))
        .registerConverter(ReplayCommand.Backend.class, new Choice<>(ReplayCommand.Backend.class))
        .registerConverter(UpCommand.Form.class, new Choice<>(UpCommand.Form.class))
        .registerConverter(Written.class, new Choice<>(Written.class));
    Help.Ansi ansi = console.colour() ? Help.Ansi.ON : Help.Ansi.OFF;
    return line.setOut(writer(console.out().raw()))
        .setErr(writer(console.err().raw()))
        .setColorScheme(Help.defaultColorScheme(ansi))
        .setUsageHelpWidth(Math.clamp(console.width(), MIN_HELP_WIDTH, MAX_HELP_WIDTH));
  }

  private static PrintWriter writer(PrintStream stream) {
    return new PrintWriter(stream, true, StandardCharsets.UTF_8);
  }

  private static int badParameter(Console console, boolean json, ParameterException e) {
    String command = e.getCommandLine().getCommandSpec().qualifiedName();
    return new Complaint(
            BAD_INPUT,
            message(e).strip(),
            Optional.empty(),
            0,
            "",
            Optional.of(command + " --help"))
        .print(console, json);
  }

  private static String message(ParameterException e) {
    if (e instanceof UnmatchedArgumentException unmatched && !unmatched.isUnknownOption()) {
      String first = unmatched.getUnmatched().getFirst();
      List<String> near = unmatched.getSuggestions();
      String hint = near.isEmpty() ? "" : "; perhaps " + String.join(" or ", near);
      boolean root = unmatched.getCommandLine().getParent() == null;
      return (root ? "no command '" : "one argument too many: '") + first + "'" + hint;
    }
    if (e.getCause() instanceof TypeConversionException wrong && e.getArgSpec() != null) {
      String name =
          e.getArgSpec() instanceof OptionSpec option
              ? option.longestName()
              : e.getArgSpec().paramLabel();
      return name + ": " + wrong.getMessage();
    }
    return String.valueOf(e.getMessage());
  }

  private static int unexpected(Console console, boolean json, VfioCommand root, Throwable e) {
    String what = Text.cut(Text.printable(e.toString()), 300);
    if (console.debug() || root.verbose()) {
      e.printStackTrace(console.err());
    }
    return new Complaint(BROKEN, "a mistake of this program, please report it: " + what)
        .print(console, json);
  }
}
