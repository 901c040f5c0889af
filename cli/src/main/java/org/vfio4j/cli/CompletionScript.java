// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * A script with which bash, and zsh once it is told to read bash's, completes the command.
 * Picocli's own offers no files, names choices in capitals, and does not know what a PCI address
 * is.
 */
final class CompletionScript {

  /** What may stand in a place beside words, as the script names it. */
  private static final String FILES = "@files";

  private static final String ADDRESSES = "@addresses";
  private static final String GROUPS = "@groups";

  private static final String SCRIPT =
      """
      # Completion of vfio for bash; for zsh after: autoload -Uz bashcompinit && bashcompinit
      # Made by 'vfio completion'.

      # Adds what begins as $1 does, of the words that follow; those with an @ stand for many.
      _vfio_offer() {
        local current=$1 word line
        shift
        for word in "$@"; do
          case $word in
            @files)
              compopt -o filenames 2>/dev/null
              while IFS= read -r line; do
                COMPREPLY+=("$line")
              done < <(compgen -f -- "$current")
              ;;
            @groups)
              while IFS= read -r line; do
                COMPREPLY+=("$line")
              done < <(compgen -g -- "$current")
              ;;
            @addresses)
              for line in "${VFIO_SYSFS:-/sys}"/bus/pci/devices/*; do
                line=${line##*/}
                case $line in
                  \\*) ;;
                  "$current"*) COMPREPLY+=("$line") ;;
                  *) case ${line#0000:} in "$current"*) COMPREPLY+=("$line") ;; esac ;;
                esac
              done
              ;;
            *) case $word in "$current"*) COMPREPLY+=("$word") ;; esac ;;
          esac
        done
      }

      _complete_vfio() {
        local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= word n
        COMPREPLY=()
        # Bash breaks words at colons and at equals signs; an address or --host=FILE is one.
        if [ -n "${COMP_WORDBREAKS:-}" ]; then
          current=${COMP_LINE:0:COMP_POINT}
          current=${current##*[[:space:]]}
        fi
        case $current in
          --*=*)
            before=${current%%=*}
            current=${current#*=}
            ;;
        esac
        for ((n = 1; n < COMP_CWORD; n++)); do
          case ${COMP_WORDS[n]} in
            -*) ;;
            *)
              command=${COMP_WORDS[n]}
              break
              ;;
          esac
        done
        if [ "$current" = "$command" ]; then
          command=
        fi
        case $command:$before in
      %s    *)
            case $command:$current in
      %s    esac
            ;;
        esac
        # What bash replaces begins after the last colon.
        case ${COMP_WORDBREAKS:-} in
          *:*)
            case $current in
              *:*)
                word=${current%%"${current##*:}"}
                for n in "${!COMPREPLY[@]}"; do
                  COMPREPLY[n]=${COMPREPLY[n]#"$word"}
                done
                ;;
            esac
            ;;
        esac
      }

      complete -o default -F _complete_vfio vfio
      """;

  private final CommandLine root;

  private CompletionScript(CommandLine root) {
    this.root = root;
  }

  static String of(CommandLine root) {
    return new CompletionScript(root).text();
  }

  private String text() {
    StringBuilder values = new StringBuilder();
    StringBuilder places = new StringBuilder();
    List<String> commands = List.copyOf(root.getSubcommands().keySet());
    for (CommandLine command : root.getSubcommands().values()) {
      CommandSpec spec = command.getCommandSpec();
      for (OptionSpec option : spec.options()) {
        if (option.arity().max() > 0) {
          String names =
              Stream.of(option.names())
                  .map(name -> spec.name() + ":" + name)
                  .collect(Collectors.joining(" | "));
          values.append(arm("    ", names, "current", offers(option)));
        }
      }
      places.append(arm("        ", spec.name() + ":-*", "current", options(spec)));
      List<String> what = new ArrayList<>();
      spec.positionalParameters().forEach(p -> what.addAll(offers(p)));
      boolean help = spec.userObject() instanceof CommandLine.HelpCommand;
      places.append(arm("        ", spec.name() + ":*", "current", help ? commands : what));
    }
    places.append(arm("        ", ":-*", "current", options(root.getCommandSpec())));
    places.append(arm("        ", ":*", "current", commands));
    return SCRIPT.formatted(values, places);
  }

  private static String arm(String indent, String pattern, String current, List<String> words) {
    String offered = words.stream().map(CompletionScript::quoted).collect(Collectors.joining(" "));
    return indent
        + pattern
        + (words.isEmpty() ? ") ;;\n" : ") _vfio_offer \"$" + current + "\" " + offered + " ;;\n");
  }

  /** For a shell. */
  private static String quoted(String word) {
    return word.matches("[\\w@./-]+") ? word : "'" + word.replace("'", "'\\''") + "'";
  }

  private static List<String> options(CommandSpec spec) {
    return spec.options().stream()
        .filter(option -> !option.hidden())
        .flatMap(option -> Stream.of(option.names()))
        .filter(name -> name.startsWith("--"))
        .toList();
  }

  /** What may be typed as the value. */
  private static List<String> offers(ArgSpec argument) {
    List<String> all = new ArrayList<>();
    Class<?> type = argument.auxiliaryTypes()[argument.auxiliaryTypes().length - 1];
    if (type.isEnum()) {
      all.addAll(Choice.words(type));
    } else if (argument.completionCandidates() != null) {
      StreamSupport.stream(argument.completionCandidates().spliterator(), false).forEach(all::add);
    }
    switch (argument.paramLabel()) {
      case "ADDRESS", "UUID|ADDRESS" -> all.add(ADDRESSES);
      case "GROUP" -> all.add(GROUPS);
      case "SOURCE", "MESSAGE|CODE|ERRNO" -> all.add(FILES);
      default -> {
        if (type == Path.class) {
          all.add(FILES);
        }
      }
    }
    return all;
  }
}
