// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.GroupPrincipal;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipalNotFoundException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.linux.bind.BindingException;
import org.vfio4j.linux.bind.DriverBinding.Change;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code vfio binder}: binds for one that may not, a question on each connection. */
@Command(
    name = "binder",
    mixinStandardHelpOptions = true,
    description = {
      "Hands devices to vfio-pci and back for a program without the right to, which asks on"
          + " standard input, and is answered on standard output: vfio4j-bind.socket starts it as"
          + " root for each connection. It takes addresses only, and refuses what 'vfio bind'"
          + " refuses.",
      "What it hands over belongs to group vfio."
    },
    sortOptions = false,
    footerHeading = "%nExample%n",
    footer = {
      "  echo bind 0000:01:00.0 | vfio binder",
      "",
      "Exit status: 0 answered, 2 bad input."
    })
final class BinderCommand implements Callable<Integer> {
  private static final Logger LOG = LoggerFactory.getLogger(BinderCommand.class);

  private static final String GROUP = "vfio";

  private final Console console;
  private final InputStream input;
  private final Supplier<LocalDevices> machine;
  private final Path nodes;

  @Option(
      names = "--force",
      paramLabel = "ADDRESS",
      description = "Take this device, if it is asked for, although the host lives on it.")
  private List<String> forced = List.of();

  /**
   * For a connection.
   *
   * @param nodes the folder with the groups' nodes
   */
  BinderCommand(Console console, InputStream input, Supplier<LocalDevices> machine, Path nodes) {
    this.console = console;
    this.input = input;
    this.machine = machine;
    this.nodes = nodes;
  }

  @Override
  public Integer call() throws IOException {
    List<String> force = LocalDevices.addresses(forced).stream().map(PciAddress::toString).toList();
    Optional<BinderLine.Question> question = line().flatMap(BinderLine::question);
    if (question.isEmpty()) {
      say(BinderLine.refusal("the question is not 'bind ADDRESS' or 'release ADDRESS'"));
      return Main.BAD_INPUT;
    }
    say(answer(question.get(), force));
    return Main.OK;
  }

  /** Until it ends: who has asked need not hang up. */
  private Optional<String> line() throws IOException {
    byte[] bytes = new byte[BinderLine.LONGEST];
    for (int n = 0; n < bytes.length; n++) {
      int next = input.read();
      if (next == '\n') {
        return Optional.of(new String(bytes, 0, n, StandardCharsets.UTF_8));
      }
      if (next < 0) {
        break;
      }
      bytes[n] = (byte) next;
    }
    return Optional.empty();
  }

  /** Raw, as tabs are no blanks here; the line is plain by itself. */
  private void say(String line) {
    console.out().raw().println(line);
  }

  private String answer(BinderLine.Question question, List<String> force) {
    try {
      LocalDevices local = machine.get();
      Binder binder = new OwnBinder(local);
      List<String> functions = question.functions();
      List<Change> changes =
          question.verb().equals(BinderLine.BIND)
              ? binder.bind(functions, force)
              : binder.release(functions);
      for (Change change : changes) {
        LOG.atInfo()
            .addKeyValue("device", change.address())
            .log("from {} to {}", change.before().orElse("none"), change.now().orElse("none"));
      }
      if (question.verb().equals(BinderLine.BIND)) {
        opened(local, functions, () -> binder.release(changed(changes)));
      }
      return BinderLine.answer(changes);
    } catch (BindingException | BadInputException e) {
      return BinderLine.refusal(String.valueOf(e.getMessage()));
    } catch (IOException e) {
      return BinderLine.refusal(
          "not bound: its node in %s cannot be given to group %s: %s"
              .formatted(nodes, GROUP, OutputFile.reason(e)));
    }
  }

  private static List<String> changed(List<Change> changes) {
    return changes.stream().map(Change::address).toList();
  }

  /** What nobody could open is given back. */
  private void opened(LocalDevices local, List<String> functions, Runnable back)
      throws IOException {
    boolean done = false;
    try {
      open(local, functions);
      done = true;
    } finally {
      if (!done) {
        back.run();
      }
    }
  }

  /**
   * The package's rule for udev does the same, and maybe later than whoever has asked opens it.
   * Where there is no such group nobody of it is waiting.
   */
  private void open(LocalDevices local, List<String> functions) throws IOException {
    for (String function : functions) {
      Optional<Path> node =
          local
              .host()
              .groupOf(PciAddress.parse(function))
              .map(group -> nodes.resolve(String.valueOf(group.id())))
              // Where its unit may open no device, access() of one is refused, though it is there.
              .filter(path -> Files.exists(path, LinkOption.NOFOLLOW_LINKS));
      if (node.isPresent()) {
        open(node.get());
      }
    }
  }

  private static void open(Path node) throws IOException {
    try {
      GroupPrincipal group =
          node.getFileSystem().getUserPrincipalLookupService().lookupPrincipalByGroupName(GROUP);
      PosixFileAttributeView view = Files.getFileAttributeView(node, PosixFileAttributeView.class);
      view.setGroup(group);
      view.setPermissions(PosixFilePermissions.fromString("rw-rw----"));
    } catch (UserPrincipalNotFoundException _) {
      LOG.atWarn().log("there is no group {}: {} stays root's", GROUP, node);
    }
  }
}
