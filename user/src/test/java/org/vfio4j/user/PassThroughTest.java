// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.UnixSocket.Credentials;
import org.vfio4j.user.device.DeviceSession;
import org.vfio4j.user.device.DmaSource;
import org.vfio4j.user.device.Irq;
import org.vfio4j.user.device.IrqSet;
import org.vfio4j.user.device.Peer;
import org.vfio4j.user.device.Region;
import org.vfio4j.user.device.ServedDevice;
import org.vfio4j.user.wire.SetIrqs;

/**
 * A device that takes the client's commands as they came, as a real one would (review S1): what
 * reaches its session is exactly what the client sent, with the client's own descriptors.
 */
class PassThroughTest extends LeakCheck {
  private static final SystemCalls CALLS = SystemCalls.libc();
  private static final long IOVA = 0x1_0000_0000L;

  /** Writes down all that comes. Signals what it was given, to show that it is the client's. */
  private static final class Recorder implements ServedDevice {
    final List<String> seen = new ArrayList<>();
    final BlockingQueue<Peer> peers = new LinkedBlockingQueue<>();
    boolean admits = true;
    boolean attaches = true;

    @Override
    public DeviceSession attach(Peer peer) {
      if (!attaches) {
        throw new VfioException(Errno.EBUSY, Reason.CONTAINER_STATE, "somebody else has it");
      }
      peers.add(peer);
      return new Session();
    }

    private final class Session implements DeviceSession {
      @Override
      public int flags() {
        return ServedDevice.RESET | ServedDevice.PCI;
      }

      @Override
      public void admit() {
        if (!admits) {
          throw new VfioException(Errno.ENOMEM, Reason.CONTAINER_STATE, "memory is missing");
        }
      }

      @Override
      public List<Region> regions() {
        return List.of(Region.registers(4096));
      }

      @Override
      public List<Irq> irqs() {
        return List.of(
            new Irq(1, Irq.EVENTFD | Irq.MASKABLE | Irq.AUTOMASKED), new Irq(4, Irq.EVENTFD));
      }

      @Override
      public void read(int region, long offset, MemorySegment target, long at, int count) {
        seen.add("read %d 0x%x %d".formatted(region, offset, count));
      }

      @Override
      public void write(int region, long offset, MemorySegment source, long at, int count) {
        seen.add("write %d 0x%x %d".formatted(region, offset, count));
      }

      @Override
      public void dmaMap(long iova, long size, int prot, DmaSource source) {
        String what =
            switch (source) {
              case DmaSource.Messages _ -> "messages";
              case DmaSource.File(Descriptor file, long offset) ->
                  "inode %d at 0x%x".formatted(FileStatus.of(file).inode(), offset);
            };
        seen.add("map 0x%x 0x%x %d %s".formatted(iova, size, prot, what));
      }

      @Override
      public long dmaUnmap(long iova, long size, int flags) {
        seen.add("unmap 0x%x 0x%x %d".formatted(iova, size, flags));
        return size;
      }

      @Override
      public void setIrqs(IrqSet set) {
        String range = "%d %d+%d %s".formatted(set.index(), set.start(), set.count(), set.action());
        switch (set) {
          case IrqSet.Whole _ -> seen.add("irqs " + range);
          case IrqSet.Chosen some -> seen.add("irqs " + range + " " + some.chosen());
          case IrqSet.EventFds given -> {
            seen.add(
                "eventfds "
                    + range
                    + given.eventFds().stream().map(fd -> fd.isPresent() ? " fd" : " -1").toList());
            given.eventFds().forEach(fd -> fd.ifPresent(this::signal));
          }
        }
      }

      private void signal(Descriptor descriptor) {
        try (EventFd eventFd = EventFd.of(descriptor)) {
          eventFd.signal();
        }
      }

      @Override
      public void reset() {
        seen.add("reset");
      }

      @Override
      public void close() {
        seen.add("close");
      }
    }
  }

  @Test
  void shouldHandOnDescriptorsAndRangesAsTheClientSentThem() throws Exception {
    Path path = folder.resolve("s");
    Recorder device = new Recorder();
    long inode;
    try (Server _ = Server.at(path).start(device);
        Descriptor file = Memfd.create(CALLS, "ram", 1 << 20);
        EventFd first = EventFd.create(CALLS);
        EventFd second = EventFd.create(CALLS)) {
      inode = FileStatus.of(file).inode();
      try (Client client = Client.connect(path)) {
        client.map(IOVA, 0x3000, 3, file, 0x5000);
        client.map(0, arena.allocate(0x2000, 4096), 1);
        // Nobody here knows better than the kernel what can be mapped.
        client.map(7, -1, 2, file, Long.MIN_VALUE);
        client.unmap(IOVA, 0x3000);
        client.unmapAll();
        client.setIrqs(SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, 1, 1, 2), first, second);
        client.setIrqs(SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.TRIGGER, 1, 0, 0));
        BitSet chosen = new BitSet();
        chosen.set(2);
        client.setIrqs(SetIrqs.of(SetIrqs.DATA_BOOL | SetIrqs.UNMASK, 1, 1, 3, chosen));
        client.setIrqs(SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.UNMASK, 0, 0, 1), second);
        client.setIrqs(SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, 1, 0, 2));
        client.write32(0, 0x10, 1);
        assertThat(client.read32(0, 0x20)).isZero();
        client.reset();
        assertThat(first.take()).as("signalled through the client's own eventfd").isEqualTo(1);
        assertThat(second.take()).isEqualTo(2);
      }
    }
    assertThat(device.seen)
        .containsExactly(
            "map 0x100000000 0x3000 3 inode %d at 0x5000".formatted(inode),
            "map 0x0 0x2000 1 messages",
            "map 0x7 0xffffffffffffffff 2 inode %d at 0x8000000000000000".formatted(inode),
            "unmap 0x100000000 0x3000 0",
            "unmap 0x0 0x0 2",
            "eventfds 1 1+2 TRIGGER[ fd,  fd]",
            "irqs 1 0+0 TRIGGER",
            "irqs 1 1+3 UNMASK {2}",
            "eventfds 0 0+1 UNMASK[ fd]",
            "eventfds 1 0+2 TRIGGER[ -1,  -1]",
            "write 0 0x10 4",
            "read 0 0x20 4",
            "reset",
            "close");
  }

  @Test
  void shouldLetASessionRefuseAtGetInfo() throws Exception {
    Path path = folder.resolve("s");
    Recorder device = new Recorder();
    device.admits = false;
    try (Server _ = Server.at(path).start(device);
        Client client = Client.connect(path)) {
      Served.refused(Errno.ENOMEM.number(), client::info);
      client.reset();
    }
    assertThat(device.seen).containsExactly("reset", "close");
  }

  @Test
  void shouldAnswerAClientThatADeviceDoesNotTake() {
    Path path = folder.resolve("s");
    Recorder device = new Recorder();
    device.attaches = false;
    try (Server _ = Server.at(path).start(device)) {
      Served.refused(Errno.EBUSY.number(), () -> Client.connect(path).close());
    }
    assertThat(device.seen).isEmpty();
  }

  @Test
  void shouldDisconnectAClientAndSayWhy() throws Exception {
    Path path = folder.resolve("s");
    Recorder device = new Recorder();
    BlockingQueue<String> why = new LinkedBlockingQueue<>();
    Server.Events events =
        new Server.Events() {
          @Override
          public void disconnected(Credentials peer, String reason) {
            why.add(reason);
          }
        };
    try (Server server = Server.at(path).events(events).start(device)) {
      try (Client client = Client.connect(path)) {
        client.reset();
        server.disconnect("the guest was told to go");
        assertThat(why.poll(20, TimeUnit.SECONDS)).isEqualTo("the guest was told to go");
        assertThatThrownBy(client::reset).isInstanceOf(ConnectionException.class);
      }
      try (Client client = Client.connect(path)) {
        client.reset();
        device.peers.take();
        device.peers.take().disconnect("its session wants it so");
        assertThat(why.poll(20, TimeUnit.SECONDS)).isEqualTo("its session wants it so");
      }
    }
    assertThat(device.seen).containsExactly("reset", "close", "reset", "close");
  }

  @Test
  void shouldServeWhoIsConnectedAlready() {
    Recorder device = new Recorder();
    int[] pair = pair();
    try (Server server = Server.at(folder.resolve("s")).start(device)) {
      assertThat(server.adopt(new Descriptor(CALLS, pair[0], "server's end"))).isTrue();
      try (Client client = Client.over(new Descriptor(CALLS, pair[1], "client's end"))) {
        client.reset();
      }
    }
    assertThat(device.seen).containsExactly("reset", "close");
    Credentials peer = Optional.ofNullable(device.peers.poll()).orElseThrow().credentials();
    assertThat(peer.pid()).isEqualTo((int) ProcessHandle.current().pid());
  }

  private int[] pair() {
    MemorySegment two = arena.allocate(8, 4);
    int type = Constants.SOCK_STREAM | Constants.SOCK_CLOEXEC;
    SystemCallException.check(CALLS.socketpair(Constants.AF_UNIX, type, 0, two), "socketpair");
    return two.toArray(ValueLayout.JAVA_INT);
  }
}
