// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.devices;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntConsumer;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.LastingStore;
import org.vfio4j.posix.testing.MortalCalls;
import org.vfio4j.posix.testing.OpenDescriptors;
import org.vfio4j.user.Client;
import org.vfio4j.user.ConnectionException;
import org.vfio4j.user.Server;
import org.vfio4j.user.device.EmulatedDevice;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.DmaMap;
import org.vfio4j.user.wire.RegionWriteMulti;
import org.vfio4j.user.wire.SetIrqs;

/** An edu whose process is killed, and another that goes on in its place: no command fails. */
class EduResumeTest {
  private static final String NAME = "1.0";
  private static final int RAM = 1 << 20;
  private static final int READ_WRITE = DmaMap.READ | DmaMap.WRITE;
  private static final int TRIGGER = SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER;
  private static final long LONG = 1L << 40;
  private static final Duration PATIENCE = Duration.ofSeconds(5);

  /** Where the client has memory that it does not hand over. */
  private static final long OWN = 0x40_0000;

  @TempDir private Path folder;
  private final LastingStore store = new LastingStore(SystemCalls.libc());
  private Set<String> before = Set.of();
  private final List<Process> processes = new CopyOnWriteArrayList<>();
  private final AtomicReference<@Nullable Process> now = new AtomicReference<>();

  @BeforeEach
  void begin() throws Exception {
    before = OpenDescriptors.now();
  }

  @AfterEach
  void shouldLeaveNothing() throws Exception {
    assertThat(store.kept()).isEmpty();
    processes.forEach(process -> process.calls.unmap());
    assertThat(OpenDescriptors.now()).isEqualTo(before);
  }

  /** A process with an edu. */
  private final class Process {
    final MortalCalls calls;
    final Set<Thread> others = Thread.getAllStackTraces().keySet();
    final Deque<AutoCloseable> begun = new ArrayDeque<>();

    Process(long life) {
      calls = new MortalCalls(SystemCalls.libc(), life);
    }

    void start() {
      KeptDescriptors kept = store.process(calls);
      EmulatedDevice.checkLeft(kept);
      Server.Builder server = Server.at(socket()).calls(calls).kept(kept, NAME);
      begun.push(server.start(Edu.create().lasting(calls, kept, NAME)));
      kept.closeRest();
    }

    /** Waits until it is killed, and nothing of it is left. */
    void bury() throws Exception {
      calls.bury();
      for (Thread each : Thread.getAllStackTraces().keySet()) {
        boolean ours = each.getName().matches("(vfio-user )?\\d\\.sock.*|vfio-user turn|edu");
        if (ours && !others.contains(each)) {
          each.interrupt();
          while (each.isAlive() && !idle(each)) {
            each.join(1);
          }
        }
      }
    }

    /** Whether it is a worker whose pool nobody has closed, waiting for work that never comes. */
    private boolean idle(Thread thread) {
      return thread.getName().equals("edu")
          && Arrays.stream(thread.getStackTrace())
              .anyMatch(frame -> frame.getMethodName().equals("getTask"));
    }

    void close() throws Exception {
      while (!begun.isEmpty()) {
        begun.pop().close();
      }
    }
  }

  private Path socket() {
    return folder.resolve("1.sock");
  }

  private Process start(long life) {
    Process process = new Process(life);
    processes.add(process);
    now.set(process);
    try {
      process.start();
    } catch (MortalCalls.Killed _) {
      process.calls.kill();
    }
    return process;
  }

  /** Kills the process that lives, and does something before another is started. */
  private Process follow(Runnable between) throws Exception {
    Process last = Objects.requireNonNull(now.get());
    last.calls.kill();
    last.bury();
    between.run();
    return start(LONG);
  }

  /** A connection that a process had accepted and not yet kept is lost with it. */
  private Client connect() {
    long begin = System.nanoTime();
    while (true) {
      try {
        return Client.connect(socket());
      } catch (ConnectionException | SystemCallException lost) {
        if (System.nanoTime() - begin > 10_000_000_000L) {
          throw lost;
        }
        Thread.onSpinWait();
      }
    }
  }

  private static void dma(Client client, long from, long to, long count, int command) {
    client.write64(0, 0x80, from);
    client.write64(0, 0x88, to);
    client.write64(0, 0x90, count);
    client.write64(0, 0x98, command);
  }

  private static void finished(Client client) {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while ((client.read64(0, 0x98) & 1) != 0) {
      assertThat(System.nanoTime()).as("DMA runs").isLessThan(deadline);
    }
  }

  private static void interrupted(Client client, EventFd by, int bit) throws Exception {
    do {
      // One that was signalled by a process that died before it could say so comes once more.
      assertThat(by.await(PATIENCE)).as("interrupt").isPositive();
    } while (client.read32(0, 0x24) != bit);
    client.write32(0, 0x64, bit);
    assertThat(client.read32(0, 0x24)).isZero();
  }

  private void scenario(IntConsumer step) throws Exception {
    try (Arena arena = Arena.ofShared();
        Descriptor ram = Memfd.sealed(SystemCalls.libc(), "ram", RAM);
        Descriptor loose = Memfd.create(SystemCalls.libc(), "loose", RAM);
        MappedMemory bytes = MappedMemory.ofFile(ram, 0, RAM, READ_WRITE);
        EventFd msi = EventFd.create(SystemCalls.libc());
        EventFd pin = EventFd.create(SystemCalls.libc());
        Client client = connect()) {
      MemorySegment own = arena.allocate(0x1000);
      client.info();
      client.map(0, RAM, READ_WRITE, ram, 0);
      client.map(0x20_0000, 0x1000, DmaMap.READ, loose, 0x1000);
      client.map(OWN, own, READ_WRITE);
      client.setIrqs(SetIrqs.of(TRIGGER, Pci.MSI, 0, 1), msi);
      client.write(Pci.CONFIG, 4, MemorySegment.ofArray(new byte[] {6, 0}), 0, 2);
      step.accept(1);
      client.write32(0, 4, 0x12345678);
      assertThat(client.read32(0, 4)).isEqualTo(~0x12345678);
      client.post(0, 4, MemorySegment.ofArray(new int[] {7}), 0, 4);
      assertThat(client.read32(0, 4)).isEqualTo(~7);
      client.write32(0, 0x20, 0x80);
      client.write32(0, 8, 10);
      interrupted(client, msi, 1);
      assertThat(client.read32(0, 8)).isEqualTo(3628800);
      step.accept(2);
      shouldMove(client, bytes.segment(), own, msi);
      step.accept(3);
      client.writeMulti(
          List.of(
              new RegionWriteMulti.Write(4, 0, 4, 9), new RegionWriteMulti.Write(0x80, 0, 8, 11)));
      assertThat(client.read32(0, 4)).isEqualTo(~9);
      assertThat(client.read64(0, 0x80)).isEqualTo(11);
      shouldPull(client, pin);
      client.reset();
      assertThat(client.read32(0, 4)).isZero();
      assertThat(client.read32(Pci.CONFIG, 4) & 6).isZero();
      client.unmapAll();
    }
  }

  /** From a file to the client's own memory and back to another place of the file. */
  private static void shouldMove(Client client, MemorySegment ram, MemorySegment own, EventFd msi)
      throws Exception {
    for (int n = 0; n < 4096; n++) {
      ram.set(ValueLayout.JAVA_BYTE, 0x5000 + n, (byte) (n * 7));
    }
    dma(client, 0x5000, Edu.BUFFER, 4096, 1);
    finished(client);
    dma(client, Edu.BUFFER, OWN, 4096, 7);
    interrupted(client, msi, 0x100);
    assertThat(own.mismatch(ram.asSlice(0x5000, 4096))).isEqualTo(-1);
    own.fill((byte) 0x5a);
    dma(client, OWN, Edu.BUFFER, 100, 5);
    interrupted(client, msi, 0x100);
    client.unmap(0, RAM);
    // Nothing is there any more: it faults, and ends as ever.
    dma(client, Edu.BUFFER, 0x7000, 200, 7);
    interrupted(client, msi, 0x100);
    assertThat(ram.get(ValueLayout.JAVA_BYTE, 0x7000)).isZero();
    try (Descriptor again = Memfd.sealed(SystemCalls.libc(), "again", RAM);
        MappedMemory others = MappedMemory.ofFile(again, 0, RAM, READ_WRITE)) {
      client.map(0, RAM, READ_WRITE, again, 0);
      dma(client, Edu.BUFFER, 0x7000, 200, 7);
      interrupted(client, msi, 0x100);
      assertThat(others.segment().get(ValueLayout.JAVA_BYTE, 0x7063)).isEqualTo((byte) 0x5a);
      assertThat(others.segment().get(ValueLayout.JAVA_BYTE, 0x7064)).isEqualTo((byte) (100 * 7));
    }
  }

  /** The pin holds until the last bit is acknowledged, and the mask is the client's. */
  private static void shouldPull(Client client, EventFd pin) throws Exception {
    client.setIrqs(SetIrqs.of(SetIrqs.TRIGGER | SetIrqs.DATA_NONE, Pci.MSI, 0, 0));
    client.setIrqs(SetIrqs.of(TRIGGER, Pci.INTX, 0, 1), pin);
    client.write32(0, 0x60, 6);
    assertThat(pin.await(PATIENCE)).as("the pin").isPositive();
    assertThat(client.read32(Pci.CONFIG, 4) >> 16 & 8).as("status of the pin").isEqualTo(8);
    client.write32(0, 0x64, 2);
    SetIrqs unmask = SetIrqs.of(SetIrqs.UNMASK | SetIrqs.DATA_NONE, Pci.INTX, 0, 1);
    client.setIrqs(unmask);
    assertThat(pin.await(PATIENCE)).as("the pin, still").isPositive();
    client.setIrqs(SetIrqs.of(SetIrqs.MASK | SetIrqs.DATA_NONE, Pci.INTX, 0, 1));
    client.write32(0, 0x64, 4);
    pin.take();
    client.write32(0, 0x60, 1);
    client.info();
    assertThat(pin.take()).as("masked").isZero();
    client.setIrqs(unmask);
    assertThat(pin.await(PATIENCE)).as("unmasked").isPositive();
    client.write32(0, 0x64, 1);
  }

  /** Buries the process when it dies, and starts another, until the last lives on. */
  private Thread undertaker(List<Long> lives) {
    Process first = start(lives.getFirst());
    return Thread.ofPlatform()
        .start(
            () -> {
              try {
                Process process = first;
                for (long life : lives.subList(1, lives.size())) {
                  process.bury();
                  process = start(life);
                }
              } catch (Exception e) {
                throw new IllegalStateException(e);
              }
            });
  }

  private void run(List<Long> lives) throws Exception {
    Thread undertaker = undertaker(lives);
    boolean done = false;
    try {
      scenario(step -> {});
      done = true;
    } finally {
      if (!done) {
        undertaker.interrupt();
        Objects.requireNonNull(now.get()).calls.kill();
      }
    }
    while (undertaker.isAlive()) {
      // Those that were to die during what is over.
      processes
          .subList(0, Math.min(processes.size(), lives.size() - 1))
          .forEach(p -> p.calls.kill());
      undertaker.join(10);
    }
    Objects.requireNonNull(now.get()).close();
  }

  /** How many calls the scenario takes. */
  @Test
  void shouldServeWithoutDying() throws Exception {
    run(List.of(LONG));
    System.out.println("calls: " + (LONG - Objects.requireNonNull(now.get()).calls.left()));
  }

  @Timeout(20)
  @ParameterizedTest
  @MethodSource("lives")
  void shouldGoOnWhereverItIsKilled(long life) throws Exception {
    run(List.of(life, LONG));
  }

  static LongStream lives() {
    long step = Long.getLong("vfio4j.deaths.step", 19);
    long first = Long.getLong("vfio4j.deaths.first", 1);
    return LongStream.iterate(first, n -> n < 640, n -> n + step);
  }

  /** Three times in a row, wherever: also while it takes over. */
  @Timeout(120)
  @Test
  void shouldGoOnHoweverOftenItIsKilled() throws Exception {
    long seed = Long.getLong("vfio4j.seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    for (int n = 0; n < Integer.getInteger("vfio4j.deaths.rounds", 10); n++) {
      List<Long> lives = new ArrayList<>();
      for (int deaths = 0; deaths < 3; deaths++) {
        lives.add((long) random.nextInt(deaths == 0 ? 600 : 250));
      }
      lives.add(LONG);
      run(lives);
      processes.forEach(process -> process.calls.unmap());
      processes.clear();
    }
  }

  @Timeout(20)
  @Test
  void shouldDisconnectTheClientWhoseMemoryIsLost() throws Exception {
    start(LONG);
    try (Descriptor ram = Memfd.sealed(SystemCalls.libc(), "ram", RAM);
        Client client = connect()) {
      client.map(0, RAM, READ_WRITE, ram, 0);
      Process last = follow(() -> store.lose("f1.0.1"));
      assertThatExceptionOfType(ConnectionException.class).isThrownBy(client::info);
      try (Client next = connect()) {
        assertThat(next.read32(0, 0)).isEqualTo(0x010000ed);
      }
      last.close();
    }
  }

  @Timeout(20)
  @Test
  void shouldGiveBackWhatAClientHadThatHasGone() throws Exception {
    start(LONG);
    Client gone = connect();
    gone.write32(0, 4, 1);
    Process last =
        follow(
            () -> {
              gone.close();
              store.lose("s1.0.1");
            });
    try (Client next = connect()) {
      assertThat(next.read32(0, 4)).isZero();
    }
    last.close();
  }

  @Timeout(20)
  @Test
  void shouldTouchNothingThatALaterVersionHasLeft() throws Exception {
    start(LONG);
    try (Client client = connect()) {
      client.write32(0, 4, 1);
      Process killed = Objects.requireNonNull(now.get());
      killed.calls.kill();
      killed.bury();
      store.write("j1.0", 8, 2);
      Process later = new Process(LONG);
      assertThatExceptionOfType(IllegalStateException.class)
          .isThrownBy(later::start)
          .withMessageContaining("a later version");
      later.calls.kill();
      later.bury();
      assertThat(store.kept()).containsKeys("j1.0", "s1.0.1");
      store.write("j1.0", 8, 1);
      Process last = start(LONG);
      assertThat(client.read32(0, 4)).isEqualTo(~1);
      last.close();
    }
  }
}
