// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.vfio4j.posix.UnixSocket.Credentials;
import org.vfio4j.user.Server;
import picocli.CommandLine.Help.Ansi.Style;
import tools.jackson.core.JsonGenerator;

/** Who comes to a served device and leaves it, each at once: as text or as a line of JSON. */
final class ClientEvents implements Server.Events {
  private static final Logger LOG = LoggerFactory.getLogger(ClientEvents.class);

  private final EventLines lines;
  private final Optional<String> vm;
  private final String device;

  private volatile OptionalInt served = OptionalInt.empty();

  /** Of those who are there: when they have left, /proc does not tell any more. */
  private final Map<Credentials, String> commands = new ConcurrentHashMap<>();

  /**
   * Of one device.
   *
   * @param vm whose it is; empty for one that is anybody's
   */
  ClientEvents(EventLines lines, Optional<String> vm, String device) {
    this.lines = lines;
    this.vm = vm;
    this.device = device;
  }

  /** The process that is served now. */
  OptionalInt served() {
    return served;
  }

  /** Waits until nobody is served, so long at most; whether that is so. */
  synchronized boolean awaitNobody(Duration most) throws InterruptedException {
    long deadline = System.nanoTime() + most.toNanos();
    while (served.isPresent() && deadline - System.nanoTime() > 0) {
      TimeUnit.NANOSECONDS.timedWait(this, deadline - System.nanoTime());
    }
    return served.isEmpty();
  }

  @Override
  public void connected(Credentials peer) {
    served = OptionalInt.of(peer.pid());
    peer("connected", peer, note(peer), Optional.empty());
  }

  @Override
  public void waiting(Credentials peer, Credentials before) {
    Optional<String> command = note(peer);
    peer("waiting", peer, command, Optional.of("process %d comes first".formatted(before.pid())));
  }

  @Override
  public void disconnected(Credentials peer, String why) {
    synchronized (this) {
      if (served.equals(OptionalInt.of(peer.pid()))) {
        served = OptionalInt.empty();
        notifyAll();
      }
    }
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
    lines.event(
        "abandoned",
        g -> {
          named(g);
          g.writeStringProperty("what", what);
        },
        () -> before() + "%s: %s".formatted(lines.paint(Style.fg_red, "not over"), what));
  }

  private Optional<String> note(Credentials peer) {
    Optional<String> command = commandOf(peer);
    command.ifPresent(c -> commands.put(peer, c));
    return command;
  }

  private void peer(String what, Credentials peer, Optional<String> command, Optional<String> why) {
    LOG.atInfo()
        .addKeyValue("device", device)
        .addKeyValue("vm", vm.orElseGet(() -> String.valueOf(peer.pid())))
        .addKeyValue("user", peer.uid())
        .log(why.map(w -> what + ": " + w).orElse(what));
    Consumer<JsonGenerator> fields =
        g -> {
          named(g);
          g.writeNumberProperty("pid", peer.pid());
          g.writeNumberProperty("uid", peer.uid());
          g.writeNumberProperty("gid", peer.gid());
          Json.put(g, "command", command);
          Json.put(g, "why", why);
        };
    lines.event(
        what,
        fields,
        () -> {
          String who = command.map(c -> " (" + Text.printable(c) + ")").orElse("");
          String reason = why.map(w -> ": " + Text.printable(w)).orElse("");
          Style style = what.equals("connected") ? Style.fg_green : Style.faint;
          return before()
              + "%s: process %d%s of user %d%s"
                  .formatted(lines.paint(style, what), peer.pid(), who, peer.uid(), reason);
        });
  }

  private String before() {
    return vm.map(v -> "%s: %s: ".formatted(Text.printable(v), device)).orElse("");
  }

  private void named(JsonGenerator g) {
    if (vm.isPresent()) {
      Json.put(g, "vm", vm);
      Json.put(g, "device", device);
    }
  }

  private static Optional<String> commandOf(Credentials peer) {
    try {
      return Optional.of(Files.readString(Path.of("/proc/%d/comm".formatted(peer.pid()))).strip());
    } catch (IOException _) {
      return Optional.empty();
    }
  }
}
