// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.RegionInfo;
import org.vfio4j.user.wire.RegionWriteMulti;

/** The regions of a served device: what they are, reads, writes and maps of them. */
class ServedRegionsTest extends Served {
  private static final int BAR1 = Pci.BAR0 + 1;

  @Test
  void shouldTellOfRegions() throws Exception {
    served(
        (client, _) -> {
          try (var region = client.region(Pci.BAR0)) {
            assertThat(region.info())
                .isEqualTo(new RegionInfo(32, 3, 0, ProbeDevice.BAR0_SIZE, 0, List.of(), false));
            assertThat(region.file()).isEmpty();
          }
          try (var region = client.region(Pci.VGA)) {
            assertThat(region.info()).isEqualTo(new RegionInfo(32, 0, 8, 0, 0, List.of(), false));
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
}
