// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.vfio4j.posix.UnixSocket.Credentials;
import org.vfio4j.user.Server;
import picocli.CommandLine.Help.Ansi.Style;
import tools.jackson.core.JsonGenerator;

/** What {@code vfio serve} prints while it runs: each event at once, as text or as a JSON line. */
final class ServeEvents implements Server.Events {
  private static final Logger LOG = LoggerFactory.getLogger(ServeEvents.class);

  private final Console console;
  private final boolean json;
  private final String device;

  /** Of those who are there: when they have left, /proc does not tell any more. */
  private final Map<Credentials, String> commands = new ConcurrentHashMap<>();

  ServeEvents(Console console, boolean json, String device) {
    this.console = console;
    this.json = json;
    this.device = device;
  }

  /** The device can be plugged in. */
  void serving(String identity, Path path) {
    List<String> arguments = qemu(path);
    if (json) {
      event(
          "serving",
          g -> {
            Json.put(g, "device", device);
            Json.put(g, "identity", identity);
            Json.put(g, "socket", path.toString());
            Json.put(g, "qemu", arguments);
          });
      return;
    }
    StringBuilder text = new StringBuilder();
    text.append(
        "Serving %s (%s) at %s\n".formatted(device, identity, Text.printable(path.toString())));
    text.append("Give QEMU, with the size that the VM is to have:\n");
    for (int n = 0; n < arguments.size(); n += 2) {
      text.append("  %s %s".formatted(arguments.get(n), quoted(arguments.get(n + 1))));
      text.append(n + 2 < arguments.size() ? " \\\n" : "\n");
    }
    text.append("Ctrl-C ends it.");
    line(text.toString());
  }

  /** The arguments that plug the device in; memory must be shared for its DMA. */
  private static List<String> qemu(Path path) {
    String device =
        Json.line(
            g -> {
              g.writeStringProperty("driver", "vfio-user-pci");
              g.writeObjectPropertyStart("socket");
              g.writeStringProperty("path", path.toString());
              g.writeStringProperty("type", "unix");
              g.writeEndObject();
            });
    return List.of(
        "-machine",
        "q35,memory-backend=mem",
        "-object",
        "memory-backend-memfd,id=mem,size=1G,share=on",
        "-device",
        device);
  }

  /** For a shell. */
  private static String quoted(String word) {
    return word.matches("[\\w=,./-]+") ? word : "'" + word.replace("'", "'\\''") + "'";
  }

  @Override
  public void connected(Credentials peer) {
    peer("connected", peer, note(peer), Optional.empty());
  }

  @Override
  public void waiting(Credentials peer, Credentials before) {
    Optional<String> command = note(peer);
    peer("waiting", peer, command, Optional.of("process %d comes first".formatted(before.pid())));
  }

  @Override
  public void disconnected(Credentials peer, String why) {
    // Of two connections of one process the second finds it no more, but the process is there.
    Optional<String> command = Optional.ofNullable(commands.remove(peer));
    peer("left", peer, command.or(() -> commandOf(peer)), Optional.of(why));
  }

  @Override
  public void refused(Credentials peer, String why) {
    peer("turned away", peer, commandOf(peer), Optional.of(why));
  }

  @Override
  public void abandoned(String what) {
    LOG.atWarn().addKeyValue("device", device).log("not over: {}", what);
    if (json) {
      event("abandoned", g -> g.writeStringProperty("what", what));
      return;
    }
    line("%s: %s".formatted(console.paint(Style.fg_red, "not over"), Text.printable(what)));
  }

  private Optional<String> note(Credentials peer) {
    Optional<String> command = commandOf(peer);
    command.ifPresent(c -> commands.put(peer, c));
    return command;
  }

  private void peer(String what, Credentials peer, Optional<String> command, Optional<String> why) {
    LOG.atInfo()
        .addKeyValue("device", device)
        .addKeyValue("vm", peer.pid())
        .addKeyValue("user", peer.uid())
        .log(why.map(w -> what + ": " + w).orElse(what));
    if (json) {
      event(
          what,
          g -> {
            g.writeNumberProperty("pid", peer.pid());
            g.writeNumberProperty("uid", peer.uid());
            g.writeNumberProperty("gid", peer.gid());
            Json.put(g, "command", command);
            Json.put(g, "why", why);
          });
      return;
    }
    String who = command.map(c -> " (" + Text.printable(c) + ")").orElse("");
    String reason = why.map(w -> ": " + Text.printable(w)).orElse("");
    String painted = console.paint(what.equals("connected") ? Style.fg_green : Style.faint, what);
    line("%s: process %d%s of user %d%s".formatted(painted, peer.pid(), who, peer.uid(), reason));
  }

  private static Optional<String> commandOf(Credentials peer) {
    try {
      return Optional.of(Files.readString(Path.of("/proc/%d/comm".formatted(peer.pid()))).strip());
    } catch (IOException _) {
      return Optional.empty();
    }
  }

  private void event(String name, Consumer<JsonGenerator> fields) {
    line(
        Json.line(
            g -> {
              Json.put(g, "event", name);
              fields.accept(g);
            }));
  }

  private synchronized void line(String text) {
    console.out().print(text + "\n");
    console.out().flush();
  }
}
