// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.linux.posix.Constants;
import org.vfio4j.linux.posix.Descriptor;
import org.vfio4j.linux.posix.ErrnoNames;
import org.vfio4j.linux.posix.EventFd;
import org.vfio4j.linux.posix.MappedMemory;
import org.vfio4j.linux.posix.Memfd;
import org.vfio4j.linux.posix.SystemCallException;
import org.vfio4j.linux.posix.SystemCalls;
import org.vfio4j.linux.posix.UnixSocket.Credentials;
import org.vfio4j.user.device.Irq;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.Capabilities;
import org.vfio4j.user.wire.DeviceInfo;
import org.vfio4j.user.wire.DmaMap;
import org.vfio4j.user.wire.IrqInfo;
import org.vfio4j.user.wire.RegionInfo;
import org.vfio4j.user.wire.RegionWriteMulti;
import org.vfio4j.user.wire.SetIrqs;
import org.vfio4j.user.wire.Version;

/** Every command, over a real socket. */
@Timeout(60)
class ServerTest {
  private static final SystemCalls CALLS = SystemCalls.libc();
  private static final Duration SOON = Duration.ofSeconds(20);
  private static final int BOTH = DmaMap.READ | DmaMap.WRITE;
  private static final long MIB = 1 << 20;
  private static final int BAR1 = Pci.BAR0 + 1;
  private static final int EINVAL = ErrnoNames.EINVAL;

  @TempDir Path folder = Path.of("");

  private Held before = new Held(new java.util.TreeMap<>(), 0);
  private final Arena arena = Arena.ofShared();

  @BeforeEach
  void remember() throws Exception {
    before = Held.now();
  }

  @AfterEach
  void shouldLeaveNothingBehind() throws Exception {
    arena.close();
    assertThat(Held.now()).isEqualTo(before);
  }

  private interface Body {
    void run(Client client, ProbeDevice device) throws Exception;
  }

  private void served(Body body) throws Exception {
    Path path = folder.resolve("s");
    try (ProbeDevice device = new ProbeDevice();
        Server _ = Server.at(path).start(device)) {
      try (Client client = Client.connect(path)) {
        body.run(client, device);
      }
      assertThat(device.violation.get()).isEmpty();
    }
  }

  private static void refused(int errno, ThrowingCallable call) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            ErrorReplyException.class, e -> assertThat(e.errno()).isEqualTo(errno));
  }

  @Test
  void shouldAgreeOnAVersion() throws Exception {
    served(
        (client, device) -> {
          assertThat(client.minor()).isEqualTo(1);
          assertThat(client.maxTransfer()).isEqualTo(1 << 20);
          assertThat(client.writeMultiple()).isTrue();
          assertThat(device.attaches.get()).isEqualTo(1);
        });
  }

  @Test
  void shouldAgreeOnWhatAnOlderClientProposes() throws Exception {
    Path path = folder.resolve("s");
    try (ProbeDevice device = new ProbeDevice();
        Server _ = Server.at(path).start(device)) {
      Version qemu = new Version(0, 0, Capabilities.of(16, 1 << 20, 65535, 4096, true));
      try (Client client = Client.connect(path, qemu)) {
        assertThat(client.minor()).isZero();
      }
      Capabilities little = Capabilities.parse("{\"capabilities\":{\"max_data_xfer_size\":4096}}");
      try (Client client = Client.connect(path, new Version(0, 7, little))) {
        assertThat(client.minor()).isEqualTo(1);
        assertThat(client.maxTransfer()).isEqualTo(4096);
        assertThat(client.writeMultiple()).isFalse();
        MemorySegment buffer = arena.allocate(4097);
        client.read(Pci.BAR0, 0, buffer, 0, 4096);
        refused(EINVAL, () -> client.read(Pci.BAR0, 0, buffer, 0, 4097));
        refused(
            95, () -> client.writeMulti(List.of(new RegionWriteMulti.Write(0, Pci.BAR0, 4, 1))));
      }
      try (Client client = Client.connect(path, new Version(0, 1, Capabilities.NONE))) {
        assertThat(client.maxTransfer()).isEqualTo(1 << 20);
      }
      assertThatThrownBy(() -> Client.connect(path, new Version(1, 0, Capabilities.NONE)))
          .isInstanceOf(ErrorReplyException.class);
    }
  }

  @Test
  void shouldTellWhatTheDeviceIs() throws Exception {
    served(
        (client, _) ->
            assertThat(client.info()).isEqualTo(new DeviceInfo(16, 3, Pci.REGIONS, Pci.IRQS)));
  }

  @Test
  void shouldTellOfRegions() throws Exception {
    served(
        (client, _) -> {
          try (var region = client.region(Pci.BAR0)) {
            assertThat(region.info())
                .isEqualTo(new RegionInfo(32, 3, 0, ProbeDevice.BAR0_SIZE, 0, List.of()));
            assertThat(region.file()).isEmpty();
          }
          try (var region = client.region(Pci.VGA)) {
            assertThat(region.info()).isEqualTo(new RegionInfo(32, 0, 8, 0, 0, List.of()));
          }
          refused(EINVAL, () -> client.region(Pci.REGIONS));
          refused(EINVAL, () -> client.region(-1));
        });
  }

  @Test
  void shouldLetPartsOfARegionBeMapped() throws Exception {
    served(
        (client, device) -> {
          try (var region = client.region(BAR1)) {
            List<RegionInfo.Area> areas = region.info().areas();
            assertThat(areas)
                .containsExactly(new RegionInfo.Area(0, 4096), new RegionInfo.Area(8192, 4096));
            try (MappedMemory mapped = region.map(areas.get(1))) {
              mapped.segment().set(ValueLayout.JAVA_INT, 4, 0x1234);
              assertThat(client.read32(BAR1, 8196)).isEqualTo(0x1234);
              client.write32(BAR1, 8200, 0x5678);
              assertThat(mapped.segment().get(ValueLayout.JAVA_INT, 8)).isEqualTo(0x5678);
            }
          }
          assertThat(device.bar1().get(ValueLayout.JAVA_INT, 8196)).isEqualTo(0x1234);
        });
  }

  @Test
  void shouldReadAndWriteRegions() throws Exception {
    served(
        (client, _) -> {
          client.write64(Pci.BAR0, 0x1000, 0x1122334455667788L);
          assertThat(client.read64(Pci.BAR0, 0x1000)).isEqualTo(0x1122334455667788L);
          assertThat(client.read32(Pci.BAR0, 0x1004)).isEqualTo(0x11223344);
          MemorySegment big = arena.allocate(MIB + 1);
          big.asSlice(0, MIB).fill((byte) 7);
          client.write(Pci.BAR0, MIB, big, 0, (int) MIB);
          MemorySegment back = arena.allocate(MIB);
          client.read(Pci.BAR0, MIB, back, 0, (int) MIB);
          assertThat(back.mismatch(big)).isEqualTo(MIB);
          client.read(Pci.BAR0, ProbeDevice.BAR0_SIZE, back, 0, 0);
        });
  }

  @Test
  void shouldRefuseAccessOutsideOfRegions() throws Exception {
    served(
        (client, _) -> {
          MemorySegment buffer = arena.allocate(MIB + 1);
          long size = ProbeDevice.BAR0_SIZE;
          client.read(Pci.BAR0, size - 4, buffer, 0, 4);
          refused(EINVAL, () -> client.read(Pci.BAR0, size - 3, buffer, 0, 4));
          refused(EINVAL, () -> client.read(Pci.BAR0, size, buffer, 0, 1));
          refused(EINVAL, () -> client.read(Pci.BAR0, -4, buffer, 0, 4));
          refused(EINVAL, () -> client.read(Pci.BAR0, Long.MIN_VALUE, buffer, 0, 4));
          refused(EINVAL, () -> client.read(Pci.BAR0, 0, buffer, 0, -1));
          refused(EINVAL, () -> client.read(Pci.REGIONS, 0, buffer, 0, 4));
          refused(EINVAL, () -> client.read(-1, 0, buffer, 0, 4));
          refused(EINVAL, () -> client.read(Pci.VGA, 0, buffer, 0, 1));
          refused(EINVAL, () -> client.write32(2, 0, 1));
          refused(EINVAL, () -> client.write(Pci.BAR0, size - 3, buffer, 0, 4));
          refused(EINVAL, () -> client.read(Pci.BAR0, 0, buffer, 0, (int) MIB + 1));
        });
  }

  @Test
  void shouldDoPostedWritesBeforeALaterRead() throws Exception {
    served(
        (client, _) -> {
          MemorySegment value = arena.allocate(4, 4);
          for (int i = 0; i < 10_000; i++) {
            value.set(ValueLayout.JAVA_INT, 0, i);
            client.post(Pci.BAR0, 0x1000 + 4L * (i & 1023), value, 0, 4);
          }
          client.post(Pci.BAR0, -1, value, 0, 4);
          assertThat(client.read32(Pci.BAR0, 0x1000 + 4 * (9_999 & 1023))).isEqualTo(9_999);
        });
  }

  @Test
  void shouldDoSeveralWritesOrNone() throws Exception {
    served(
        (client, _) -> {
          client.writeMulti(
              List.of(
                  new RegionWriteMulti.Write(0x1000, Pci.BAR0, 4, 0xaabbccddL),
                  new RegionWriteMulti.Write(0x1002, Pci.BAR0, 1, 0x11),
                  new RegionWriteMulti.Write(0x1008, Pci.BAR0, 8, -2),
                  new RegionWriteMulti.Write(0x1010, Pci.BAR0, 0, -1)));
          assertThat(client.read32(Pci.BAR0, 0x1000)).isEqualTo(0xaa11ccdd);
          assertThat(client.read64(Pci.BAR0, 0x1008)).isEqualTo(-2);
          assertThat(client.read64(Pci.BAR0, 0x1010)).isZero();
          RegionWriteMulti.Write good = new RegionWriteMulti.Write(0x1020, Pci.BAR0, 4, 1);
          RegionWriteMulti.Write readOnly = new RegionWriteMulti.Write(0, 2, 4, 1);
          RegionWriteMulti.Write tooLong = new RegionWriteMulti.Write(0, Pci.BAR0, 9, 1);
          refused(EINVAL, () -> client.writeMulti(List.of(good, readOnly)));
          refused(EINVAL, () -> client.writeMulti(List.of(good, tooLong)));
          assertThat(client.read32(Pci.BAR0, 0x1020)).isZero();
          client.writeMulti(Collections.nCopies(600, good));
        });
  }

  @Test
  void shouldHandOverEventFdsForWrites() throws Exception {
    served(
        (client, device) -> {
          List<Client.IoEventFd> fds = client.ioEventFds(Pci.BAR0);
          assertThat(fds).hasSize(2);
          assertThat(fds.get(0).entry().offset()).isEqualTo(ProbeDevice.DOORBELL);
          assertThat(fds.get(1).entry().data()).isEqualTo(7);
          fds.get(0).eventFd().signal();
          fds.get(1).eventFd().signal();
          assertThat(device.doorbell().await(SOON)).isEqualTo(2);
          fds.forEach(fd -> fd.eventFd().close());
          assertThat(client.ioEventFds(BAR1)).isEmpty();
          refused(EINVAL, () -> client.ioEventFds(Pci.REGIONS));
        });
  }

  @Test
  void shouldTellOfInterrupts() throws Exception {
    served(
        (client, _) -> {
          assertThat(client.irq(Pci.MSIX))
              .isEqualTo(new IrqInfo(16, Irq.EVENTFD | Irq.NORESIZE, Pci.MSIX, 32));
          assertThat(client.irq(Pci.MSI).count()).isZero();
          refused(EINVAL, () -> client.irq(Pci.IRQS));
        });
  }

  @Test
  void shouldDeliverInterrupts() throws Exception {
    served(
        (client, device) -> {
          try (EventFd zero = EventFd.create(CALLS);
              EventFd one = EventFd.create(CALLS)) {
            int trigger = SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER;
            client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 3, 2), zero, one);
            Objects.requireNonNull(device.interrupts()).signal(Pci.MSIX, 4);
            assertThat(one.await(SOON)).isEqualTo(1);
            assertThat(zero.take()).isZero();

            int none = SetIrqs.DATA_NONE | SetIrqs.TRIGGER;
            client.setIrqs(SetIrqs.of(none, Pci.MSIX, 3, 2));
            assertThat(zero.await(SOON)).isEqualTo(1);
            assertThat(one.await(SOON)).isEqualTo(1);

            BitSet second = new BitSet();
            second.set(1);
            int bool = SetIrqs.DATA_BOOL | SetIrqs.TRIGGER;
            client.setIrqs(SetIrqs.of(bool, Pci.MSIX, 3, 2, second));
            assertThat(one.await(SOON)).isEqualTo(1);
            assertThat(zero.take()).isZero();

            client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 4, 1));
            client.setIrqs(SetIrqs.of(none, Pci.MSIX, 3, 2));
            assertThat(zero.await(SOON)).isEqualTo(1);
            assertThat(one.take()).isZero();

            client.setIrqs(SetIrqs.of(none, Pci.MSIX, 0, 0));
            Objects.requireNonNull(device.interrupts()).signal(Pci.MSIX, 3);
            assertThat(zero.take()).isZero();
          }
        });
  }

  @Test
  void shouldMaskInterrupts() throws Exception {
    served(
        (client, device) -> {
          try (EventFd line = EventFd.create(CALLS)) {
            int trigger = SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER;
            client.setIrqs(SetIrqs.of(trigger, Pci.INTX, 0, 1), line);
            SetIrqs mask = SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.MASK, Pci.INTX, 0, 1);
            SetIrqs unmask = SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.UNMASK, Pci.INTX, 0, 1);
            client.setIrqs(mask);
            Objects.requireNonNull(device.interrupts()).signal(Pci.INTX, 0);
            assertThat(line.take()).isZero();
            client.setIrqs(unmask);
            assertThat(line.await(SOON)).isEqualTo(1);
            refused(
                EINVAL,
                () -> client.setIrqs(SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.MASK, Pci.MSIX, 0, 1)));
          }
        });
  }

  @Test
  void shouldRefuseSetIrqsThatMakeNoSense() throws Exception {
    served(
        (client, _) -> {
          int trigger = SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER;
          int none = SetIrqs.DATA_NONE | SetIrqs.TRIGGER;
          try (EventFd fd = EventFd.create(CALLS);
              EventFd other = EventFd.of(Memfd.create(CALLS, "no eventfd", 4096))) {
            client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 31, 1), fd);
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 32, 1), fd));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 31, 2), fd, fd));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, -1, 1), fd));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 0, -1), fd));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 0, 2), fd));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(trigger, Pci.MSI, 0, 1), fd));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(none, Pci.IRQS, 0, 0)));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(none, Pci.MSIX, 0, 1), fd));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(none | SetIrqs.MASK, Pci.MSIX, 0, 1)));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(64 | none, Pci.MSIX, 0, 1)));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 0, 1), other));
            refused(
                95,
                () ->
                    client.setIrqs(
                        SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.UNMASK, Pci.INTX, 0, 1), fd));
          }
        });
  }

  @Test
  void shouldReset() throws Exception {
    served(
        (client, device) -> {
          client.write32(Pci.BAR0, 0x1000, 5);
          client.reset();
          assertThat(client.read32(Pci.BAR0, 0x1000)).isZero();
          assertThat(device.resets.get()).isEqualTo(1);
        });
  }

  private static void copy(Client client, EventFd done, long from, long to, long count) {
    client.write64(Pci.BAR0, ProbeDevice.FROM, from);
    client.write64(Pci.BAR0, ProbeDevice.TO, to);
    client.write64(Pci.BAR0, ProbeDevice.COUNT, count);
    client.write32(Pci.BAR0, ProbeDevice.GO, 1);
    assertThat(done.await(SOON)).isEqualTo(1);
  }

  @Test
  void shouldReachMemoryWithADescriptor() throws Exception {
    served(
        (client, _) -> {
          int prot = Constants.PROT_READ | Constants.PROT_WRITE;
          try (EventFd done = EventFd.create(CALLS);
              Descriptor file = Memfd.create(CALLS, "client memory", 2 * MIB);
              MappedMemory memory = MappedMemory.ofFile(file, 0, 2 * MIB, prot)) {
            client.setIrqs(
                SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, Pci.MSIX, 0, 1), done);
            client.map(0x10_0000, MIB, DmaMap.READ, file, 0);
            client.map(0x80_0000_0000L, MIB, BOTH, file, MIB);
            memory.segment().asSlice(0, MIB).fill((byte) 9);
            copy(client, done, 0x10_0000, 0x80_0000_0000L, MIB);
            assertThat(client.read32(Pci.BAR0, ProbeDevice.GO)).isEqualTo(1);
            assertThat(memory.segment().asSlice(MIB, MIB).mismatch(memory.segment()))
                .isEqualTo(MIB);
            copy(client, done, 0x10_0000, 0x10_0000, 8);
            assertThat(client.read32(Pci.BAR0, ProbeDevice.GO)).as("not writable").isEqualTo(2);
            client.unmap(0x10_0000, MIB);
            copy(client, done, 0x10_0000, 0x80_0000_0000L, 8);
            assertThat(client.read32(Pci.BAR0, ProbeDevice.GO)).as("unmapped").isEqualTo(2);
          }
        });
  }

  @Test
  void shouldAskForMemoryWithoutADescriptor() throws Exception {
    served(
        (client, _) -> {
          MemorySegment from = arena.allocate(3 * MIB, 4096);
          MemorySegment to = arena.allocate(3 * MIB, 4096);
          from.fill((byte) 3);
          try (EventFd done = EventFd.create(CALLS)) {
            client.setIrqs(
                SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, Pci.MSIX, 0, 1), done);
            client.map(0x10_0000, from, DmaMap.READ);
            client.map(0x80_0000, to, BOTH);
            copy(client, done, 0x10_0000, 0x80_0000, 3 * MIB);
            assertThat(client.read32(Pci.BAR0, ProbeDevice.GO)).isEqualTo(1);
            assertThat(to.mismatch(from)).isEqualTo(-1);
            client.unmapAll();
            copy(client, done, 0x10_0000, 0x80_0000, 8);
            assertThat(client.read32(Pci.BAR0, ProbeDevice.GO)).isEqualTo(2);
          }
        });
  }

  @Test
  void shouldUnmapAsTheKernelDoes() throws Exception {
    served(
        (client, device) -> {
          try (Descriptor file = Memfd.create(CALLS, "client memory", MIB)) {
            for (int i = 0; i < 8; i++) {
              client.map(0x10_0000 + i * 0x2_0000L, 0x1_0000, BOTH, file, 0);
            }
            refused(17, () -> client.map(0x10_0000, 0x1000, BOTH, file, 0));
            refused(EINVAL, () -> client.unmap(0x10_8000, 0x8000));
            refused(EINVAL, () -> client.unmap(0x10_0000, 0x8000));
            assertThat(Objects.requireNonNull(device.dma()).mappings()).isEqualTo(8);
            client.unmap(0x11_0000, 0x1_0000);
            assertThat(Objects.requireNonNull(device.dma()).mappings()).isEqualTo(8);
            client.unmap(0, 0x14_0000);
            assertThat(Objects.requireNonNull(device.dma()).mappings()).isEqualTo(6);
            client.unmap(0, 1L << 48);
            assertThat(Objects.requireNonNull(device.dma()).mappings()).isZero();
            client.map(0x10_0000, 0x1_0000, BOTH, file, 0);
          }
        });
  }

  @Test
  void shouldRefuseMapsThatMakeNoSense() throws Exception {
    served(
        (client, _) -> {
          try (Descriptor file = Memfd.create(CALLS, "client memory", MIB)) {
            refused(EINVAL, () -> client.map(1, 0x1000, BOTH, file, 0));
            refused(EINVAL, () -> client.map(0, 0x1001, BOTH, file, 0));
            refused(EINVAL, () -> client.map(0, 0, BOTH, file, 0));
            refused(EINVAL, () -> client.map(0, 0x1000, 0, file, 0));
            refused(EINVAL, () -> client.map(0, 0x1000, 4, file, 0));
            refused(14, () -> client.map(0, 0x1000, BOTH, file, MIB));
            assertThatThrownBy(() -> client.map(-0x1000, 0x2000, BOTH, file, 0))
                .isInstanceOf(ErrorReplyException.class);
          }
        });
  }

  @Test
  void shouldTakeTheNextClientWhenOneLeaves() throws Exception {
    Path path = folder.resolve("s");
    List<String> seen = Collections.synchronizedList(new ArrayList<>());
    Server.Events events =
        new Server.Events() {
          @Override
          public void connected(Credentials peer) {
            seen.add("connected");
          }

          @Override
          public void disconnected(Credentials peer, String why) {
            seen.add(why);
          }
        };
    try (ProbeDevice device = new ProbeDevice()) {
      try (Server _ = Server.at(path).events(events).start(device);
          Descriptor file = Memfd.create(CALLS, "client memory", MIB);
          EventFd done = EventFd.create(CALLS)) {
        for (int i = 0; i < 5; i++) {
          try (Client client = Client.connect(path)) {
            client.map(0, MIB, BOTH, file, 0);
            client.setIrqs(
                SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, Pci.MSIX, 0, 1), done);
            assertThat(client.read32(Pci.BAR0, 0x1000)).isZero();
            client.write32(Pci.BAR0, 0x1000, 1);
          }
        }
      }
      assertThat(device.attaches.get()).isEqualTo(5);
      assertThat(device.detaches.get()).isEqualTo(5);
      assertThat(seen).hasSize(10).contains("connected", "left");
    }
  }

  @Test
  void shouldGiveEverythingBackWhenItIsClosedUnderAClient() throws Exception {
    Path path = folder.resolve("s");
    try (ProbeDevice device = new ProbeDevice();
        Descriptor file = Memfd.create(CALLS, "client memory", MIB)) {
      Server server = Server.at(path).start(device);
      try (Client client = Client.connect(path)) {
        client.map(0, MIB, BOTH, file, 0);
        server.close();
        assertThatThrownBy(client::info).isInstanceOf(ConnectionException.class);
        assertThat(Files.exists(path)).isFalse();
        assertThat(device.detaches.get()).isEqualTo(1);
      }
    }
  }

  @Test
  void shouldLetOnlyTheOwnerConnectAndNobodyListenTwice() throws Exception {
    Path path = folder.resolve("s");
    try (ProbeDevice device = new ProbeDevice();
        Server _ = Server.at(path).start(device)) {
      assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)))
          .isEqualTo("rw-------");
      assertThatThrownBy(() -> Server.at(path).start(device))
          .isInstanceOfSatisfying(
              SystemCallException.class,
              e -> assertThat(e.errno()).isEqualTo(ErrnoNames.EADDRINUSE));
    }
  }
}
