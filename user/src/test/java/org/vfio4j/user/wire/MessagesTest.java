// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.error.Errno;

/** Layouts against literal bytes, round trips, and the limits of each message. */
class MessagesTest {
  private static final int AT = 3;

  interface Parser {
    Message parse(MemorySegment from, long at, long size);
  }

  private static Arguments of(Message message, Parser parser) {
    return Arguments.of(message, parser);
  }

  static Stream<Arguments> messages() {
    BitSet some = new BitSet();
    some.set(1);
    some.set(4);
    return Stream.of(
        of(new Version(0, 1, Capabilities.NONE), Version::parse),
        of(new Version(0, 1, Capabilities.of(8, 1 << 20, 65535, 4096, true)), Version::parse),
        of(new DmaMap(3, 0x1000, -0x2000, 0x3000), DmaMap::parse),
        of(new DmaUnmap(2, 0x1000, Long.MIN_VALUE), DmaUnmap::parse),
        of(new DeviceInfo(16, 3, 9, 5), DeviceInfo::parse),
        of(RegionInfo.of(7, 32), RegionInfo::parse),
        of(RegionInfo.reply(7, 1, 0x3000, 0x1000, List.of(), false), RegionInfo::parseReply),
        of(RegionInfo.reply(7, 1, 0x3000, 0x1000, areas(2), false), RegionInfo::parseReply),
        of(RegionInfo.reply(7, 1, 0x3000, 0, List.of(), true), RegionInfo::parseReply),
        of(RegionInfo.reply(7, 1, 0x3000, 0, areas(2), true), RegionInfo::parseReply),
        of(RegionIoFds.of(0, 16), RegionIoFds::parse),
        of(RegionIoFds.reply(0, List.of(entry(0), entry(1)), 96), RegionIoFds::parseReply),
        of(RegionIoFds.reply(0, List.of(entry(0), entry(1)), 95), RegionIoFds::parseReply),
        of(new IrqInfo(16, 9, 2, 2048), IrqInfo::parse),
        of(SetIrqs.of(33, 2, 0, 0), SetIrqs::parse),
        of(SetIrqs.of(36, 2, 1, 5), SetIrqs::parse),
        of(SetIrqs.of(34, 2, 1, 5, some), SetIrqs::parse),
        of(new RegionRead(-1, 8, -1), RegionRead::parse),
        of(new RegionWrite(Long.MAX_VALUE, 8, 0), RegionWrite::parse),
        of(
            new RegionWriteMulti(
                List.of(
                    new RegionWriteMulti.Write(1, 2, 8, -1),
                    new RegionWriteMulti.Write(3, 4, 0, 5))),
            RegionWriteMulti::parse),
        of(new DmaRead(-1, Long.MAX_VALUE), DmaRead::parse),
        of(new DmaWrite(0x1000, 0), DmaWrite::parse),
        of(new DeviceReset(), DeviceReset::parse),
        of(new DeviceFeature(64, DeviceFeature.GET | 1), DeviceFeature::parse),
        of(
            new MigrationData(Command.MIG_DATA_READ, 64, 32),
            (from, at, size) -> MigrationData.parse(Command.MIG_DATA_READ, from, at, size)));
  }

  private static List<RegionInfo.Area> areas(int count) {
    return Collections.nCopies(count, new RegionInfo.Area(0x1000, 0x2000));
  }

  private static RegionIoFds.Entry entry(int index) {
    return new RegionIoFds.Entry(0x100, 4, index, RegionIoFds.IOEVENTFD, 1, 77);
  }

  @ParameterizedTest
  @MethodSource("messages")
  void shouldBeTheSameAfterTheWire(Message message, Parser parser) {
    try (Arena arena = Arena.ofConfined()) {
      // No byte before or behind is touched; nothing is aligned.
      MemorySegment bytes = arena.allocate(AT + message.length() + 1L).fill((byte) 0x55);
      message.encode(bytes, AT);
      assertThat(bytes.get(ValueLayout.JAVA_BYTE, AT - 1)).isEqualTo((byte) 0x55);
      assertThat(bytes.get(ValueLayout.JAVA_BYTE, AT + message.length())).isEqualTo((byte) 0x55);
      assertThat(parser.parse(bytes, AT, message.length())).isEqualTo(message);
    }
  }

  /** Whether the payload has a part that may be absent as a whole. */
  private static boolean mayEndAt(Message message, int size) {
    return switch (message) {
      case Version _ -> size == Version.SIZE;
      case RegionInfo _ -> size >= RegionInfo.SIZE;
      case RegionIoFds _ -> size == RegionIoFds.SIZE;
      default -> false;
    };
  }

  @ParameterizedTest
  @MethodSource("messages")
  void shouldRefuseEveryShorterPayload(Message message, Parser parser) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(message.length() + 1L);
      message.encode(bytes, 0);
      for (int size = 0; size < message.length(); size++) {
        int shorter = size;
        if (!mayEndAt(message, size)) {
          assertThatThrownBy(() -> parser.parse(bytes, 0, shorter))
              .as("%s cut to %d bytes", message, size)
              .isInstanceOfSatisfying(
                  MessageException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL));
        }
      }
    }
  }

  private static String hex(Message message) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(message.length() + 1L);
      message.encode(bytes, 0);
      byte[] all = bytes.asSlice(0, message.length()).toArray(ValueLayout.JAVA_BYTE);
      return HexFormat.of().formatHex(all);
    }
  }

  /** On a little-endian machine, as all are that this runs on. */
  @Test
  void shouldHaveTheProtocolsLayout() {
    assertThat(hex(new DmaMap(3, 0x1000, 0x2000, 0x3000)))
        .isEqualTo(
            "2000000003000000" + "0010000000000000" + "0020000000000000" + "0030000000000000");
    assertThat(hex(new DmaUnmap(2, 0x2000, 0x3000)))
        .isEqualTo("1800000002000000" + "0020000000000000" + "0030000000000000");
    assertThat(hex(new DeviceInfo(16, 3, 9, 5))).isEqualTo("10000000030000000900000005000000");
    assertThat(hex(RegionInfo.reply(7, 1, 0x3000, 0x1000, areas(1), false)))
        .isEqualTo(
            ("400000000f0000000100000020000000" + "0030000000000000" + "0010000000000000")
                + ("0100010000000000" + "0100000000000000")
                + ("0010000000000000" + "0020000000000000"));
    assertThat(hex(RegionInfo.reply(7, 1, 0x3000, 0, areas(1), true)))
        .isEqualTo(
            ("480000000f0000000100000020000000" + "0030000000000000" + "0000000000000000")
                + "0300010028000000"
                + ("0100010000000000" + "0100000000000000")
                + ("0010000000000000" + "0020000000000000"));
    assertThat(hex(RegionIoFds.reply(2, List.of(entry(1)), 56)))
        .isEqualTo(
            ("38000000000000000200000001000000" + "0001000000000000" + "0400000000000000")
                + ("01000000000000000100000000000000" + "4d00000000000000"));
    assertThat(hex(new IrqInfo(16, 9, 2, 32))).isEqualTo("10000000090000000200000020000000");
    assertThat(hex(SetIrqs.of(36, 2, 3, 4))).isEqualTo("1400000024000000020000000300000004000000");
    assertThat(hex(new RegionRead(0x18, 7, 4))).isEqualTo("18000000000000000700000004000000");
    assertThat(hex(new RegionWriteMulti(List.of(new RegionWriteMulti.Write(1, 2, 8, -2)))))
        .isEqualTo("0100000000000000" + "01000000000000000200000008000000" + "feffffffffffffff");
    assertThat(hex(new DmaRead(0x2000, 64))).isEqualTo("00200000000000004000000000000000");
    assertThat(hex(new DeviceFeature(64, 0x10001))).isEqualTo("4000000001000100");
    assertThat(hex(new Version(0, 1, Capabilities.NONE))).isEqualTo("00000100" + "7b7d00");
  }

  @Test
  void shouldDrawTheHeaderAsItIs() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(Header.SIZE);
      Header header = new Header(0xbeef, 9, 32, Header.TYPE_REPLY | Header.ERROR, 22);
      header.encode(bytes, 0);
      assertThat(HexFormat.of().formatHex(bytes.toArray(ValueLayout.JAVA_BYTE)))
          .isEqualTo("efbe0900" + "20000000" + "21000000" + "16000000");
      assertThat(Header.parse(bytes, 0)).isEqualTo(header);
    }
  }

  /** The names and values that QEMU 11.1 sends. */
  @Test
  void shouldReadWhatQemuProposes() {
    Capabilities qemu =
        Capabilities.parse(
            """
            {"capabilities": {"pgsizes": 4096, "max_msg_fds": 16, "max_dma_maps": 65535,
             "max_data_xfer_size": 1048576, "migration": {"max_bitmap_size": 268435456,
             "pgsize": 4096}, "write_multiple": true}}
            """);
    assertThat(qemu).isEqualTo(Capabilities.of(16, 1048576, 65535, 4096, true));
    Capabilities ours = Capabilities.of(8, 1 << 21, 65535, 0x7ffff000, true);
    assertThat(ours.answerTo(qemu)).isEqualTo(Capabilities.of(8, 1048576, 65535, 4096, true));
    assertThat(ours.answerTo(Capabilities.NONE)).isEqualTo(Capabilities.NONE);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "[]",
        "1",
        "null",
        "{",
        "{}x",
        "{} {}",
        "{\"capabilities\":1}",
        "{\"capabilities\":null}",
        "{\"capabilities\":{\"max_msg_fds\":-1}}",
        "{\"capabilities\":{\"max_msg_fds\":1.5}}",
        "{\"capabilities\":{\"max_msg_fds\":\"8\"}}",
        "{\"capabilities\":{\"max_msg_fds\":9223372036854775808}}",
        "{\"capabilities\":{\"write_multiple\":1}}",
        "{\"capabilities\":{\"a\":1,\"a\":2}}",
        "{\"a\":[[[[[[[[[[[[1]]]]]]]]]]]]}",
      })
  void shouldRefuseOtherVersionData(String json) {
    assertThatThrownBy(() -> Capabilities.parse(json)).isInstanceOf(MessageException.class);
  }

  @Test
  void shouldSkipNamesItDoesNotKnow() {
    String json = "{\"a\":[1,{\"b\":2}],\"capabilities\":{\"twin_socket\":{\"supported\":true}}}";
    assertThat(Capabilities.parse(json)).isEqualTo(Capabilities.NONE);
  }

  private static void refuses(Message message, Parser parser) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(message.length() + 1L);
      message.encode(bytes, 0);
      assertThatThrownBy(() -> parser.parse(bytes, 0, message.length()))
          .as("%s", message)
          .isInstanceOf(MessageException.class);
    }
  }

  @Test
  void shouldRefuseFieldsBeyondTheirLimits() {
    refuses(new DmaMap(31, 3, 0, 0, 4096), DmaMap::parse);
    refuses(new DmaMap(4, 0, 0, 4096), DmaMap::parse);
    refuses(new DmaUnmap(23, 0, 0, 4096), DmaUnmap::parse);
    refuses(new DmaUnmap(4, 0, 4096), DmaUnmap::parse);
    refuses(new DeviceInfo(15, 0, 0, 0), DeviceInfo::parse);
    refuses(RegionInfo.of(0, 31), RegionInfo::parse);
    refuses(RegionIoFds.of(0, 15), RegionIoFds::parse);
    refuses(new RegionIoFds(16, 1, 0, 0, List.of()), RegionIoFds::parse);
    refuses(new IrqInfo(15, 0, 0, 0), IrqInfo::parse);
    for (int flags : new int[] {0, 1, 32, 33 | 2, 33 | 8, 33 | 64}) {
      refuses(SetIrqs.of(flags, 0, 0, 1), SetIrqs::parse);
    }
    refuses(new SetIrqs(24, 34, 0, 0, 5, new BitSet()), SetIrqs::parse);
    refuses(new RegionWrite(0, 0, 1), RegionWrite::parse);
    refuses(new RegionWrite(0, 0, -1), RegionWrite::parse);
    refuses(
        new RegionWriteMulti(List.of(new RegionWriteMulti.Write(0, 0, 9, 0))),
        RegionWriteMulti::parse);
    refuses(new DmaWrite(0, 1), DmaWrite::parse);
    refuses(new DmaWrite(0, -1), DmaWrite::parse);
    int get = DeviceFeature.GET;
    int set = DeviceFeature.SET;
    for (int flags : new int[] {0, 1, get | set, 1 << 19 | get}) {
      refuses(new DeviceFeature(8, flags), DeviceFeature::parse);
    }
  }

  @Test
  void shouldRefuseCapabilitiesThatGoInCirclesOrLeaveTheReply() {
    try (Arena arena = Arena.ofConfined()) {
      RegionInfo info = RegionInfo.reply(7, 1, 0x3000, 0, areas(1), false);
      MemorySegment bytes = arena.allocate(info.length());
      for (int next : new int[] {32, 31, 57, 64, -1}) {
        info.encode(bytes, 0);
        bytes.set(ValueLayout.JAVA_INT, 36, next);
        assertThatThrownBy(() -> RegionInfo.parseReply(bytes, 0, info.length()))
            .as("next=%d", next)
            .isInstanceOf(MessageException.class);
      }
      for (int count : new int[] {2, -1, Integer.MAX_VALUE}) {
        info.encode(bytes, 0);
        bytes.set(ValueLayout.JAVA_INT, 40, count);
        assertThatThrownBy(() -> RegionInfo.parseReply(bytes, 0, info.length()))
            .as("areas=%d", count)
            .isInstanceOf(MessageException.class);
      }
    }
  }
}
