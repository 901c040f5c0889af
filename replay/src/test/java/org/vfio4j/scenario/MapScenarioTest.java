// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.vfio4j.scenario.ScenarioBench.A;
import static org.vfio4j.scenario.ScenarioBench.B;

import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.vfio.Vfio;

/** Rows M01 to M09 and M15 of kernel.md section 10: what can be mapped, and what it costs. */
@OnEachKernel
class MapScenarioTest extends ApiScenario {
  private static final long LAST_PAGE = -PAGE;

  private final int group = vm.group(A);
  private final int c = vm.container();

  MapScenarioTest(KernelProfile kernel) {
    super(kernel);
    vm.set(group, c);
    vm.iommu(c);
  }

  private Errno overflow() {
    return byKernel(Errno.EINVAL, Errno.EINVAL, Errno.EINVAL, Errno.EOVERFLOW);
  }

  @Test
  void M01_shouldCheckFlagsAndSize() {
    refused(Errno.EINVAL, () -> vm.map(c, 0, IOVA, PAGE, 0));
    refused(Errno.EINVAL, () -> vm.map(c, 0, IOVA, PAGE, 8));
    refused(
        byKernel(Errno.EINVAL, Errno.ENOENT, Errno.ENOENT, Errno.ENOENT),
        () -> vm.map(c, 0, IOVA, PAGE, 4));
    refused(Errno.EINVAL, () -> vm.map(c, 0, IOVA, PAGE, 7));
    long vaddr = vm.environment().buffer();
    refused(Errno.EINVAL, () -> vm.api().map(c, new Vfio.MapRequest(vaddr, IOVA, PAGE, 3, 16)));
    assertThat(vm.locked()).isZero();
    vm.map(c, IOVA, PAGE);
  }

  @Test
  void M02_shouldRefuseWhatIsNotWholePages() {
    refused(Errno.EINVAL, () -> vm.map(c, IOVA, 0));
    refused(Errno.EINVAL, () -> vm.map(c, IOVA, 0x800));
    refused(Errno.EINVAL, () -> vm.map(c, IOVA + 0x800, PAGE));
    refused(Errno.EINVAL, () -> vm.map(c, 0x800, IOVA, PAGE));
    assertThat(vm.locked()).isZero();
  }

  @Test
  void M03_shouldRefuseRangesThatWrap() {
    refused(overflow(), () -> vm.map(c, LAST_PAGE, 2 * PAGE));
    refused(overflow(), () -> vm.api().map(c, Vfio.MapRequest.of(LAST_PAGE, IOVA, 2 * PAGE)));
    refused(Errno.EINVAL, () -> vm.map(c, LAST_PAGE, PAGE));
  }

  @Test
  void M04_shouldMapOnlyInsideTheIovaRanges() {
    refused(Errno.EINVAL, Reason.IOVA_NOT_AVAILABLE, () -> vm.map(c, 0xfee00000L, PAGE));
    refused(Errno.EINVAL, () -> vm.map(c, 0xfedff000L, 2 * PAGE));
    refused(Errno.EINVAL, () -> vm.map(c, 0xfeeff000L, 2 * PAGE));
    refused(Errno.EINVAL, () -> vm.map(c, 0xfedff000L, 0x102000));
    refused(Errno.EINVAL, () -> vm.map(c, 1L << 48, PAGE));
    refused(Errno.EINVAL, () -> vm.map(c, (1L << 48) - PAGE, 2 * PAGE));
    assertThat(vm.locked()).isZero();
    vm.map(c, 0xfedff000L, PAGE);
    vm.map(c, 0xfef00000L, PAGE);
    vm.map(c, (1L << 48) - PAGE, PAGE);
    vm.fill(0, 7);
    if (bench.drives(A, (1L << 48) - 1)) {
      assertThat(bench.reads(A, (1L << 48) - 1)).hasValue(7);
    }
  }

  @Test
  void M05_shouldLeaveNothingOfAMappingThatCannotBePinned() {
    long available = vm.available(c);
    refused(Errno.EFAULT, Reason.BAD_ADDRESS, () -> vm.mapNowhere(c, IOVA, PAGE));
    long nearEnd = (64L << 20) - PAGE;
    refused(Errno.EFAULT, () -> vm.map(c, nearEnd, IOVA, 2 * PAGE));
    assertThat(vm.locked()).isZero();
    assertThat(vm.available(c)).isEqualTo(available);
    assertThat(bench.reads(A, IOVA)).isEmpty();
    vm.map(c, IOVA, PAGE);
  }

  @Test
  void M06_shouldRefuseOverlaps() {
    vm.map(c, IOVA, 2 * PAGE);
    refused(Errno.EEXIST, () -> vm.map(c, IOVA, 2 * PAGE));
    refused(Errno.EEXIST, () -> vm.map(c, IOVA + PAGE, PAGE));
    refused(Errno.EEXIST, () -> vm.map(c, IOVA - PAGE, 2 * PAGE));
    refused(Errno.EEXIST, () -> vm.map(c, IOVA - PAGE, 4 * PAGE));
    assertThat(vm.locked()).isEqualTo(8);
    vm.map(c, IOVA - PAGE, PAGE);
    vm.map(c, 0, IOVA + 2 * PAGE, PAGE, 1);
    vm.map(c, 0, IOVA + 3 * PAGE, PAGE, 2);
    vm.fill(0, 7);
    assertThat(bench.reads(A, IOVA + 2 * PAGE)).hasValue(7);
    assertThat(bench.writes(A, IOVA + 2 * PAGE, (byte) 9)).isFalse();
    boolean readableToo = byKernel(true, true, true, false);
    assertThat(bench.reads(A, IOVA + 3 * PAGE).isPresent()).isEqualTo(readableToo);
    assertThat(bench.writes(A, IOVA + 3 * PAGE, (byte) 9)).isTrue();
    assertThat(vm.peek(0)).isEqualTo(9);
  }

  @Test
  void M07_shouldLimitTheNumberOfMappings() {
    vm.unset(group);
    bench.parameter("dma_entry_limit", "2");
    vm.set(group, c);
    vm.iommu(c);
    bench.parameter("dma_entry_limit", "65535");
    assertThat(vm.available(c)).isEqualTo(2);
    vm.map(c, IOVA, PAGE);
    vm.map(c, IOVA + PAGE, PAGE);
    refused(Errno.ENOSPC, Reason.ENTRY_LIMIT, () -> vm.map(c, IOVA + 2 * PAGE, PAGE));
    refused(Errno.EEXIST, () -> vm.map(c, IOVA + PAGE, PAGE));
    refused(Errno.ENOSPC, () -> vm.map(c, 0xfee00000L, PAGE));
    assertThat(vm.available(c)).isZero();
    vm.unmap(c, IOVA, PAGE);
    assertThat(vm.available(c)).isEqualTo(1);
    vm.map(c, IOVA + 2 * PAGE, PAGE);
  }

  @Test
  void M08_shouldChargeLockedMemory() {
    vm.ipcLock(false);
    vm.memlock(16 * KIB);
    vm.map(c, IOVA, 16 * KIB);
    assertThat(vm.locked()).isEqualTo(16);
    refused(Errno.ENOMEM, Reason.LOCKED_MEMORY, () -> vm.map(c, 2 * IOVA, PAGE));
    refused(Errno.EEXIST, () -> vm.map(c, IOVA, PAGE));
    assertThat(vm.unmap(c, IOVA, 16 * KIB)).isEqualTo(16 * KIB);
    assertThat(vm.locked()).isZero();
    refused(Errno.ENOMEM, () -> vm.map(c, IOVA, 20 * KIB));
    assertThat(vm.locked()).isZero();
    assertThat(vm.unmap(c, IOVA, 20 * KIB)).isZero();
    vm.map(c, IOVA, 16 * KIB);
    vm.ipcLock(true);
    vm.map(c, 2 * IOVA, 1024 * KIB);
    assertThat(vm.locked()).isEqualTo(1040);
    vm.ipcLock(false);
    vm.unmap(c, 2 * IOVA, 1024 * KIB);
    assertThat(vm.locked()).isEqualTo(16);
  }

  @Test
  void M09_shouldChargeEachMappingButNoGroup() {
    vm.map(c, IOVA, 16 * KIB);
    vm.map(c, 2 * IOVA, 16 * KIB);
    assertThat(vm.locked()).isEqualTo(32);
    vm.set(vm.group(B), c);
    assertThat(vm.locked()).isEqualTo(32);
  }

  @Test
  void M15_shouldTellHowLargeTheInfoIs() {
    refused(Errno.EINVAL, () -> vm.api().info(c, 8));
    int needed = byKernel(116, 116, 120, 120);
    for (int argsz : new int[] {16, 20, 24, 100}) {
      Vfio.IommuInfo info = vm.api().info(c, argsz);
      assertThat(info.argsz()).as("argsz %d", argsz).isEqualTo(needed);
      assertThat(info.capOffset()).as("argsz %d", argsz).isZero();
      assertThat(info.capabilities()).as("argsz %d", argsz).isEmpty();
    }
    Vfio.IommuInfo info = vm.api().info(c, needed);
    assertThat(info.capOffset()).isEqualTo(24);
    assertThat(vm.api().info(c, 4096).capabilities()).isEqualTo(info.capabilities());
    assertThat(info.flags()).isEqualTo(3);
    assertThat(info.pageSizes())
        .isEqualTo(byKernel(~0xfffL, 0x40201000L, 0x40201000L, 0x40201000L));
    assertThat(info.capabilities())
        .extracting(Object::getClass)
        .containsExactly(
            Vfio.Capability.Migration.class,
            Vfio.Capability.Available.class,
            Vfio.Capability.Ranges.class);
    int at = info.capOffset();
    for (Vfio.Capability capability : info.capabilities()) {
      assertThat(capability.offset()).isEqualTo(at);
      at = capability.next();
    }
    assertThat(at).isZero();
  }
}
