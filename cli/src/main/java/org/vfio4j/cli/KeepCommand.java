// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.vfio4j.posix.ChildProcess;
import org.vfio4j.posix.NotifyListener;
import org.vfio4j.posix.NotifySocket;
import org.vfio4j.posix.Signals;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vfio keep}: a command whose descriptors outlive it, and that is started again. */
@Command(
    name = "keep",
    mixinStandardHelpOptions = true,
    description = {
      "Runs a command, keeps what it has open, and starts it again when it dies: 'vfio up' then"
          + " goes on where it ended, and its VMs notice nothing. For machines without systemd,"
          + " whose services have the same (FileDescriptorStoreMax).",
      "The command ends as it likes once it has given everything back. SIGTERM to it leaves"
          + " everything, and another build is started in its place. Ctrl-C, and SIGTERM to this"
          + " one, have it give everything back. If this one is killed all is lost."
    },
    sortOptions = false,
    footerHeading = "%nExamples%n",
    footer = {"  vfio keep -- vfio up vms.yaml", "", "Exit status: the command's own."})
final class KeepCommand implements Callable<Integer> {
  /** How many descriptors are kept: their names fit into one string of the environment. */
  private static final int MOST = 7_000;

  /** As a shell tells of what it cannot start. */
  private static final int START_FAILED = 126;

  private static final Duration QUICK = Duration.ofSeconds(1);

  /** How long a command is given to give everything back. */
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  private final Console console;
  private final CountDownLatch ended = new CountDownLatch(1);

  /** The process that runs now. */
  private Optional<ChildProcess> current = Optional.empty();

  private boolean ending;

  @Parameters(paramLabel = "COMMAND", arity = "1..*", description = "What to run.")
  private List<String> command = List.of();

  @Option(names = "--json", description = "Print each event as JSON, one a line.")
  private boolean json;

  KeepCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    Path folder = Files.createTempDirectory("vfio-keep");
    try (NotifyListener store = NotifyListener.at(SystemCalls.libc(), folder.resolve("notify"))) {
      Thread.ofPlatform().daemon().name("vfio keep").start(store::run);
      return run(store);
    } finally {
      ended.countDown();
      Files.deleteIfExists(folder);
    }
  }

  private int run(NotifyListener store) {
    EventLines lines = new EventLines(console, json);
    Map<String, String> environment = environment(store);
    Thread hook = new Thread(this::end, "vfio-keep-end");
    Runtime.getRuntime().addShutdownHook(hook);
    try (NotifySocket self = NotifySocket.of(SystemCalls.libc(), environment).orElseThrow()) {
      int quick = 0;
      while (true) {
        long begin = System.nanoTime();
        int status = once(store, environment, self, lines);
        if (store.kept().isEmpty()) {
          return status;
        }
        quick = System.nanoTime() - begin < QUICK.toNanos() ? quick + 1 : 0;
        pause(quick);
      }
    } finally {
      heedNoMore(hook);
    }
  }

  /** Runs the command until it ends. */
  private int once(
      NotifyListener store, Map<String, String> environment, NotifySocket self, EventLines lines) {
    store.expect();
    ChildProcess child;
    try {
      child = ChildProcess.start(command, environment, store.kept());
    } catch (SystemCallException refused) {
      // What is kept must not go because there is no memory for a moment.
      console.err().println("vfio keep: " + refused.getMessage());
      return START_FAILED;
    }
    if (begun(child)) {
      // Everything is to be given back, and only the command can: when it has taken it over.
      Thread.ofPlatform().daemon().name("vfio keep ends").start(() -> endWhenReady(store, child));
    }
    int status = child.await();
    over();
    try {
      // What it sent before it died counts.
      self.barrier();
    } catch (SystemCallException failed) {
      console.err().println("vfio keep: " + failed.getMessage());
    }
    if (!store.kept().isEmpty()) {
      lines.event(
          "again",
          g -> {
            g.writeNumberProperty("pid", child.pid());
            g.writeNumberProperty("status", status);
          },
          () ->
              "vfio keep: process %d ended with status %d: started again"
                  .formatted(child.pid(), status));
    }
    return status;
  }

  /** Returns whether it is to end. */
  private synchronized boolean begun(ChildProcess child) {
    current = Optional.of(child);
    return ending;
  }

  private synchronized void over() {
    current = Optional.empty();
  }

  private void endWhenReady(NotifyListener store, ChildProcess child) {
    try {
      store.awaitReady(PATIENCE);
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
    synchronized (this) {
      current.filter(c -> c == child).ifPresent(c -> c.signal(Signals.SIGINT));
    }
  }

  /** Has the command give everything back. Whoever types Ctrl-C sends it the signal, too. */
  private void end() {
    synchronized (this) {
      ending = true;
      current.ifPresent(child -> child.signal(Signals.SIGINT));
      notifyAll();
    }
    try {
      if (!ended.await(PATIENCE.toMillis(), TimeUnit.MILLISECONDS)) {
        console.err().println("vfio keep: ended although not everything was given back");
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }

  private static void heedNoMore(Thread hook) {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException _) {
      // It runs, and is told that everything has ended.
    }
  }

  /** One that dies as soon as it begins is given time. */
  private synchronized void pause(int quick) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(Math.min(quick, 5));
    boolean before = ending;
    try {
      while (quick > 1 && ending == before && deadline - System.nanoTime() > 0) {
        TimeUnit.NANOSECONDS.timedWait(this, deadline - System.nanoTime());
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }

  private Map<String, String> environment(NotifyListener store) {
    Map<String, String> environment = new HashMap<>(System.getenv());
    List<String> others = new ArrayList<>(environment.keySet());
    others.removeIf(name -> !name.startsWith("LISTEN_"));
    environment.keySet().removeAll(others);
    environment.put(NotifySocket.NOTIFY_SOCKET, store.path().toString());
    environment.put(NotifySocket.FDSTORE, String.valueOf(MOST));
    return environment;
  }
}
