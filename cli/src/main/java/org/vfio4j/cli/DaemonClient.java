// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.vfio4j.api.ApiClient;
import picocli.CommandLine.Option;
import tools.jackson.core.JsonGenerator;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * What the commands have in common that ask a daemon: where it is, and how its answers are told.
 */
final class DaemonClient {
  private static final JsonMapper JSON = new JsonMapper();
  private static final int CLIENT_ERROR = 400;
  private static final int SERVER_ERROR = 500;

  @Option(
      names = "--socket",
      paramLabel = "PATH",
      description = {
        "Where the daemon answers. Default: $VFIO_SOCKET, one's own daemon's,"
            + " /run/vfio4j/daemon.sock."
      })
  private Optional<Path> socket = Optional.empty();

  @Option(names = "--json", description = "Print each answer as JSON, one object a line.")
  private boolean json;

  /** One whose options a command of it says. */
  DaemonClient() {}

  /** One whose options another has. */
  DaemonClient(Optional<Path> socket, boolean json) {
    this.socket = socket;
    this.json = json;
  }

  /** A path of its parts. */
  static String path(String... parts) {
    return Stream.of(parts)
        .map(p -> URLEncoder.encode(p, StandardCharsets.UTF_8).replace("+", "%20"))
        .collect(Collectors.joining("/", "/v1/", ""));
  }

  /** An object to be sent. */
  static String object(Consumer<JsonGenerator> fields) {
    return Json.line(fields);
  }

  /**
   * Asks, and tells what is answered as it comes.
   *
   * @return the exit status
   */
  int ask(Console console, String method, String path, String body) throws IOException {
    return ask(console, method, path, body, node -> text(console, node));
  }

  /**
   * The same, with an answer that is told in another way.
   *
   * @param print tells one object for people
   */
  int ask(Console console, String method, String path, String body, Consumer<JsonNode> print)
      throws IOException {
    Path at =
        socket
            .or(() -> DaemonPlaces.ofThisProcess().answering())
            .map(Path::toAbsolutePath)
            .orElseThrow();
    int[] status = {Main.OK};
    try (ApiClient client = ApiClient.of(at)) {
      ApiClient.Answer answer =
          client.ask(
              method,
              path,
              body,
              line -> {
                JsonNode node = JSON.readTree(line);
                status[0] = Math.max(status[0], tell(console, node, print));
                return console.lost().isEmpty();
              });
      if (answer.status() >= CLIENT_ERROR || status[0] == Main.OK && answer.json().isEmpty()) {
        JsonNode node =
            answer.json().startsWith("{") ? JSON.readTree(answer.json()) : JSON.createObjectNode();
        int told = tell(console, node, print);
        return answer.status() >= SERVER_ERROR ? Main.BROKEN : Math.max(told, Main.REFUSED);
      }
      if (!JSON.readTree(answer.json()).has("event")) {
        tell(console, JSON.readTree(answer.json()), print);
      }
      return status[0];
    } catch (InterruptedIOException _) {
      // Whoever runs this command within his process wants it to end.
      return Main.OK;
    } catch (IOException e) {
      throw new RefusedException(
          Files.exists(at)
              ? "%s: the daemon cannot be asked, or has ended meanwhile: %s"
                  .formatted(at, OutputFile.reason(e))
              : "no daemon at %s: start 'vfio daemon', or name its socket with --socket"
                  .formatted(at));
    }
  }

  /** Tells one object; the exit status that it says. */
  private int tell(Console console, JsonNode node, Consumer<JsonNode> print) {
    if (node.path("event").asString("").equals("alive")) {
      return Main.OK;
    }
    int status = node.has("error") ? node.path("status").asInt(Main.REFUSED) : Main.OK;
    if (json) {
      ObjectNode plain = (ObjectNode) node.deepCopy();
      plain.remove("text");
      console.out().println(Json.escaped(plain.toString()));
    } else if (node.has("error") && !node.has("text")) {
      console.err().println("vfio: " + Text.printable(node.path("error").asString("")));
    } else {
      print.accept(node);
    }
    if (json && node.has("error")) {
      console.err().println("vfio: " + Text.printable(node.path("error").asString("")));
    }
    console.out().flush();
    return status;
  }

  private static void text(Console console, JsonNode node) {
    String text = node.path("text").asString("");
    if (!text.isEmpty()) {
      for (String line : text.split("\n", -1)) {
        console.out().println(Text.printable(line));
      }
    }
  }
}
