// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.vfio.Vfio;

/** Capability chains and refusals that no kernel at hand makes. */
class ChainTest {
  @Test
  void shouldReadASparseRegion() {
    try (Arena arena = Arena.ofConfined()) {
      Struct region = Struct.of(arena, Layouts.VFIO_REGION_INFO, 64);
      region.u32("argsz", 96).u32("flags", 0xf).u32("index", 2).u32("cap_offset", 40);
      region.u64("size", 0x4000).u64("offset", 2L << 40);
      MemorySegment m = region.memory();
      header(m, 40, 3, 48);
      header(m, 48, 1, 0);
      m.set(ValueLayout.JAVA_INT, 56, 1);
      m.set(ValueLayout.JAVA_LONG, 64, 0x1000);
      m.set(ValueLayout.JAVA_LONG, 72, 0x3000);
      VfioRegionInfo read = VfioRegionInfo.of(region);
      assertThat(read.capabilities())
          .containsExactly(
              new VfioRegionInfo.Capability.MsixMappable(),
              new VfioRegionInfo.Capability.SparseMmap(
                  List.of(new VfioRegionInfo.Area(0x1000, 0x3000))));
      assertThat(read.mappable()).containsExactly(new VfioRegionInfo.Area(0x1000, 0x3000));
      assertThat(read.offset()).isEqualTo(2L << 40);
    }
  }

  @Test
  void shouldMapAllOfARegionWithoutChainAndNothingOfOneThatCannotBeMapped() {
    VfioRegionInfo plain = new VfioRegionInfo(0, 7, 0x1000, 0, List.of());
    assertThat(plain.mappable()).containsExactly(new VfioRegionInfo.Area(0, 0x1000));
    assertThat(new VfioRegionInfo(0, 3, 0x1000, 0, List.of()).mappable()).isEmpty();
    assertThat(new VfioRegionInfo(0, 7, 0, 0, List.of()).mappable()).isEmpty();
  }

  @Test
  void shouldEndAChainThatGoesInCircles() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment m = arena.allocate(64, 8);
      m.set(ValueLayout.JAVA_INT, 4, 3);
      m.set(ValueLayout.JAVA_INT, 16, 24);
      header(m, 24, 99, 24);
      assertThat(InfoChain.iommuInfo(m).capabilities()).isEmpty();
      header(m, 24, 3, 60);
      assertThat(InfoChain.iommuInfo(m).capabilities())
          .containsExactly(new Vfio.Capability.Available(24, 60, 0));
    }
  }

  private static void header(MemorySegment m, long at, int id, int next) {
    m.set(ValueLayout.JAVA_SHORT, at, (short) id);
    m.set(ValueLayout.JAVA_SHORT, at + 2, (short) 1);
    m.set(ValueLayout.JAVA_INT, at + 4, next);
  }

  @Test
  void shouldSayWhatTheErrnoMeansForTheCall() {
    RuntimeException refused = KernelRefusal.of(16, "VFIO_SET_IOMMU", "/dev/vfio/vfio");
    assertThat(refused)
        .isInstanceOf(VfioException.class)
        .hasMessage(
            "the kernel refuses /dev/vfio/vfio: EBUSY (device or resource busy)"
                + " (VFIO_SET_IOMMU: EBUSY)");
    assertThat(((VfioException) refused).reason()).isEqualTo(Reason.BACKING_GROUP_HELD);
    assertThat(((VfioException) refused).errno()).isEqualTo(Errno.EBUSY);
    assertThat(KernelRefusal.of(133, "VFIO_SET_IOMMU", "x")).hasMessageContaining("errno 133");
  }
}
