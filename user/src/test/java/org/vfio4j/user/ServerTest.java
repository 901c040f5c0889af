// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.UnixSocket.Credentials;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.Capabilities;
import org.vfio4j.user.wire.DeviceInfo;
import org.vfio4j.user.wire.RegionWriteMulti;
import org.vfio4j.user.wire.SetIrqs;
import org.vfio4j.user.wire.Version;

/** A server and its clients: how they meet, what they agree on, how they part. */
class ServerTest extends Served {
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
  void shouldReset() throws Exception {
    served(
        (client, device) -> {
          client.write32(Pci.BAR0, 0x1000, 5);
          client.reset();
          assertThat(client.read32(Pci.BAR0, 0x1000)).isZero();
          assertThat(device.resets.get()).isEqualTo(1);
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
