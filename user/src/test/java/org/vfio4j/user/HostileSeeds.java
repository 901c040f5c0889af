// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.vfio4j.user.HostileConversation.AGREED;
import static org.vfio4j.user.HostileConversation.ANY;
import static org.vfio4j.user.HostileConversation.COPY;
import static org.vfio4j.user.HostileConversation.DESCRIPTORS;
import static org.vfio4j.user.HostileConversation.MANNER;
import static org.vfio4j.user.HostileConversation.NO_REPLY;
import static org.vfio4j.user.HostileConversation.PARTS;
import static org.vfio4j.user.HostileConversation.RAW;
import static org.vfio4j.user.HostileConversation.REPLY;
import static org.vfio4j.user.HostileConversation.SILENT;
import static org.vfio4j.user.HostileConversation.SMALL;
import static org.vfio4j.user.HostileConversation.STRETCHED;
import static org.vfio4j.user.HostileConversation.TRUNCATE;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.vfio4j.user.HostileClient.Manner;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.DeviceFeature;
import org.vfio4j.user.wire.DeviceInfo;
import org.vfio4j.user.wire.DeviceReset;
import org.vfio4j.user.wire.DmaMap;
import org.vfio4j.user.wire.DmaRead;
import org.vfio4j.user.wire.DmaUnmap;
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

/** The conversations that guided fuzzing begins with: each command as it is meant to be used. */
final class HostileSeeds {
  /** What once was a bug, as files. */
  static final Path KEPT = Path.of("src/test/resources/fuzz/messages");

  /** Numbers of {@link HostileGifts#descriptors}. */
  private static final int SEALED = 0;

  private static final int UNSEALED = 1;
  private static final int SHORT = 2;
  private static final int READ_ONLY = 3;
  private static final int EVENT = 4;
  private static final int FULL = 5;
  private static final int PIPE = 6;

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

  private HostileSeeds(int greeting) {
    add8(greeting);
  }

  /** Each with a name. */
  static Map<String, byte[]> all() throws IOException {
    Map<String, byte[]> all = new LinkedHashMap<>();
    all.put("ask", ask());
    all.put("access", access());
    all.put("interrupts", interrupts());
    all.put("direct", memory(SEALED));
    all.put("checked", memory(UNSEALED));
    all.put("limits", limits());
    all.put("asked", asked());
    all.put("outside", outside());
    all.put("greeting", greeting());
    all.put("raw", new HostileSeeds(SILENT).add8(RAW).add64(0x10_0000_0001L).bytes());
    if (Files.isDirectory(KEPT)) {
      try (Stream<Path> files = Files.list(KEPT)) {
        for (Path file : files.sorted().toList()) {
          all.put(file.getFileName().toString(), Files.readAllBytes(file));
        }
      }
    }
    return all;
  }

  private byte[] bytes() {
    return bytes.toByteArray();
  }

  private HostileSeeds add8(int value) {
    bytes.write(value);
    return this;
  }

  private HostileSeeds add16(int value) {
    return add8(value & 0xff).add8(value >> 8);
  }

  private HostileSeeds add64(long value) {
    for (int i = 0; i < 64; i += 8) {
      add8((int) (value >> i) & 0xff);
    }
    return this;
  }

  private HostileSeeds say(Message message, int... data) {
    return say(0, message, data);
  }

  private HostileSeeds say(int how, Message message, int... data) {
    add8(message.command() | how);
    return payload(message, data);
  }

  /** With descriptors: their kinds, and 0 to 3 for how many. */
  private HostileSeeds sayWith(int first, int others, int many, Message message) {
    add8(message.command() | DESCRIPTORS).add8(first | others << 3 | many << 6);
    return payload(message);
  }

  private HostileSeeds payload(Message message, int... data) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment payload = arena.allocate(message.length() + data.length);
      message.encode(payload, 0);
      for (int i = 0; i < data.length; i++) {
        payload.set(ValueLayout.JAVA_BYTE, message.length() + i, (byte) data[i]);
      }
      add8((int) payload.byteSize());
      bytes.writeBytes(payload.toArray(ValueLayout.JAVA_BYTE));
    }
    return this;
  }

  private HostileSeeds copy(int from, int to, int count) {
    return add8(COPY).add16(from).add16(to).add16(count / 16);
  }

  private static byte[] ask() {
    HostileSeeds seed = new HostileSeeds(AGREED).say(new DeviceInfo(16, 0, 0, 0));
    for (int region : new int[] {0, 1, 2, 7, 8}) {
      seed.say(RegionInfo.of(region, 96)).say(RegionIoFds.of(region, 128));
    }
    for (int index = 0; index < 5; index++) {
      seed.say(new IrqInfo(16, 0, index, 0));
    }
    return seed.say(new DeviceFeature(64, DeviceFeature.GET | 2))
        .say(new MigrationData(Command.MIG_DATA_READ, 64, 8))
        .say(new MigrationData(Command.MIG_DATA_WRITE, 12, 4), 1, 2, 3, 4)
        .say(new DeviceReset())
        .bytes();
  }

  private static byte[] access() {
    return new HostileSeeds(AGREED)
        .say(new RegionWrite(0x1000, Pci.BAR0, 4), 1, 2, 3, 4)
        .say(new RegionRead(0x1000, Pci.BAR0, 4))
        .say(NO_REPLY, new RegionWrite(0x1008, Pci.BAR0, 8), 1, 2, 3, 4, 5, 6, 7, 8)
        .say(new RegionRead(0x2ff8, 1, 8))
        .say(new RegionRead(0xffc, 2, 4))
        .say(new RegionRead(0, Pci.CONFIG, 64))
        .say(new RegionWrite(4, Pci.CONFIG, 2), 6, 0)
        .say(
            new RegionWriteMulti(
                List.of(
                    new RegionWriteMulti.Write(0x1000, Pci.BAR0, 4, 5),
                    new RegionWriteMulti.Write(0x1ff8, 1, 8, -1))))
        .say(new RegionRead(0, Pci.BAR0, ProbeDevice.BAR0_SIZE / 2))
        .add8(PARTS)
        .add8(20)
        .say(STRETCHED, new RegionWrite(0x1000, Pci.BAR0, 4096))
        .add16(4096)
        .bytes();
  }

  private static byte[] interrupts() {
    int connect = SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER;
    int fire = SetIrqs.DATA_NONE | SetIrqs.TRIGGER;
    BitSet two = BitSet.valueOf(new long[] {5});
    return new HostileSeeds(AGREED)
        .sayWith(EVENT, EVENT, 0, SetIrqs.of(connect, Pci.INTX, 0, 1))
        .sayWith(EVENT, FULL, 2, SetIrqs.of(connect, Pci.MSIX, 4, 3))
        .sayWith(EVENT, PIPE, 1, SetIrqs.of(connect, Pci.MSIX, 0, 2))
        .say(SetIrqs.of(fire, Pci.INTX, 0, 1))
        .say(SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.MASK, Pci.INTX, 0, 1))
        .say(SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.UNMASK, Pci.INTX, 0, 1))
        .say(SetIrqs.of(SetIrqs.DATA_BOOL | SetIrqs.TRIGGER, Pci.MSIX, 4, 3, two))
        .say(SetIrqs.of(connect, Pci.MSIX, 4, 1))
        .say(SetIrqs.of(fire, Pci.MSIX, 0, 0))
        .bytes();
  }

  /** A file of the client's: mapped, copied in by the device, cut short, unmapped. */
  private static byte[] memory(int file) {
    int both = DmaMap.READ | DmaMap.WRITE;
    return new HostileSeeds(AGREED)
        .sayWith(file, 0, 0, new DmaMap(both, 0, 0x10_0000, 0x1_0000))
        .sayWith(file, 0, 0, new DmaMap(both, 0x1_0000, 0x20_0000, 0x1_0000))
        .copy(0x100, 0x200, 0x400)
        .sayWith(READ_ONLY, 0, 0, new DmaMap(DmaMap.READ, 0, 0x30_0000, 0x1000))
        .copy(0x300, 0x201, 0x1000)
        .copy(0x200, 0x300, 16)
        .add8(TRUNCATE)
        .add8(2)
        .copy(0x101, 0x200, 0x2000)
        .say(new DmaUnmap(0, 0x10_0000, 0x1_0000))
        .copy(0x100, 0x200, 0x400)
        .say(new DmaUnmap(DmaUnmap.ALL, 0, 0))
        .bytes();
  }

  /** What a mapping is refused for. */
  private static byte[] limits() {
    int both = DmaMap.READ | DmaMap.WRITE;
    HostileSeeds seed =
        new HostileSeeds(SMALL)
            .sayWith(SHORT, 0, 0, new DmaMap(both, 0, 0, 0x2000))
            .sayWith(READ_ONLY, 0, 0, new DmaMap(both, 0, 0, 0x1000))
            .sayWith(PIPE, 0, 0, new DmaMap(both, 0, 0, 0x1000))
            .sayWith(SEALED, SEALED, 1, new DmaMap(both, 0, 0, 0x1000))
            .sayWith(SEALED, 0, 0, new DmaMap(both, 0, -0x1000, 0x2000));
    for (int page = 0; page < 6; page++) {
      seed.sayWith(SEALED, 0, 0, new DmaMap(both, 0, (long) page << 12, 0x1000));
    }
    return seed.sayWith(SEALED, 0, 0, new DmaMap(both, 0, 0x2000, 0x1000))
        .say(new DmaUnmap(DmaUnmap.GET_DIRTY_BITMAP, 0, 0x1000))
        .say(new RegionRead(0, Pci.BAR0, 65))
        .bytes();
  }

  /** Memory without a descriptor, answered in every manner. */
  private static byte[] asked() {
    HostileSeeds seed =
        new HostileSeeds(AGREED)
            .say(new DmaMap(DmaMap.READ | DmaMap.WRITE, 0, 0x10_0000, 0x10_0000))
            .copy(0x100, 0x180, 0x400);
    for (Manner manner : Manner.values()) {
      seed.add8(MANNER).add8(manner.ordinal()).copy(0x101, 0x181, 64);
    }
    return seed.say(new DmaUnmap(0, 0x10_0000, 0x10_0000)).bytes();
  }

  /** What goes the other way, what there is not, and what nobody asked for. */
  private static byte[] outside() {
    HostileSeeds seed = new HostileSeeds(AGREED).say(new DmaRead(0x1000, 16));
    seed.add8(ANY).add16(999).add8(0);
    seed.add8(REPLY).add8(Command.DMA_READ).payload(new DmaRead(0x1000, 16));
    return seed.say(HostileClient.GREETING).say(new DeviceInfo(16, 0, 0, 0)).bytes();
  }

  private static byte[] greeting() {
    int length = HostileClient.GREETING.length();
    byte[] payload = new byte[length];
    HostileClient.GREETING.encode(MemorySegment.ofArray(payload), 0);
    HostileSeeds seed = new HostileSeeds(Header.SIZE).add16(length);
    seed.bytes.writeBytes(payload);
    return seed.say(new DeviceInfo(16, 0, 0, 0)).bytes();
  }
}
