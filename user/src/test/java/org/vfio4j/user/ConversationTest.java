// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.Capabilities;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.DeviceInfo;
import org.vfio4j.user.wire.DeviceReset;
import org.vfio4j.user.wire.DmaAccess;
import org.vfio4j.user.wire.DmaMap;
import org.vfio4j.user.wire.DmaRead;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.Message;
import org.vfio4j.user.wire.RegionAccess;
import org.vfio4j.user.wire.RegionRead;
import org.vfio4j.user.wire.RegionWrite;
import org.vfio4j.user.wire.Version;

/** What goes over the socket, message for message: what a well-behaved client does not show. */
class ConversationTest extends LeakCheck {
  private static final Version VERSION =
      new Version(0, 0, Capabilities.of(16, 1 << 20, 65535, 4096, true));
  private static final long FROM = 0x10_0000;
  private static final long TO = 0x20_0000;

  private final MemorySegment out = arena.allocate(1 << 16);

  private interface Body {
    void run(UnixSocket socket, MessageReader in, ProbeDevice device) throws Exception;
  }

  private void conversation(Body body) throws Exception {
    Path path = folder.resolve("s");
    try (ProbeDevice device = new ProbeDevice();
        Server _ = Server.at(path).start(device);
        UnixSocket socket = UnixSocket.connect(SystemCalls.libc(), path);
        MessageReader in = new MessageReader(socket, Negotiated.CAPACITY, Negotiated.CAPACITY)) {
      body.run(socket, in, device);
      assertThat(device.violation.get()).isEmpty();
    }
  }

  private void send(UnixSocket socket, int id, int flags, Message message, long... data) {
    int size = Header.SIZE + message.length() + 8 * data.length;
    message.encode(out, Header.SIZE);
    for (int i = 0; i < data.length; i++) {
      out.set(ValueLayout.JAVA_LONG_UNALIGNED, Header.SIZE + message.length() + 8L * i, data[i]);
    }
    Header.encode(out, 0, id, message.command(), size, flags, 0);
    socket.send(out, 0, size);
  }

  private static void expect(MessageReader in, Header header) {
    assertThat(in.next()).isTrue();
    assertThat(Header.parse(in.buffer(), in.at())).isEqualTo(header);
  }

  private static void expectReply(MessageReader in, int id, int command, int payload) {
    expect(in, new Header(id, command, Header.SIZE + payload, Header.TYPE_REPLY, 0));
  }

  private static void expectError(MessageReader in, int id, int command, int errno) {
    int flags = Header.TYPE_REPLY | Header.ERROR;
    expect(in, new Header(id, command, Header.SIZE, flags, errno));
  }

  private void begin(UnixSocket socket, MessageReader in) {
    send(socket, 0, 0, VERSION);
    expectReply(in, 0, Command.VERSION, VERSION.length());
    assertThat(Version.parse(in.buffer(), in.at() + Header.SIZE, VERSION.length()))
        .isEqualTo(VERSION);
  }

  @Test
  void shouldEchoIdAndCommandAndSendErrorsWithoutPayload() throws Exception {
    conversation(
        (socket, in, _) -> {
          begin(socket, in);
          send(socket, 0xffff, 0, new DeviceInfo(16, 0, 0, 0));
          expectReply(in, 0xffff, Command.GET_INFO, 16);
          send(socket, 7, 0, new RegionRead(0, 99, 4));
          expectError(in, 7, Command.REGION_READ, 22);
          send(socket, 7, 0, VERSION);
          expectError(in, 7, Command.VERSION, 22);
          send(socket, 8, 0, new DmaRead(0, 8));
          expectError(in, 8, Command.DMA_READ, 22);
          Header.encode(out, 0, 9, 14, Header.SIZE, 0, 0);
          socket.send(out, 0, Header.SIZE);
          expectError(in, 9, 14, 22);
        });
  }

  @Test
  void shouldAnswerNothingThatWantsNoReply() throws Exception {
    conversation(
        (socket, in, device) -> {
          begin(socket, in);
          send(socket, 1, Header.NO_REPLY, new RegionWrite(0x1000, Pci.BAR0, 8), 42);
          send(socket, 2, Header.NO_REPLY, new RegionWrite(0x1000, 99, 8), 43);
          send(socket, 3, Header.NO_REPLY, new DeviceInfo(0, 0, 0, 0));
          send(socket, 4, 0, new RegionRead(0x1000, Pci.BAR0, 8));
          expectReply(in, 4, Command.REGION_READ, 24);
          int data = in.at() + Header.SIZE + RegionAccess.DATA;
          assertThat(in.buffer().get(ValueLayout.JAVA_LONG_UNALIGNED, data)).isEqualTo(42);
          send(socket, 5, Header.NO_REPLY, new DeviceReset());
          send(socket, 6, 0, new DeviceInfo(16, 0, 0, 0));
          expectReply(in, 6, Command.GET_INFO, 16);
          assertThat(device.resets.get()).isEqualTo(1);
        });
  }

  private static void expectEnd(MessageReader in) {
    try {
      assertThat(in.next()).isFalse();
    } catch (SystemCallException | ConnectionException e) {
      // With bytes of ours unread the kernel says so: it has ended all the same.
      assertThat(e).isNotNull();
    }
  }

  @Test
  void shouldEndConnectionsThatDoNotBeginWithAVersion() throws Exception {
    conversation(
        (socket, in, device) -> {
          send(socket, 1, 0, new DeviceInfo(16, 0, 0, 0));
          expectEnd(in);
          assertThat(device.attaches.get()).isZero();
        });
  }

  @Test
  void shouldRefuseAnotherMajorVersionAndEnd() throws Exception {
    conversation(
        (socket, in, device) -> {
          send(socket, 1, 0, new Version(1, 0, Capabilities.NONE));
          expectError(in, 1, Command.VERSION, 22);
          expectEnd(in);
          assertThat(device.attaches.get()).isZero();
        });
  }

  @Test
  void shouldEndConnectionsWithoutANextMessage() throws Exception {
    int longest = Negotiated.CAPACITY;
    for (Header bad :
        List.of(
            new Header(1, Command.GET_INFO, Header.SIZE - 1, 0, 0),
            new Header(1, Command.REGION_WRITE, longest + 1, 0, 0),
            new Header(1, Command.GET_INFO, -1, 0, 0),
            new Header(1, Command.GET_INFO, Header.SIZE, 2, 0))) {
      conversation(
          (socket, in, _) -> {
            begin(socket, in);
            bad.encode(out, 0);
            socket.send(out, 0, Header.SIZE);
            expectEnd(in);
          });
    }
  }

  private void startCopy(UnixSocket socket, MessageReader in) {
    begin(socket, in);
    send(socket, 1, 0, new DmaMap(DmaMap.READ, 0, FROM, 0x1000));
    expectReply(in, 1, Command.DMA_MAP, 0);
    send(socket, 2, 0, new DmaMap(DmaMap.READ | DmaMap.WRITE, 0, TO, 0x1000));
    expectReply(in, 2, Command.DMA_MAP, 0);
    int posted = Header.NO_REPLY;
    send(socket, 3, posted, new RegionWrite(ProbeDevice.FROM, Pci.BAR0, 24), FROM, TO, 8);
    send(socket, 4, posted, new RegionWrite(ProbeDevice.GO, Pci.BAR0, 8), 1);
  }

  private void answer(UnixSocket socket, int id, int command, int flags, int size) {
    Header.encode(out, 0, id, command, size, Header.TYPE_REPLY | flags, flags == 0 ? 0 : 14);
    socket.send(out, 0, size);
  }

  private int expectAccess(MessageReader in, int command, long address) {
    assertThat(in.next()).isTrue();
    assertThat(Header.command(in.buffer(), in.at())).isEqualTo(command);
    assertThat(Header.flags(in.buffer(), in.at())).isEqualTo(Header.TYPE_COMMAND);
    int payload = in.at() + Header.SIZE;
    assertThat(DmaAccess.address(in.buffer(), payload)).isEqualTo(address);
    assertThat(DmaAccess.count(in.buffer(), payload)).isEqualTo(8);
    return Header.id(in.buffer(), in.at());
  }

  private long result(UnixSocket socket, MessageReader in, int id) {
    while (true) {
      send(socket, id, 0, new RegionRead(ProbeDevice.GO, Pci.BAR0, 4));
      expectReply(in, id, Command.REGION_READ, 20);
      int data = in.at() + Header.SIZE + RegionAccess.DATA;
      int value = in.buffer().get(ValueLayout.JAVA_INT_UNALIGNED, data);
      if (value != 0) {
        return value;
      }
      Thread.onSpinWait();
    }
  }

  @Test
  void shouldServeCommandsWhileItWaitsForMemory() throws Exception {
    conversation(
        (socket, in, _) -> {
          startCopy(socket, in);
          int read = expectAccess(in, Command.DMA_READ, FROM);
          for (int i = 0; i < 100; i++) {
            send(socket, 100 + i, 0, new DeviceInfo(16, 0, 0, 0));
            expectReply(in, 100 + i, Command.GET_INFO, 16);
          }
          DmaAccess.encode(out, Header.SIZE, FROM, 8);
          out.set(ValueLayout.JAVA_LONG, Header.SIZE + DmaAccess.DATA, 0x1234);
          answer(socket, read, Command.DMA_READ, 0, Header.SIZE + DmaAccess.SIZE + 8);
          int write = expectAccess(in, Command.DMA_WRITE, TO);
          int data = in.at() + Header.SIZE + DmaAccess.DATA;
          assertThat(in.buffer().get(ValueLayout.JAVA_LONG_UNALIGNED, data)).isEqualTo(0x1234);
          // QEMU answers a write with the header only.
          answer(socket, write, Command.DMA_WRITE, 0, Header.SIZE);
          assertThat(result(socket, in, 5)).isEqualTo(1);
        });
  }

  @Test
  void shouldFailAnAccessThatIsAnsweredWrongly() throws Exception {
    int right = Header.SIZE + DmaAccess.SIZE + 8;
    record Wrong(int command, int flags, int size, long address) {}
    for (Wrong wrong :
        List.of(
            new Wrong(Command.DMA_READ, Header.ERROR, Header.SIZE, FROM),
            new Wrong(Command.DMA_READ, 0, right - 1, FROM),
            new Wrong(Command.DMA_READ, 0, right + 1, FROM),
            new Wrong(Command.DMA_READ, 0, Header.SIZE, FROM),
            new Wrong(Command.DMA_READ, 0, right, TO),
            new Wrong(Command.DMA_WRITE, 0, right, FROM))) {
      conversation(
          (socket, in, _) -> {
            startCopy(socket, in);
            int read = expectAccess(in, Command.DMA_READ, FROM);
            answer(socket, read ^ 1, Command.DMA_READ, 0, right);
            DmaAccess.encode(out, Header.SIZE, wrong.address, 8);
            answer(socket, read, wrong.command, wrong.flags, wrong.size);
            assertThat(result(socket, in, 5)).as("%s", wrong).isEqualTo(2);
          });
    }
  }

  @Test
  void shouldNotWaitForAClientThatLeavesWithoutAnAnswer() throws Exception {
    conversation(
        (socket, in, _) -> {
          startCopy(socket, in);
          expectAccess(in, Command.DMA_READ, FROM);
        });
  }
}
