// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.Memfd;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.DmaMap;
import org.vfio4j.user.wire.SetIrqs;

/** The client's memory, which the device reaches while it is mapped. */
class ServedMemoryTest extends Served {
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
}
