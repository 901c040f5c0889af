// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.powercut;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.vfio4j.api.ApiClient;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What kernel-bench/power-cut does in its guest, whose end may come at any moment: starts the
 * daemon, compares what it serves with what it has acknowledged in boots before this one, and asks
 * for more, several side by side. Each line of its log is with the host before it goes on.
 */
final class Day {
  private static final JsonMapper JSON = new JsonMapper();

  private final Path results;
  private final Path state;
  private final Path own;
  private final FileChannel log;
  private final DayLog known = new DayLog();
  private final RunningDaemon daemon;
  private final AtomicInteger numbers = new AtomicInteger();
  private final AtomicInteger acknowledged = new AtomicInteger();

  private Day(Path results, Path state, Path sockets) throws IOException {
    this.results = results;
    this.state = state;
    own = results.resolve("day-%s.log".formatted(variable("BOOT")));
    try (DirectoryStream<Path> logs = Files.newDirectoryStream(results, "day-*.log")) {
      for (Path each : sorted(logs)) {
        if (!each.equals(own)) {
          known.read(Files.readString(each));
        }
      }
    }
    log = FileChannel.open(own, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    daemon = new RunningDaemon(results, state, sockets);
  }

  /**
   * One boot's part.
   *
   * @param args the folder of the results, that of the daemon's state, and that of its sockets
   */
  public static void main(String[] args) throws Exception {
    Day day = new Day(Path.of(args[0]), Path.of(args[1]), Path.of(args[2]));
    int status = 0;
    try {
      day.run();
    } catch (IOException | RuntimeException e) {
      day.say("broken " + oneLine(e.toString()));
      e.printStackTrace();
      status = 1;
    }
    // The client has threads.
    System.exit(status);
  }

  private static String variable(String name) {
    String value = System.getenv(name);
    return value == null ? "" : value;
  }

  private static int number(String name) {
    return variable(name).isEmpty() ? 0 : Integer.parseInt(variable(name));
  }

  private static Set<Path> sorted(DirectoryStream<Path> entries) {
    Set<Path> all = new TreeSet<>();
    entries.forEach(all::add);
    return all;
  }

  private synchronized void say(String line) {
    try {
      log.write(StandardCharsets.UTF_8.encode(line + "\n"));
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private void run() throws Exception {
    Files.writeString(results.resolve("host.json"), DayFile.host());
    whole();
    begin();
    String restart = variable("RESTART");
    if (!restart.isEmpty()) {
      work(number("BEFORE_RESTART"), restart.equals("kill") ? daemon::kill : () -> {});
      say("restart " + restart);
      daemon.end();
      begin();
    }
    work(number("OPERATIONS"), () -> {});
    if (!variable("LAST").isEmpty()) {
      daemon.end();
      whole();
      return;
    }
    say("idle");
    new CountDownLatch(1).await();
  }

  /** What a cut has left of files: each is whole, or was about to be written. */
  private void whole() throws IOException {
    if (!Files.isDirectory(state)) {
      return;
    }
    int leftovers = 0;
    try (DirectoryStream<Path> files = Files.newDirectoryStream(state)) {
      for (Path file : sorted(files)) {
        String name = String.valueOf(file.getFileName());
        leftovers += name.endsWith(".part") ? 1 : 0;
        if (name.endsWith(".json")) {
          String text = Files.readString(file, StandardCharsets.ISO_8859_1);
          try {
            if (!JSON.readTree(text).has("text")) {
              say("wrong %s is no VM: %d bytes".formatted(name, text.length()));
            }
          } catch (JacksonException _) {
            say("wrong %s is damaged: %d bytes".formatted(name, text.length()));
          }
        }
      }
    }
    say("leftovers " + leftovers);
  }

  /** Starts the daemon, and compares. */
  private void begin() throws IOException, InterruptedException {
    say("starting");
    daemon.start();
    JsonNode vms = daemon.vms();
    Map<String, Set<String>> found = new TreeMap<>();
    for (JsonNode vm : vms) {
      String name = vm.path("name").asString("");
      Set<String> devices = new TreeSet<>();
      for (JsonNode device : vm.path("devices")) {
        // "edu in place of 0000:20:00.0", or one of ours.
        String text = device.path("device").asString("");
        devices.add(text.substring(text.lastIndexOf(' ') + 1));
      }
      found.put(name, devices);
      if (!vm.path("state").asString("").equals("served")) {
        say("wrong %s is not served: %s".formatted(name, oneLine(vm.path("why").asString(""))));
      }
    }
    // By this process' own log where it is a restart.
    known.read(Files.readString(own));
    List<DayOperation> underWay = known.underWay();
    for (String difference : known.differences(found)) {
      say("wrong " + difference);
    }
    Set<String> files = new TreeSet<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(state)) {
      for (Path file : sorted(entries)) {
        String name = String.valueOf(file.getFileName());
        if (name.endsWith(".part")) {
          say("wrong %s is left".formatted(name));
        } else if (name.endsWith(".json")) {
          files.add(name.substring(0, name.length() - ".json".length()));
        }
      }
    }
    if (!files.equals(found.keySet())) {
      say("wrong %s are served, and %s written".formatted(found.keySet(), files));
    }
    say("underway %d".formatted(underWay.size()));
    String settled = "settled " + DayOperation.text(found);
    known.read(settled + "\n");
    say(settled);
  }

  static String oneLine(String text) {
    return text.replace('\n', ' ');
  }

  /**
   * Changes VMs, several side by side.
   *
   * @param operations how many in all
   * @param middle what is done then when half of them are
   */
  private void work(int operations, Runnable middle) throws InterruptedException {
    AtomicInteger left = new AtomicInteger(operations);
    int half = acknowledged.get() + operations / 2;
    List<Thread> threads = new ArrayList<>();
    for (int worker = 0; worker < DayFile.WORKERS; worker++) {
      long seed = (Long.parseLong(variable("DAY_SEED")) * 1_000 + number("BOOT")) * 10 + worker;
      DayFile file = new DayFile(worker, new Random(seed + operations), known.known());
      threads.add(
          Thread.ofPlatform()
              .start(
                  () -> {
                    try {
                      while (left.getAndDecrement() > 0 && one(file)) {
                        if (acknowledged.get() >= half) {
                          middle.run();
                        }
                      }
                    } catch (RuntimeException e) {
                      say("broken " + oneLine(e.toString()));
                    }
                  }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
  }

  /** One change; whether the daemon is there still. */
  private boolean one(DayFile file) {
    DayOperation operation = file.next();
    DayFile.Call call = file.call(operation, results);
    int number = numbers.incrementAndGet();
    say("begin %d %s".formatted(number, operation.text()));
    boolean[] done = {false};
    try {
      ApiClient.Answer answer =
          daemon.ask(
              call,
              line -> {
                if (JSON.readTree(line).path("event").asString("").equals("done")) {
                  say("acked " + number);
                  done[0] = true;
                }
                return true;
              });
      if (!done[0]) {
        say("refused %d %s".formatted(number, oneLine(answer.json())));
        return true;
      }
    } catch (IOException e) {
      say("lost %d %s".formatted(number, oneLine(String.valueOf(e.getMessage()))));
      return false;
    }
    acknowledged.incrementAndGet();
    file.done(operation);
    return true;
  }
}
