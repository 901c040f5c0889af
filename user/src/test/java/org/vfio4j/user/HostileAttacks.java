// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.vfio4j.posix.testing.OpenDescriptors.number;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.posix.Uses;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.SetIrqs;
import org.vfio4j.user.wire.Version;

/** What a hostile client does in one connection, each a known way to hold or exhaust a server. */
final class HostileAttacks {
  private static final SystemCalls CALLS = SystemCalls.libc();
  private static final long TIB = 1L << 40;
  private static final long GIB = 1L << 30;
  private static final int PAGE = 4096;
  private static final int BOTH = 3;
  private static final int NEAR = 50;

  private final Path path;
  private final HostileGifts gifts;
  private final Left left;
  private final Random random;
  private final HostileCounts counts = new HostileCounts();
  private final TreeMap<String, Integer> done = new TreeMap<>();

  /** Waits until the server has done with a client that has left; or does not, and goes on. */
  interface Left {
    void await() throws InterruptedException;
  }

  /**
   * Attacks on whoever listens at a path.
   *
   * @param gifts what is handed over
   * @param left called when a client has left
   */
  HostileAttacks(Path path, HostileGifts gifts, Left left, long seed) {
    this.path = path;
    this.gifts = gifts;
    this.left = left;
    random = new Random(seed);
  }

  /** One connection, and what it does. */
  void attack() throws Exception {
    switch (random.nextInt(6)) {
      case 0 -> sparseFile();
      case 1 -> blockingEventFd();
      case 2 -> shrinkingFile();
      case 3 -> halfMessage();
      case 4 -> foreignDescriptors();
      default -> {
        count("messages at random");
        HostileMessages.sendTo(path, gifts, random, counts, 20);
      }
    }
    gifts.check();
  }

  private void count(String what) {
    done.merge(what, 1, Integer::sum);
  }

  /** Address space and mappings: 4 KiB at a time of 60 TiB of holes. */
  private void sparseFile() throws Exception {
    count("60 TiB of holes");
    try (Client client = Client.connect(path);
        Descriptor sealed = Memfd.sealed(CALLS, "holes", 60 * TIB);
        Descriptor unsealed = Memfd.create(CALLS, "more holes", 60 * TIB)) {
      for (int n = 0; n < 40; n++) {
        Descriptor file = random.nextBoolean() ? sealed : unsealed;
        long offset = random.nextLong(60 * 1024) * GIB;
        refusable(() -> client.map(PAGE * random.nextLong(1 << 20), PAGE, BOTH, file, offset));
      }
      refusable(() -> client.map(0, 50 * TIB, BOTH, sealed, 0));
    }
    left.await();
  }

  private static void refusable(Runnable command) {
    try {
      command.run();
    } catch (ErrorReplyException _) {
      // That is what a server may do.
    }
  }

  /** Who signals: a counter that another thread keeps at its limit, of an eventfd that blocks. */
  private void blockingEventFd() throws Exception {
    count("an eventfd that blocks");
    int fd = SystemCallException.check(CALLS.eventfd(0, Constants.EFD_CLOEXEC), "eventfd");
    try (EventFd eventFd = EventFd.of(new Descriptor(CALLS, fd, "blocks"));
        Client client = Client.connect(path)) {
      write(fd, -2L - NEAR);
      client.setIrqs(SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, Pci.MSIX, 0, 1), eventFd);
      Thread filling =
          Thread.ofPlatform()
              .daemon()
              .start(
                  () -> {
                    for (int n = 0; n < 2 * NEAR; n++) {
                      write(fd, 1);
                    }
                  });
      for (int n = 0; n < 2 * NEAR; n++) {
        client.setIrqs(SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.TRIGGER, Pci.MSIX, 0, 1));
      }
      while (filling.isAlive()) {
        // Not a read at once: with nothing to take it would wait, for the eventfd blocks.
        eventFd.await(Duration.ofMillis(1));
      }
    }
    left.await();
  }

  private static void write(int fd, long value) {
    try (Arena arena = Arena.ofConfined()) {
      CALLS.write(fd, arena.allocateFrom(ValueLayout.JAVA_LONG, value), Long.BYTES);
    }
  }

  /** Memory that goes while a device copies from it. */
  private void shrinkingFile() throws Exception {
    count("a file that shrinks");
    int bytes = 64 * PAGE;
    try (Client client = Client.connect(path);
        Descriptor file = Memfd.create(CALLS, "shrinks", bytes)) {
      client.map(0, bytes, BOTH, file, 0);
      client.write64(Pci.BAR0, ProbeDevice.FROM, 0);
      client.write64(Pci.BAR0, ProbeDevice.TO, bytes / 2);
      client.write64(Pci.BAR0, ProbeDevice.COUNT, bytes / 2);
      for (int n = 0; n < 10; n++) {
        client.write32(Pci.BAR0, ProbeDevice.GO, 1);
        CALLS.ftruncate(number(file), (long) PAGE * random.nextInt(64));
        CALLS.ftruncate(number(file), bytes);
      }
    }
    left.await();
  }

  /** A part of a message, with a descriptor beside it, and no more. */
  private void halfMessage() throws Exception {
    count("half a message");
    try (Arena arena = Arena.ofConfined();
        UnixSocket socket = UnixSocket.connect(CALLS, path)) {
      MemorySegment out = arena.allocate(256, 8);
      Version version = new Version(0, 1, Negotiated.OURS);
      int size = Header.SIZE + version.length();
      Header.encode(out, 0, 1, Command.VERSION, size, 0, 0);
      version.encode(out, Header.SIZE);
      if (random.nextBoolean()) {
        socket.send(out, 0, size);
        Header.encode(out, 0, 2, Command.DMA_MAP, Header.SIZE + 32, 0, 0);
        size = Header.SIZE + 32;
      }
      try (Uses one = Uses.of(someDescriptors(1))) {
        socket.send(out, 0, 1 + random.nextInt(size - 1), one);
      }
    } catch (SystemCallException _) {
      // The server may have ended it already.
    }
    left.await();
  }

  /** Descriptors of all kinds, as many as go with a message, to whoever will take them. */
  private void foreignDescriptors() throws Exception {
    count("descriptors of all kinds");
    try (Arena arena = Arena.ofConfined();
        UnixSocket socket = UnixSocket.connect(CALLS, path)) {
      MemorySegment out = arena.allocate(256, 8);
      Version version = new Version(0, 1, Negotiated.OURS);
      int size = Header.SIZE + version.length();
      Header.encode(out, 0, 1, Command.VERSION, size, 0, 0);
      version.encode(out, Header.SIZE);
      try (Uses many = Uses.of(someDescriptors(UnixSocket.MAX_DESCRIPTORS))) {
        socket.send(out, 0, size, many);
        for (int n = 0; n < 5; n++) {
          Header.encode(out, 0, n, Command.RESET, Header.SIZE, 0, 0);
          socket.send(out, 0, Header.SIZE, many);
        }
      }
    } catch (SystemCallException _) {
      // The server may have ended it already.
    }
    left.await();
  }

  private List<Descriptor> someDescriptors(int count) {
    List<Descriptor> all = gifts.descriptors();
    List<Descriptor> some = new ArrayList<>();
    for (int n = 0; n < count; n++) {
      some.add(all.get(random.nextInt(all.size())));
    }
    return some;
  }

  /** How often it did what. */
  String report() {
    return done.toString();
  }
}
