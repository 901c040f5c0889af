// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.powercut;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.vfio4j.api.ApiClient;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A {@code vfio daemon}, in a process of its own, and how it is asked. */
final class RunningDaemon {
  private static final long DEADLINE_NANOS = 120_000_000_000L;
  private static final JsonMapper JSON = new JsonMapper();

  private final Path output;
  private final Path state;
  private final Path sockets;
  private final ApiClient client;
  private Optional<Process> process = Optional.empty();

  RunningDaemon(Path results, Path state, Path sockets) throws IOException {
    output = results.resolve("daemon.log");
    this.state = state;
    this.sockets = sockets;
    client = ApiClient.of(sockets.resolve("daemon.sock"));
  }

  /** Starts it, and waits until it answers. */
  void start() throws IOException, InterruptedException {
    Map<String, String> environment = System.getenv();
    List<String> words = new ArrayList<>();
    words.add(environment.getOrDefault("JAVA", "java"));
    words.addAll(
        Stream.of(environment.getOrDefault("JAVA_FLAGS", "").split(" "))
            .filter(w -> !w.isEmpty())
            .toList());
    words.addAll(
        List.of(
            "org.vfio4j.cli.Main",
            "daemon",
            "--folder",
            sockets.toString(),
            "--state",
            state.toString()));
    ProcessBuilder builder = new ProcessBuilder(words);
    String planted = environment.getOrDefault("PLANTED", "");
    builder
        .environment()
        .put(
            "CLASSPATH",
            Stream.of(planted, environment.getOrDefault("CLASSPATH", ""))
                .filter(p -> !p.isEmpty())
                .collect(Collectors.joining(":")));
    Process started =
        builder
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.appendTo(output.toFile()))
            .start();
    process = Optional.of(started);
    long deadline = System.nanoTime() + DEADLINE_NANOS;
    while (!answers()) {
      if (started.waitFor(50, TimeUnit.MILLISECONDS) || System.nanoTime() > deadline) {
        throw new IOException("the daemon does not start; see " + output);
      }
    }
  }

  private boolean answers() {
    if (!Files.exists(sockets.resolve("daemon.sock"))) {
      return false;
    }
    try {
      return ask(new DayFile.Call("GET", "/v1/vms", ""), _ -> true).status() == 200;
    } catch (IOException _) {
      // A socket that another has left.
      return false;
    }
  }

  JsonNode vms() throws IOException {
    return JSON.readTree(ask(new DayFile.Call("GET", "/v1/vms", ""), _ -> true).json()).path("vms");
  }

  ApiClient.Answer ask(DayFile.Call call, Predicate<String> line) throws IOException {
    return client.ask(call.method(), call.path(), call.body(), line);
  }

  /** As a service is stopped. */
  void end() throws InterruptedException {
    if (process.isPresent()) {
      process.get().destroy();
      process.get().waitFor();
    }
  }

  void kill() {
    process.ifPresent(Process::destroyForcibly);
  }
}
