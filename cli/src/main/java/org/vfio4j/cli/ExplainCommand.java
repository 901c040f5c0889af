// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.vfio4j.cli.explain.Answer;
import org.vfio4j.cli.explain.Code;
import org.vfio4j.cli.explain.Codes;
import org.vfio4j.cli.explain.Explainer;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.input.BadInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vfio explain}: what a refusal or a message means. */
@Command(
    name = "explain",
    mixinStandardHelpOptions = true,
    description = {
      "Says what is behind a message of a kernel, QEMU, libvirt, Proxmox VE, KubeVirt, DPDK and"
          + " others: the cause, commands that show whether it is so, and what helps. It also"
          + " explains the codes of 'vfio check', and errnos.",
      "A whole log comes from a file or a pipe; the line that decides is found from its end."
    },
    sortOptions = false,
    footerHeading = "%nExamples%n",
    footer = {
      "  vfio explain 'vfio 0000:01:00.0: group 1 is not viable'",
      "  vfio explain --file /var/log/libvirt/qemu/win10.log",
      "  journalctl -b -k | vfio explain --host live",
      "  vfio explain BACKING_GROUP_HELD",
      "  vfio explain EBUSY             all that it can mean, by call",
      "  vfio explain --list            what is known",
      "A single word that is the name of a file means the file; - is standard input, and so is"
          + " nothing at all where that is no terminal. Exit status 1 where nothing is known."
    })
final class ExplainCommand implements Callable<Integer> {

  private static final String LIVE = "live";

  private final Console console;
  private final InputStream in;

  @Parameters(
      paramLabel = "MESSAGE|CODE|ERRNO",
      arity = "0..*",
      completionCandidates = Names.class,
      description = "What to explain; a message best in single quotes. - reads standard input.")
  private List<String> words = new ArrayList<>();

  @Option(
      names = {"-f", "--file"},
      paramLabel = "LOG",
      description = "Explain the text of this file; - reads standard input.")
  private Optional<Path> file = Optional.empty();

  @Option(
      names = "--host",
      paramLabel = "SOURCE",
      completionCandidates = ThisMachine.class,
      description =
          "Name the devices that it is about: on the host that this file or folder describes, or"
              + " 'live' for this machine.")
  private Optional<String> host = Optional.empty();

  @Option(
      names = "--list",
      description = "List all kinds of message that are known, by who says them.")
  private boolean list;

  @Option(names = "--json", description = "Print the answer as JSON.")
  private boolean json;

  ExplainCommand(Console console) {
    this(console, System.in);
  }

  ExplainCommand(Console console, InputStream in) {
    this.console = console;
    this.in = in;
  }

  /** The codes, for the completion of shells. */
  static final class Names implements Iterable<String> {
    @Override
    public Iterator<String> iterator() {
      return new Codes().all().stream().map(Code::name).iterator();
    }
  }

  /** The word for the machine that this runs on, for the completion of shells. */
  static final class ThisMachine extends CompletionWords {
    ThisMachine() {
      super(LIVE);
    }
  }

  @Override
  public Integer call() throws IOException {
    Explainer explainer = new Explainer();
    if (list) {
      if (json) {
        Json.print(console, g -> ExplainJson.writeRules(g, explainer.rulebook().rules()));
      } else {
        ExplainText.printRules(console, explainer.rulebook().rules());
      }
      return Main.OK;
    }
    Pasted pasted = pasted();
    Answer answer = explainer.explain(pasted.text());
    Optional<HostTopology> topology = host.map(ExplainCommand::topology);
    if (answer instanceof Answer.Explained(var decided, int lines, var also)) {
      Optional<ConcernedDevices> concerned =
          topology.map(t -> ConcernedDevices.of(t, host.equals(Optional.of(LIVE)), decided));
      Answer.Explained told =
          new Answer.Explained(
              concerned.map(c -> decided.with(c.things())).orElse(decided), lines, also);
      if (json) {
        Json.print(console, g -> ExplainJson.write(g, pasted, told, concerned));
      } else {
        new ExplainText(console, pasted).print(told, concerned);
      }
      return Main.OK;
    }
    if (json) {
      Json.print(console, g -> ExplainJson.write(g, pasted, answer, Optional.empty()));
    } else {
      new ExplainText(console, pasted).print(answer, Optional.empty());
    }
    return answer instanceof Answer.Unknown ? Main.REFUSED : Main.OK;
  }

  /** What is to be explained, from wherever it comes. */
  private Pasted pasted() throws IOException {
    if (file.isPresent()) {
      if (!words.isEmpty()) {
        throw bad("give a message or --file, not both");
      }
      return file.get().toString().equals("-")
          ? Pasted.ofStandardInput(in)
          : Pasted.ofFile(file.get());
    }
    if (words.equals(List.of("-"))) {
      return Pasted.ofStandardInput(in);
    }
    if (words.isEmpty()) {
      if (Pasted.isTerminal()) {
        throw bad("nothing to explain: give a message, a code, an errno, or a log with --file");
      }
      return Pasted.ofStandardInput(in);
    }
    Optional<Path> named = words.size() == 1 ? fileNamed(words.getFirst()) : Optional.empty();
    return named.isPresent() ? Pasted.ofFile(named.get()) : Pasted.ofWords(words);
  }

  /** A file that a single word names, unless the word is a code. */
  private static Optional<Path> fileNamed(String word) {
    if (new Codes().named(word).isPresent() || word.isBlank()) {
      return Optional.empty();
    }
    try {
      return Optional.of(Path.of(word)).filter(Files::isRegularFile);
    } catch (InvalidPathException _) {
      // A message with characters that no name of a file has.
      return Optional.empty();
    }
  }

  private static HostTopology topology(String source) {
    if (source.equals(LIVE)) {
      return HostSource.live();
    }
    return HostChoice.read(Path.of(source), Optional.empty());
  }

  private static BadInputException bad(String message) {
    return new BadInputException("explain", 0, "", message);
  }
}
