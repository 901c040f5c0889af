// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.user.HostileClient.Manner;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.DeviceFeature;
import org.vfio4j.user.wire.DeviceInfo;
import org.vfio4j.user.wire.DeviceReset;
import org.vfio4j.user.wire.DmaMap;
import org.vfio4j.user.wire.DmaRead;
import org.vfio4j.user.wire.DmaUnmap;
import org.vfio4j.user.wire.DmaWrite;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.IrqInfo;
import org.vfio4j.user.wire.Message;
import org.vfio4j.user.wire.MigrationData;
import org.vfio4j.user.wire.RegionInfo;
import org.vfio4j.user.wire.RegionIoFds;
import org.vfio4j.user.wire.RegionRead;
import org.vfio4j.user.wire.RegionWrite;
import org.vfio4j.user.wire.RegionWriteMulti;
import org.vfio4j.user.wire.SetIrqs;

/** Makes messages that are nearly right. Seldom one after which no next message can be found. */
final class HostileMessages {
  private static final long[] VALUES = {
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    15,
    16,
    31,
    32,
    0xfff,
    0x1000,
    0x1001,
    0x1_0000,
    0x1f_ffff,
    0x20_0000,
    0x7fff_ffff,
    0x8000_0000L,
    0xffff_fffeL,
    0xffff_ffffL,
    0x1_0000_0000L,
    Long.MAX_VALUE,
    Long.MIN_VALUE,
    -0x1000,
    -4,
    -1
  };

  private final Random random;

  HostileMessages(Random random) {
    this.random = random;
  }

  /**
   * Connects, sends up to so many messages, and leaves.
   *
   * @return how many were sent
   */
  static int sendTo(
      Path path, HostileGifts gifts, Random random, HostileCounts counts, int messages)
      throws InterruptedException {
    Random answers = new Random(random.nextLong());
    try (HostileClient client = new HostileClient(path, counts, () -> anyManner(answers))) {
      return new HostileMessages(random).sendTo(client, gifts.descriptors(), messages);
    }
  }

  private static Manner anyManner(Random random) {
    if (random.nextInt(16) == 0) {
      return Manner.NOT_AT_ALL;
    }
    return switch (random.nextInt(8)) {
      case 0 -> Manner.FAILED;
      case 1 -> Manner.OTHER_ID;
      case 2 -> Manner.SHORT;
      case 3 -> Manner.OTHER_COMMAND;
      case 4 -> Manner.OTHER_ADDRESS;
      default -> Manner.RIGHT;
    };
  }

  private int sendTo(HostileClient client, List<Descriptor> descriptors, int messages)
      throws InterruptedException {
    int sent = 0;
    try {
      if (random.nextInt(50) > 0) {
        client.send(0, HostileClient.GREETING);
      }
      while (sent < messages) {
        Made made = next(client.out());
        sent++;
        if (made.fatal()) {
          // Else hundreds that are on the way would be lost with it, before anybody looks at them.
          client.sendLast();
          client.awaitLast();
        }
        sendSomehow(client, made.size(), descriptors);
        if (made.fatal()) {
          return sent;
        }
      }
      client.sendLast();
      if (random.nextInt(4) > 0) {
        client.awaitLast();
      }
    } catch (SystemCallException _) {
      // The server has ended the connection, as it may.
    }
    return sent;
  }

  /** At once or in two parts, alone or with descriptors. */
  private void sendSomehow(HostileClient client, int size, List<Descriptor> descriptors) {
    int command = Header.command(client.out(), 0);
    int some = random.nextInt(20) == 0 ? random.nextInt(UnixSocket.MAX_DESCRIPTORS) : 0;
    if (command == Command.DMA_MAP) {
      some = random.nextInt(3) > 0 ? 1 : some;
    } else if (command == Command.SET_IRQS) {
      some = random.nextInt(2) > 0 ? random.nextInt(4) : some;
    }
    List<Descriptor> with = new ArrayList<>();
    for (int i = 0; i < some; i++) {
      with.add(descriptors.get(random.nextInt(descriptors.size())));
    }
    if (random.nextInt(16) == 0 && size > 1) {
      int first = 1 + random.nextInt(size - 1);
      client.sendInParts(first, size, with, random.nextInt(3) == 0);
    } else {
      client.send(size, with);
    }
  }

  /** What it is and how it was sent. {@code fatal}: the server may end the connection. */
  record Made(int size, boolean fatal) {}

  private long any() {
    return VALUES[random.nextInt(VALUES.length)];
  }

  private int small(int bound) {
    return random.nextInt(10) == 0 ? (int) any() : random.nextInt(bound);
  }

  private long page() {
    return random.nextInt(10) == 0 ? any() : (long) random.nextInt(64) << 12;
  }

  /** A plausible message of any command. */
  private Message base() {
    int count = 1 << random.nextInt(4);
    long register = random.nextInt(4) == 0 ? 0x100 + 8 * random.nextInt(4) : random.nextInt(4096);
    return switch (random.nextInt(20)) {
      case 0 -> HostileClient.GREETING;
      case 1, 2, 3 ->
          new DmaMap(1 + random.nextInt(3), page(), page(), (1L + random.nextInt(8)) << 12);
      case 4, 5 -> new DmaUnmap(random.nextInt(8) == 0 ? DmaUnmap.ALL : 0, page(), page());
      case 6 -> new DeviceInfo(16, 0, 0, 0);
      case 7 -> RegionInfo.of(small(10), 32 + random.nextInt(64));
      case 8 -> RegionIoFds.of(small(10), 16 + random.nextInt(128));
      case 9 -> new IrqInfo(16, 0, small(6), 0);
      case 10, 11 -> irqs();
      case 12, 13 -> new RegionRead(register, small(9), random.nextInt(50) == 0 ? 1 << 18 : count);
      case 14, 15 -> new RegionWrite(register, random.nextInt(3) == 0 ? small(9) : 0, count);
      case 16 ->
          new RegionWriteMulti(
              List.of(
                  new RegionWriteMulti.Write(register, 0, count & 7, any()),
                  new RegionWriteMulti.Write(register, small(9), 4, any())));
      case 17 -> random.nextBoolean() ? new DmaRead(page(), 16) : new DmaWrite(page(), 16);
      case 18 -> new DeviceReset();
      default ->
          random.nextBoolean()
              ? new DeviceFeature(64, DeviceFeature.GET | random.nextInt(10))
              : new MigrationData(
                  Command.MIG_DATA_READ + random.nextInt(2), 64, random.nextInt(64));
    };
  }

  private SetIrqs irqs() {
    int index = small(5);
    int start = index == 2 ? random.nextInt(32) : 0;
    int action = 8 << random.nextInt(3);
    BitSet chosen = new BitSet();
    chosen.set(0, random.nextInt(4));
    int count = random.nextInt(4);
    return switch (random.nextInt(3)) {
      case 0 -> SetIrqs.of(SetIrqs.DATA_NONE | action, index, start, count);
      case 1 -> SetIrqs.of(SetIrqs.DATA_BOOL | action, index, start, count, chosen);
      default -> SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, index, start, count);
    };
  }

  private static int data(Message message) {
    return switch (message) {
      case RegionWrite write -> Math.min(Math.max(write.count(), 0), 64);
      case DmaWrite write -> (int) write.count();
      case MigrationData migration when migration.command() == Command.MIG_DATA_WRITE ->
          migration.size();
      default -> 0;
    };
  }

  /** Writes the next message; there is room for 64 KiB. */
  Made next(MemorySegment to) {
    Message message = base();
    int size = Header.SIZE + message.length() + data(message);
    for (int i = Header.SIZE; i < size; i++) {
      to.set(ValueLayout.JAVA_BYTE, i, (byte) random.nextInt(256));
    }
    message.encode(to, Header.SIZE);
    int flags = random.nextInt(8) == 0 ? Header.NO_REPLY : 0;
    Header.encode(to, 0, random.nextInt(HostileClient.LAST), message.command(), size, flags, 0);
    return switch (random.nextInt(8)) {
      case 0, 1 -> new Made(size, false);
      case 2, 3, 4 -> changeFields(to, size);
      case 5 -> changeBytes(to, size);
      case 6 -> changeLength(to, size);
      default -> random.nextInt(30) == 0 ? changeHeader(to, size) : changeFields(to, size);
    };
  }

  private Made changeFields(MemorySegment to, int size) {
    int fields = (size - Header.SIZE) / 4;
    for (int i = 1 + random.nextInt(2); i > 0 && fields > 0; i--) {
      int at = Header.SIZE + 4 * random.nextInt(fields);
      if (random.nextBoolean() && at + 8 <= size) {
        to.set(ValueLayout.JAVA_LONG_UNALIGNED, at, any());
      } else {
        to.set(ValueLayout.JAVA_INT_UNALIGNED, at, (int) any());
      }
    }
    return new Made(size, false);
  }

  private Made changeBytes(MemorySegment to, int size) {
    for (int i = 1 + random.nextInt(3); i > 0 && size > Header.SIZE; i--) {
      int at = Header.SIZE + random.nextInt(size - Header.SIZE);
      byte old = to.get(ValueLayout.JAVA_BYTE, at);
      to.set(ValueLayout.JAVA_BYTE, at, (byte) (old ^ (1 << random.nextInt(8))));
    }
    return new Made(size, false);
  }

  /** Another length, and the header says so. */
  private Made changeLength(MemorySegment to, int size) {
    int changed =
        switch (random.nextInt(4)) {
          case 0 -> size - 1;
          case 1 -> size + 1;
          case 2 -> Header.SIZE + random.nextInt(48);
          default -> size + random.nextInt(4096);
        };
    changed = Math.max(Header.SIZE, changed);
    int command = random.nextInt(8) == 0 ? random.nextInt(24) : Header.command(to, 0);
    Header.encode(to, 0, Header.id(to, 0), command, changed, Header.flags(to, 0), 0);
    return new Made(changed, false);
  }

  /** A size that cannot be, or a type there is not. */
  private Made changeHeader(MemorySegment to, int size) {
    int said = size;
    int flags = Header.flags(to, 0);
    switch (random.nextInt(3)) {
      case 0 -> said = random.nextInt(Header.SIZE);
      case 1 -> said = (int) any();
      default -> flags |= 1 + random.nextInt(15);
    }
    Header.encode(to, 0, Header.id(to, 0), Header.command(to, 0), said, flags, -1);
    return new Made(size, true);
  }
}
