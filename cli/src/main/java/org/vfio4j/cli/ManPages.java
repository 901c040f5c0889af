// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import picocli.CommandLine;
import picocli.CommandLine.Help;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/**
 * Writes a manual page for the command and for each of its subcommands, in the macros of {@code
 * man(7)}, from what {@code --help} says: there is no second description to keep true. Run when the
 * package is made.
 */
final class ManPages {
  private static final Help.ColorScheme PLAIN = Help.defaultColorScheme(Help.Ansi.OFF);

  private static final String EXIT_STATUS = "Exit status:";

  private final CommandLine root;
  private final String version;
  private final String date;

  private ManPages(CommandLine root, String version, String date) {
    this.root = root;
    this.version = version;
    this.date = date;
  }

  /** Takes the folder to write to, the version and the date that the pages carry. */
  public static void main(String[] arguments) throws IOException {
    Path folder = Files.createDirectories(Path.of(arguments[0]));
    ManPages pages = of(arguments[1], arguments[2]);
    for (CommandLine command : pages.commands()) {
      Path file = folder.resolve(pageName(command.getCommandSpec()) + ".1");
      Files.writeString(file, pages.page(command.getCommandSpec()));
    }
  }

  static ManPages of(String version, String date) {
    PrintStream nowhere =
        new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8);
    Console console = Console.plain(nowhere, nowhere);
    return new ManPages(Main.commandLine(new VfioCommand(console), console), version, date);
  }

  /** The command, then its subcommands. */
  List<CommandLine> commands() {
    List<CommandLine> all = new ArrayList<>(List.of(root));
    all.addAll(root.getSubcommands().values());
    return all;
  }

  /** The page's name without its section: {@code vfio-check} for {@code vfio check}. */
  static String pageName(CommandSpec command) {
    return command.qualifiedName("-");
  }

  /** The page, ending with a line break. */
  String page(CommandSpec command) {
    StringBuilder page = new StringBuilder();
    line(page, ".\\\" SPDX-License-Identifier: Apache-2.0");
    line(
        page,
        ".TH \"%s\" 1 \"%s\" \"vfio4j %s\""
            .formatted(escaped(pageName(command)), date, escaped(version)));
    // Ragged, and no word is broken: commands are to be copied.
    line(page, ".nh");
    line(page, ".ad l");
    line(page, ".SH NAME");
    line(page, escaped(pageName(command)) + " \\- " + escaped(purpose(command)));
    synopsis(page, command);
    line(page, ".SH DESCRIPTION");
    for (String paragraph : command.usageMessage().description()) {
      paragraph(page, paragraph);
    }
    arguments(page, command);
    subcommands(page, command);
    footer(page, command);
    if (command.parent() != null) {
      line(page, ".SH SEE ALSO");
      line(page, ".BR vfio (1)");
    }
    return page.toString();
  }

  private static String purpose(CommandSpec command) {
    String first =
        Arrays.stream(command.usageMessage().description())
            .map(ManPages::plain)
            .filter(s -> !s.isBlank())
            .findFirst()
            .orElseThrow();
    String phrase = first.split("[.:](\\s|$)", 2)[0];
    return phrase.substring(0, 1).toLowerCase(Locale.ROOT) + phrase.substring(1);
  }

  private static void synopsis(StringBuilder page, CommandSpec command) {
    line(page, ".SH SYNOPSIS");
    String name = command.qualifiedName();
    String all = new Help(command, PLAIN).synopsis(0).strip().replaceAll("\\s+", " ");
    line(page, ".B " + escaped(name));
    line(page, escaped(all.substring(name.length()).strip()));
  }

  private static void arguments(StringBuilder page, CommandSpec command) {
    List<PositionalParamSpec> positional =
        command.positionalParameters().stream().filter(p -> !p.hidden()).toList();
    if (!positional.isEmpty()) {
      line(page, ".SH ARGUMENTS");
      for (PositionalParamSpec parameter : positional) {
        entry(page, "\\fI" + escaped(parameter.paramLabel()) + "\\fR", parameter);
      }
    }
    TreeMap<String, OptionSpec> options = new TreeMap<>();
    for (OptionSpec option : command.options()) {
      if (!option.hidden()) {
        options.put(option.longestName(), option);
      }
    }
    line(page, ".SH OPTIONS");
    for (OptionSpec option : options.values()) {
      List<String> names = new ArrayList<>();
      for (String name : option.names()) {
        names.add("\\fB" + escaped(name) + "\\fR");
      }
      String value =
          option.typeInfo().isBoolean() ? "" : " \\fI" + escaped(option.paramLabel()) + "\\fR";
      entry(page, String.join(", ", names) + value, option);
    }
  }

  private static void entry(StringBuilder page, String tag, ArgSpec argument) {
    line(page, ".TP");
    line(page, tag);
    for (String text : argument.description()) {
      line(page, escaped(plain(text).strip()));
    }
  }

  private static void subcommands(StringBuilder page, CommandSpec command) {
    if (command.subcommands().isEmpty()) {
      return;
    }
    line(page, ".SH COMMANDS");
    for (CommandLine subcommand : command.subcommands().values()) {
      CommandSpec spec = subcommand.getCommandSpec();
      line(page, ".TP");
      line(page, ".BR " + escaped(pageName(spec)) + " (1)");
      line(page, escaped(plain(spec.usageMessage().description()[0]).strip()));
    }
  }

  /** Examples are shown line for line, as {@code --help} shows them; then what the status means. */
  private static void footer(StringBuilder page, CommandSpec command) {
    List<String> footer =
        Arrays.stream(command.usageMessage().footer()).map(ManPages::plain).toList();
    List<String> examples = footer.stream().filter(text -> !text.startsWith(EXIT_STATUS)).toList();
    if (!examples.isEmpty()) {
      line(page, ".SH EXAMPLES");
      line(page, ".nf");
      examples.forEach(text -> line(page, escaped(text)));
      line(page, ".fi");
    }
    line(page, ".SH EXIT STATUS");
    String status =
        footer.stream()
            .filter(text -> text.startsWith(EXIT_STATUS))
            .findFirst()
            .map(text -> text.substring(EXIT_STATUS.length()).strip())
            .orElse("0 yes or done, 1 refused or nothing known, 2 bad input.");
    line(page, escaped(status));
  }

  private static void paragraph(StringBuilder page, String text) {
    String plain = plain(text).strip();
    if (!plain.isEmpty()) {
      line(page, ".PP");
      line(page, escaped(plain));
    }
  }

  /** The text as {@code --help} prints it: its markup and format specifiers resolved. */
  private static String plain(String text) {
    return Help.Ansi.OFF.text(String.format(text)).plainString();
  }

  /** So that roff prints the text as it stands, with dashes that can be copied. */
  private static String escaped(String text) {
    String escaped = text.replace("\\", "\\e").replace("-", "\\-");
    return escaped.startsWith(".") || escaped.startsWith("'") ? "\\&" + escaped : escaped;
  }

  private static void line(StringBuilder page, String text) {
    page.append(text.replace("\n", " ")).append('\n');
  }
}
