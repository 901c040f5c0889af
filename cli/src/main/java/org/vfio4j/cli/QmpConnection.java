// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Predicate;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A monitor of QEMU's, spoken to in QMP. For one thread. */
final class QmpConnection implements AutoCloseable {
  private static final JsonMapper JSON = new JsonMapper();

  /** What stands in the queue behind the last message. */
  private static final String END = "";

  private final SocketChannel channel;
  private final BlockingQueue<String> messages = new LinkedBlockingQueue<>();
  private final Deque<JsonNode> events = new ArrayDeque<>();
  private final Duration patience;

  /** A command that QEMU has refused. */
  static final class RefusalException extends IOException {
    private static final long serialVersionUID = 1L;

    RefusalException(String command, String why) {
      super("QEMU refuses %s: %s".formatted(command, why));
    }
  }

  private QmpConnection(SocketChannel channel, Duration patience) {
    this.channel = channel;
    this.patience = patience;
  }

  /**
   * Connects. A monitor serves one at a time: where another is connected this waits for nothing.
   *
   * @param patience for each answer
   * @throws IOException if nobody answers there
   */
  static QmpConnection to(Path socket, Duration patience) throws IOException {
    SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket));
    QmpConnection connection = new QmpConnection(channel, patience);
    boolean done = false;
    try {
      Thread.ofVirtual().name("qmp").start(connection::read);
      connection.next(node -> node.has("QMP"), "its greeting");
      connection.execute("qmp_capabilities", g -> {});
      done = true;
      return connection;
    } finally {
      if (!done) {
        channel.close();
      }
    }
  }

  private void read() {
    try (BufferedReader reader =
        new BufferedReader(Channels.newReader(channel, StandardCharsets.UTF_8))) {
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        messages.add(line);
      }
    } catch (IOException _) {
      // It is closed, by one side or the other.
    } finally {
      messages.add(END);
    }
  }

  private JsonNode next(Predicate<JsonNode> wanted, String what) throws IOException {
    long deadline = System.nanoTime() + patience.toNanos();
    while (true) {
      String message;
      try {
        message = messages.poll(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted", e);
      }
      if (message == null) {
        throw new IOException(
            "QEMU has not sent %s within %d s: another may be connected to its monitor"
                .formatted(what, patience.toSeconds()));
      }
      if (message.equals(END)) {
        messages.add(END);
        throw new IOException("QEMU has closed its monitor");
      }
      JsonNode node;
      try {
        node = JSON.readTree(message);
      } catch (JacksonException e) {
        throw new IOException("is no QMP: " + e.getMessage(), e);
      }
      if (wanted.test(node)) {
        return node;
      }
      if (node.has("event")) {
        events.add(node);
      }
    }
  }

  /**
   * Has a command executed.
   *
   * @return what it returned
   * @throws RefusalException if QEMU refuses it
   */
  JsonNode execute(String command, Consumer<JsonGenerator> arguments) throws IOException {
    String text =
        Json.line(
            g -> {
              Json.put(g, "execute", command);
              g.writeObjectPropertyStart("arguments");
              arguments.accept(g);
              g.writeEndObject();
            });
    ByteBuffer bytes = StandardCharsets.UTF_8.encode(text + "\n");
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
    JsonNode answer = next(node -> node.has("return") || node.has("error"), "an answer");
    if (answer.has("error")) {
      throw new RefusalException(command, answer.path("error").path("desc").asString("?"));
    }
    return answer.path("return");
  }

  /** The next of these events, also one that came before; no other is heard of any more. */
  JsonNode event(Predicate<JsonNode> wanted, String what) throws IOException {
    while (!events.isEmpty()) {
      JsonNode event = events.remove();
      if (wanted.test(event)) {
        return event;
      }
    }
    return next(wanted, what);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
