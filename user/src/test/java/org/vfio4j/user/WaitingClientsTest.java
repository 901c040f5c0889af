// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.posix.UnixSocket.Credentials;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.Version;

/** Clients that come while another is there, and those that keep others waiting. */
class WaitingClientsTest extends LeakCheck {
  private static final Duration SHORT = Duration.ofMillis(50);

  /** A server, and what it tells of. */
  private static final class Serving implements Server.Events, AutoCloseable {
    private final BlockingQueue<String> told = new LinkedBlockingQueue<>();
    private final ProbeDevice device = new ProbeDevice();
    private final Path path;
    private final Server server;

    Serving(Path path, Duration handshake) {
      this(path, handshake, Duration.ofSeconds(5));
    }

    Serving(Path path, Duration handshake, Duration turn) {
      this.path = path;
      server = Server.at(path).events(this).handshake(handshake).turn(turn).start(device);
    }

    UnixSocket connect() {
      return UnixSocket.connect(SystemCalls.libc(), path);
    }

    @Override
    public void connected(Credentials peer) {
      told.add("connected");
    }

    @Override
    public void disconnected(Credentials peer, String why) {
      told.add(why);
    }

    @Override
    public void waiting(Credentials peer, Credentials earlier) {
      assertThat(earlier.pid()).isEqualTo((int) ProcessHandle.current().pid());
      told.add("waiting");
    }

    String next() throws InterruptedException {
      return Objects.requireNonNull(told.poll(30, TimeUnit.SECONDS), "nothing is told");
    }

    /** Until it tells of this, whatever it tells of before. */
    void await(String what) throws InterruptedException {
      String said;
      do {
        said = next();
      } while (!said.equals(what));
    }

    @Override
    public void close() {
      server.close();
      device.close();
    }
  }

  private static void check(Client client) {
    client.write32(Pci.BAR0, 0x1000, 77);
    assertThat(client.read32(Pci.BAR0, 0x1000)).isEqualTo(77);
  }

  private void send(UnixSocket socket, int bytes) {
    MemorySegment out = arena.allocate(256);
    Version version = new Version(0, 1, Negotiated.OURS);
    int size = Header.SIZE + version.length();
    Header.encode(out, 0, 1, Command.VERSION, size, 0, 0);
    version.encode(out, Header.SIZE);
    socket.send(out, 0, Math.min(bytes, size));
  }

  @Test
  void shouldDropAClientThatDoesNotBegin() throws Exception {
    try (Serving serving = new Serving(folder.resolve("s"), SHORT)) {
      for (int bytes : new int[] {0, 1, Header.SIZE, Header.SIZE + 8}) {
        try (UnixSocket silent = serving.connect()) {
          if (bytes > 0) {
            send(silent, bytes);
          }
          assertThat(serving.next()).isEqualTo("connected");
          assertThat(serving.next())
              .isEqualTo("no first message within 50 ms: %d bytes of it", bytes);
          assertThat(silent.receive(arena.allocate(1), 0, 1)).as("the end").isZero();
        }
      }
      assertThat(serving.device.attaches.get()).isZero();
    }
  }

  /** A VMM waits for an answer as long as it is told to, and nobody else gets on meanwhile. */
  @Test
  void shouldAnswerWhoHasWaitedForTooLong() throws Exception {
    try (Serving serving = new Serving(folder.resolve("s"), Duration.ofSeconds(5), SHORT);
        Client client = Client.connect(serving.path)) {
      assertThat(serving.next()).isEqualTo("connected");
      try (UnixSocket silent = serving.connect()) {
        assertThat(serving.next()).isEqualTo("waiting");
        assertThat(serving.next()).isEqualTo("waited 50 ms for its turn");
        assertThat(silent.receive(arena.allocate(1), 0, 1)).as("the end").isZero();
      }
      try (UnixSocket second = serving.connect()) {
        send(second, Integer.MAX_VALUE);
        MemorySegment in = arena.allocate(256);
        assertThat(second.receive(in, 0, 256)).isEqualTo(Header.SIZE);
        assertThat(Header.flags(in, 0)).isEqualTo(Header.TYPE_REPLY | Header.ERROR);
        assertThat(Header.error(in, 0)).isEqualTo(Errno.EBUSY.number());
        assertThat(second.receive(in, 0, 1)).as("the end").isZero();
      }
      check(client);
    }
  }

  @Test
  void shouldServeWhoWaitedForASilentClient() throws Exception {
    try (Serving serving = new Serving(folder.resolve("s"), Duration.ofSeconds(1));
        UnixSocket _ = serving.connect()) {
      assertThat(serving.next()).isEqualTo("connected");
      try (Client client = Client.connect(serving.path)) {
        check(client);
      }
      assertThat(serving.next()).isEqualTo("waiting");
      assertThat(serving.next()).startsWith("no first message");
      assertThat(serving.next()).isEqualTo("connected");
    }
  }

  @Test
  void shouldKeepAClientThatIsSilentAfterItHasBegun() throws Exception {
    Duration time = Duration.ofSeconds(1);
    try (Serving serving = new Serving(folder.resolve("s"), time);
        Serving clock = new Serving(folder.resolve("clock"), time)) {
      UnixSocket silent = serving.connect();
      send(silent, Integer.MAX_VALUE);
      assertThat(silent.receive(arena.allocate(256), 0, 256)).isPositive();
      send(silent, Header.SIZE / 2);
      // As long as one is given that has not begun.
      try (UnixSocket _ = clock.connect()) {
        assertThat(clock.next()).isEqualTo("connected");
        assertThat(clock.next()).startsWith("no first message");
      }
      silent.close();
      assertThat(serving.next()).isEqualTo("connected");
      assertThat(serving.next()).isEqualTo("closed within a message: 8 bytes of it");
    }
  }

  @Test
  void shouldTellOfWhoWaitsAndServeItNext() throws Exception {
    try (Serving serving = new Serving(folder.resolve("s"), Connection.TIMEOUT);
        ExecutorService other = Executors.newSingleThreadExecutor()) {
      Client first = Client.connect(serving.path);
      assertThat(serving.next()).isEqualTo("connected");
      Future<Client> connecting = other.submit(() -> Client.connect(serving.path));
      assertThat(serving.next()).isEqualTo("waiting");
      check(first);
      first.close();
      assertThat(serving.next()).isEqualTo("left");
      try (Client second = connecting.get()) {
        assertThat(serving.next()).isEqualTo("connected");
        check(second);
      }
    }
  }

  @Test
  void shouldNotServeWhoHasGivenUp() throws Exception {
    try (Serving serving = new Serving(folder.resolve("s"), Connection.TIMEOUT)) {
      try (Client first = Client.connect(serving.path)) {
        // More than may wait at a time, here and in the kernel.
        for (int n = 0; n < 100; n++) {
          UnixSocket impatient = serving.connect();
          send(impatient, Integer.MAX_VALUE);
          serving.await("waiting");
          impatient.close();
        }
        check(first);
      }
      serving.await("left");
      assertThat(serving.next()).isEqualTo("left while it waited");
      try (Client second = Client.connect(serving.path)) {
        check(second);
      }
      assertThat(serving.device.attaches.get()).isEqualTo(2);
    }
  }

  @Test
  void shouldServeMoreThanMayWaitAtATime() throws Exception {
    int clients = 50;
    try (Serving serving = new Serving(folder.resolve("s"), Connection.TIMEOUT);
        ExecutorService others = Executors.newFixedThreadPool(clients)) {
      List<Future<?>> checks = new ArrayList<>();
      Client first = Client.connect(serving.path);
      for (int n = 0; n < clients; n++) {
        checks.add(
            others.submit(
                () -> {
                  try (Client client = Client.connect(serving.path)) {
                    check(client);
                  }
                }));
      }
      serving.await("waiting");
      first.close();
      for (int n = 0; n < clients; n++) {
        serving.await("connected");
      }
      for (Future<?> check : checks) {
        check.get(30, TimeUnit.SECONDS);
      }
    }
  }

  @Test
  void shouldDisconnectWhoWaitsWhenItIsClosed() throws Exception {
    Serving serving = new Serving(folder.resolve("s"), Connection.TIMEOUT);
    try (Client _ = Client.connect(serving.path);
        UnixSocket waiting = serving.connect()) {
      serving.await("waiting");
      serving.close();
      assertThat(waiting.receive(arena.allocate(1), 0, 1)).isZero();
    }
  }

  @Test
  void shouldRefuseTimesThatMakeNoSense() {
    Server.Builder builder = Server.at(folder.resolve("s"));
    for (Duration time :
        new Duration[] {Duration.ZERO, Duration.ofMillis(-1), Duration.ofHours(25)}) {
      assertThatThrownBy(() -> builder.handshake(time))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining(time.toString());
    }
  }
}
