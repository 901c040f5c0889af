// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.user.HostileClient.Manner;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.Capabilities;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.RegionAccess;
import org.vfio4j.user.wire.RegionWrite;
import org.vfio4j.user.wire.Version;

/**
 * A conversation with a server, as bytes say it: any bytes are one, and most of its messages have a
 * header that the server accepts, because the header is made here and the bytes are the payload. So
 * that a conversation is always answered alike, whatever changes under the server (memory that
 * shrinks, how its own commands are answered) changes between two messages.
 *
 * <pre>
 *  greeting  1 byte  {@link #AGREED}, {@link #SMALL}, {@link #SILENT}; else a VERSION: its
 *                    length (2 bytes) and payload
 *  step      1 byte  bits 0-4 what to do: from 1 to 18 it is the command to send,
 *                    bit 5 no reply is wanted, bit 6 stretched, bit 7 with descriptors
 *     with descriptors: 1 byte: bits 0-2 the first, 3-5 the others, 6-7 how many
 *     message:   its length (1 byte) and payload; if stretched, 2 bytes: so many zeros more
 * </pre>
 */
final class HostileConversation {
  /** Greetings: what is agreed to; the same with 64 bytes of data at most; none at all. */
  static final int AGREED = 0;

  static final int SMALL = 1;
  static final int SILENT = 2;

  /** Steps that are no command: the message before once more. */
  static final int AGAIN = 0;

  /** A header of any kind (16 bytes), after which the client leaves. */
  static final int RAW = 19;

  /** A copy by the device: from and to (pages, 2 bytes each), count / 16 (2 bytes). */
  static final int COPY = 20;

  /** The memory that can shrink has so many pages (1 byte). */
  static final int TRUNCATE = 21;

  /** How the server's commands are answered from now on (1 byte). */
  static final int MANNER = 22;

  /** The next message comes in two parts (1 byte: where it is cut). */
  static final int PARTS = 23;

  /** A message of any command (2 bytes), then as others. */
  static final int ANY = 24;

  /** A reply that nobody asked for: of any command (1 byte), then as others. */
  static final int REPLY = 25;

  static final int NO_REPLY = 1 << 5;
  static final int STRETCHED = 1 << 6;
  static final int DESCRIPTORS = 1 << 7;

  /** How many descriptors there are, by bits 6 and 7. The last is one more than is taken. */
  private static final int[] MANY = {1, 2, 3, Negotiated.MAX_DESCRIPTORS + 1};

  private static final int MAX_STEPS = 64;

  /** What a socket holds: a client that waits until it may send cannot read what it is sent. */
  private static final int MAX_BYTES = 100 << 10;

  /**
   * A client that takes little data at a time can have the device ask for a MiB in a hundred
   * thousand pieces, which says no more than the first of them.
   */
  private static final Duration LONGEST_COPY = Duration.ofMillis(200);

  private static final Version LITTLE = new Version(0, 0, Capabilities.of(1, 64, 4, 4096, false));

  /** What the numbers are that are left: the commands that do most. */
  private static final int[] MORE = {
    Command.DMA_MAP,
    Command.DMA_UNMAP,
    Command.SET_IRQS,
    Command.REGION_READ,
    Command.REGION_WRITE,
    Command.REGION_WRITE_MULTI
  };

  private static final Manner[] MANNERS = Manner.values();

  private final ByteBuffer in;
  private final HostileVictim victim;
  private final HostileClient client;
  private final MemorySegment out;
  private final List<Descriptor> descriptors;
  private volatile Manner manner = Manner.RIGHT;

  /** Whether the server may be left to wait for an answer. */
  private boolean unheard;

  /** The message that was sent last, but for its payload, which is still in the buffer. */
  private int command;

  private int flags;
  private int payload;
  private List<Descriptor> with = List.of();

  /** Where the next message is cut in two; 0 if it is not. */
  private int cut;

  private int nextId;
  private int bytes;
  private boolean over;

  private HostileConversation(byte[] input, HostileVictim victim, HostileCounts counts) {
    in = ByteBuffer.wrap(input);
    this.victim = victim;
    descriptors = victim.gifts().descriptors();
    client = new HostileClient(victim.path(), counts, () -> manner);
    out = client.out();
  }

  /** Holds it, and waits until the server has done with it. */
  static void hold(byte[] input, HostileVictim victim, HostileCounts counts)
      throws InterruptedException {
    HostileConversation conversation = new HostileConversation(input, victim, counts);
    try (HostileClient _ = conversation.client) {
      conversation.run();
    } catch (SystemCallException _) {
      // The server has ended the connection, as it may.
    }
    victim.awaitLeft();
    victim.gifts().truncate(Integer.MAX_VALUE >> 12);
  }

  private void run() throws InterruptedException {
    greet();
    for (int step = 0; step < MAX_STEPS && in.hasRemaining() && !over; step++) {
      step();
    }
    if (!over) {
      settle();
    }
  }

  /** Until all that was sent is done, also by the device. */
  private void settle() throws InterruptedException {
    client.sendLast();
    client.awaitLast();
    if (!unheard) {
      victim.device().awaitIdle(LONGEST_COPY);
    }
  }

  private int next8() {
    return in.hasRemaining() ? in.get() & 0xff : 0;
  }

  private int next16() {
    return next8() | next8() << 8;
  }

  /** Puts the next so many bytes at a place of the message, fewer if there are not as many. */
  private int nextBytes(int count, long at) {
    int some = Math.min(count, in.remaining());
    MemorySegment.copy(in.array(), in.position(), out, ValueLayout.JAVA_BYTE, at, some);
    in.position(in.position() + some);
    return some;
  }

  private void greet() {
    switch (next8()) {
      case AGREED -> propose(HostileClient.GREETING);
      case SMALL -> propose(LITTLE);
      case SILENT -> {}
      default -> send(Command.VERSION, 0, nextBytes(next16(), Header.SIZE), List.of());
    }
  }

  private void step() throws InterruptedException {
    int what = next8();
    switch (what & 0x1f) {
      case AGAIN -> send();
      case RAW -> raw();
      case COPY -> copy(next16(), next16(), 16L * next16());
      case TRUNCATE -> {
        int pages = next8();
        settle();
        victim.gifts().truncate(pages);
      }
      case MANNER -> {
        Manner next = MANNERS[next8() % MANNERS.length];
        settle();
        manner = next;
        unheard |= !next.heard();
      }
      case PARTS -> cut = 1 + next8();
      case ANY -> message(next16(), what);
      case REPLY -> message(next8(), what & ~NO_REPLY | Header.TYPE_REPLY << 8);
      default -> message(command(what & 0x1f), what);
    }
  }

  private static int command(int step) {
    return step <= REPLY ? step : MORE[step - REPLY - 1];
  }

  private void message(int command, int how) {
    List<Descriptor> attached = List.of();
    if ((how & DESCRIPTORS) != 0) {
      int which = next8();
      Descriptor others = descriptors.get(which >> 3 & 7);
      attached = new ArrayList<>(Collections.nCopies(MANY[which >> 6], others));
      attached.set(0, descriptors.get(which & 7));
    }
    int size = nextBytes(next8(), Header.SIZE);
    if ((how & STRETCHED) != 0) {
      int more = next16();
      out.asSlice(Header.SIZE + size, more).fill((byte) 0);
      size += more;
    }
    send(command, how >> 8 | ((how & NO_REPLY) != 0 ? Header.NO_REPLY : 0), size, attached);
  }

  private void propose(Version version) {
    version.encode(out, Header.SIZE);
    send(Command.VERSION, 0, version.length(), List.of());
  }

  private void send(int command, int flags, int payload, List<Descriptor> with) {
    this.command = command;
    this.flags = flags;
    this.payload = payload;
    this.with = with;
    send();
  }

  /** What is in the buffer, with a header before it. */
  private void send() {
    int size = Header.SIZE + payload;
    bytes += size;
    over |= bytes > MAX_BYTES;
    if (!over) {
      Header.encode(out, 0, nextId++, command, size, flags, 0);
      if (cut > 0 && cut < size) {
        client.sendInParts(cut, size, with, cut % 2 == 1);
      } else {
        client.send(size, with);
      }
      cut = 0;
    }
  }

  /** Whatever comes after it could be part of it. */
  private void raw() {
    int size = nextBytes(Header.SIZE, 0);
    if (size > 0) {
      client.send(size, List.of());
    }
    over = true;
  }

  private void copy(int from, int to, long count) {
    write(ProbeDevice.FROM, (long) from << 12, 8);
    write(ProbeDevice.TO, (long) to << 12, 8);
    write(ProbeDevice.COUNT, count, 8);
    write(ProbeDevice.GO, 1, 4);
  }

  private void write(long register, long value, int count) {
    MemorySegment data = out.asSlice(Header.SIZE + RegionAccess.SIZE, Long.BYTES);
    data.set(ValueLayout.JAVA_LONG, 0, value);
    RegionWrite write = new RegionWrite(register, Pci.BAR0, count);
    write.encode(out, Header.SIZE);
    send(write.command(), 0, write.length() + count, List.of());
  }
}
