// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.vfio4j.scenario.ScenarioBench.A;
import static org.vfio4j.scenario.ScenarioBench.B;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.vfio.Vfio;

/** Rows M10 to M14 and M16 to M18 of kernel.md section 10: unmap, dirty pages, new addresses. */
@OnEachKernel
class UnmapScenarioTest extends ApiScenario {
  private static final int ALL = 2;
  private static final int VADDR = 4;

  private final int group = vm.group(A);
  private final int c = vm.container();

  UnmapScenarioTest(KernelProfile kernel) {
    super(kernel);
    vm.set(group, c);
    vm.iommu(c);
  }

  /** The container again, as type 1 without mappings. */
  private void becomeV1() {
    vm.unset(group);
    vm.set(group, c);
    vm.iommu(c, 1);
  }

  @Test
  void M10_shouldUnmapWholeMappingsOnly() {
    vm.map(c, IOVA, 4 * PAGE);
    vm.map(c, IOVA + 4 * PAGE, 4 * PAGE);
    vm.map(c, 2 * IOVA, 4 * PAGE);
    refused(Errno.EINVAL, () -> vm.unmap(c, IOVA, 0));
    refused(Errno.EINVAL, () -> vm.unmap(c, IOVA + 0x800, PAGE));
    refused(Errno.EINVAL, () -> vm.unmap(c, IOVA, 0x800));
    refused(Errno.EINVAL, Reason.MAPPING_BISECTED, () -> vm.unmap(c, IOVA, PAGE));
    refused(Errno.EINVAL, () -> vm.unmap(c, IOVA + PAGE, 3 * PAGE));
    refused(Errno.EINVAL, () -> vm.unmap(c, IOVA, 6 * PAGE));
    refused(Errno.EINVAL, () -> vm.unmap(c, IOVA + PAGE, 7 * PAGE));
    refused(Errno.EINVAL, () -> vm.unmap(c, 0, IOVA + PAGE));
    assertThat(vm.locked()).isEqualTo(48);
    assertThat(vm.unmap(c, IOVA, 4 * PAGE)).isEqualTo(4 * PAGE);
    assertThat(vm.unmap(c, IOVA, 4 * PAGE)).isZero();
    assertThat(bench.reads(A, IOVA)).isEmpty();
    assertThat(bench.reads(A, IOVA + 4 * PAGE)).isNotEmpty();
    assertThat(vm.unmap(c, 0, 3 * IOVA)).isEqualTo(8 * PAGE);
    assertThat(vm.locked()).isZero();
  }

  @Test
  void M11_shouldUnmapALargeRangeOverSeveralMappings() {
    vm.map(c, 0, 0, PAGE, 3);
    vm.map(c, IOVA, SIZE);
    vm.map(c, (1L << 48) - PAGE, PAGE);
    Vfio.UnmapRequest small = new Vfio.UnmapRequest(0, IOVA, 0, 8, Optional.empty());
    refused(Errno.EINVAL, () -> vm.api().unmap(c, small));
    refused(Errno.EINVAL, () -> vm.unmap(c, 0, IOVA, 8));
    refused(
        byKernel(Errno.EINVAL, Errno.EINVAL, Errno.EINVAL, Errno.EOVERFLOW),
        () -> vm.unmap(c, -PAGE, 2 * PAGE));
    assertThat(vm.unmap(c, 0, -PAGE)).isEqualTo(SIZE + 2 * PAGE);
    assertThat(vm.locked()).isZero();
  }

  @Test
  void M11_shouldFindNothingBelowTheEndOfTheAddressSpaceBefore72() {
    vm.map(c, IOVA, SIZE);
    long unmapped = vm.unmap(c, IOVA, -IOVA);
    assertThat(unmapped).isEqualTo(byKernel(0L, 0L, 0L, SIZE));
    assertThat(vm.locked()).isEqualTo(byKernel(64L, 64L, 64L, 0L));
  }

  @Test
  void M12_shouldUnmapEverything() {
    vm.map(c, IOVA, SIZE);
    vm.map(c, 2 * IOVA, SIZE);
    refused(Errno.EINVAL, () -> vm.unmap(c, 0, PAGE, ALL));
    refused(Errno.EINVAL, () -> vm.unmap(c, PAGE, 0, ALL));
    if (!claims()) {
      refused(Errno.EINVAL, () -> vm.unmap(c, 0, 0, ALL));
      assertThat(vm.locked()).isEqualTo(128);
      return;
    }
    assertThat(vm.unmap(c, 0, 0, ALL)).isEqualTo(2 * SIZE);
    assertThat(vm.unmap(c, 0, 0, ALL)).isZero();
    assertThat(vm.locked()).isZero();
  }

  @Test
  void M13_shouldUnmapMoreThanAskedOnV1() {
    becomeV1();
    vm.map(c, IOVA, 4 * PAGE);
    vm.map(c, IOVA + 4 * PAGE, 4 * PAGE);
    assertThat(vm.unmap(c, IOVA + PAGE, PAGE)).as("middle").isZero();
    assertThat(vm.unmap(c, IOVA + PAGE, 4 * PAGE)).as("middle, and on").isZero();
    assertThat(vm.unmap(c, IOVA, PAGE)).as("head").isEqualTo(4 * PAGE);
    assertThat(vm.unmap(c, IOVA, PAGE)).isZero();
    assertThat(bench.reads(A, IOVA + 3 * PAGE)).isEmpty();
    assertThat(vm.unmap(c, IOVA + 3 * PAGE, 2 * PAGE)).as("from a hole").isEqualTo(4 * PAGE);
    assertThat(vm.locked()).isZero();
  }

  @Test
  void M14_shouldNotTrackDirtyPagesOnV1() {
    becomeV1();
    vm.map(c, IOVA, PAGE);
    refused(Errno.EACCES, () -> vm.api().dirtyPages(c, 1));
    refused(Errno.EACCES, () -> vm.dirty(c, IOVA, PAGE));
  }

  private void dirty(long iova, long size, long pageSize, long bitmapBytes) {
    Vfio.Bitmap bitmap = new Vfio.Bitmap(pageSize, bitmapBytes, new long[64]);
    vm.api().dirtyBitmap(c, new Vfio.BitmapRequest(iova, size, bitmap));
  }

  @Test
  void M16_shouldTrackDirtyPages() {
    vm.map(c, IOVA, 4 * PAGE);
    refused(Errno.EINVAL, () -> vm.api().dirtyPages(c, 0));
    refused(Errno.EINVAL, () -> vm.api().dirtyPages(c, 3));
    refused(Errno.EINVAL, () -> vm.api().dirtyPages(c, 8));
    refused(Errno.EINVAL, () -> vm.dirty(c, IOVA, 4 * PAGE));
    vm.api().dirtyPages(c, 1);
    vm.api().dirtyPages(c, 1);
    assertThat(vm.dirty(c, IOVA, 4 * PAGE)).isEqualTo(List.of(0, 1, 2, 3));
    refused(Errno.EINVAL, () -> vm.dirty(c, IOVA, 2 * PAGE));
    refused(Errno.EINVAL, () -> vm.dirty(c, IOVA + PAGE, 3 * PAGE));
    refused(Errno.EINVAL, () -> dirty(IOVA, 4 * PAGE, 0x2000, 8));
    refused(Errno.EINVAL, () -> dirty(IOVA, 4 * PAGE, PAGE, 0));
    refused(Errno.EINVAL, () -> dirty(IOVA, 65 * PAGE, PAGE, 8));
    refused(Errno.EINVAL, () -> dirty(IOVA, 0, PAGE, 8));
    refused(
        byKernel(Errno.EINVAL, Errno.EINVAL, Errno.EINVAL, Errno.EOVERFLOW),
        () -> dirty(-PAGE, 2 * PAGE, PAGE, 8));
    refused(Errno.EINVAL, () -> dirty(IOVA + 0x800, 4 * PAGE, PAGE, 8));
    assertThat(vm.dirty(c, 2 * IOVA, 4 * PAGE)).as("a hole").isEmpty();
    assertThat(vm.dirty(c, IOVA - 2 * PAGE, 8 * PAGE)).isEqualTo(List.of(2, 3, 4, 5));
    vm.api().dirtyPages(c, 2);
    vm.api().dirtyPages(c, 2);
    refused(Errno.EINVAL, () -> vm.dirty(c, IOVA, 4 * PAGE));
  }

  @Test
  void M17_shouldHandOutDirtyPagesWithTheUnmap() {
    vm.map(c, IOVA, 4 * PAGE);
    Vfio.Bitmap bitmap = new Vfio.Bitmap(PAGE, 8, new long[1]);
    Vfio.UnmapRequest request = new Vfio.UnmapRequest(IOVA, 4 * PAGE, 1, 48, Optional.of(bitmap));
    refused(Errno.EINVAL, () -> vm.api().unmap(c, request));
    vm.api().dirtyPages(c, 1);
    refused(
        Errno.EINVAL,
        () -> vm.api().unmap(c, new Vfio.UnmapRequest(IOVA, 4 * PAGE, 1, 24, Optional.of(bitmap))));
    assertThat(vm.locked()).isEqualTo(16);
    assertThat(vm.api().unmap(c, request)).isEqualTo(4 * PAGE);
    assertThat(User.bits(bitmap.words(), 4)).isEqualTo(List.of(0, 1, 2, 3));
    assertThat(vm.locked()).isZero();
    assertThat(bench.reads(A, IOVA)).isEmpty();
  }

  @Test
  void M18_shouldGiveMappingsNewAddresses() {
    vm.map(c, 0, IOVA, 4 * PAGE);
    if (!claims()) {
      refused(Errno.EINVAL, () -> vm.map(c, 0, IOVA, 4 * PAGE, VADDR));
      refused(Errno.EINVAL, () -> vm.unmap(c, IOVA, 4 * PAGE, VADDR));
      return;
    }
    refused(Errno.EINVAL, () -> vm.map(c, 0, IOVA, 4 * PAGE, VADDR));
    assertThat(vm.unmap(c, IOVA, 4 * PAGE, VADDR)).isEqualTo(4 * PAGE);
    refused(Errno.EINVAL, () -> vm.unmap(c, IOVA, 4 * PAGE, VADDR));
    refused(Errno.ENOENT, () -> vm.map(c, 0, 2 * IOVA, PAGE, VADDR));
    refused(Errno.EINVAL, () -> vm.map(c, 0, IOVA, PAGE, VADDR));
    int b = vm.group(B);
    refused(Errno.EBUSY, Reason.VADDR_INVALID, () -> vm.set(b, c));
    vm.fill(0, 7);
    assertThat(bench.reads(A, IOVA)).as("DMA goes on").hasValue(7);
    vm.map(c, 4 * PAGE, IOVA, 4 * PAGE, VADDR);
    vm.set(b, c);
    assertThat(vm.locked()).isEqualTo(16);
    assertThat(vm.unmap(c, 0, 0, ALL | VADDR)).isEqualTo(4 * PAGE);
    refused(Errno.EINVAL, () -> vm.unmap(c, 0, 0, ALL | 1));
    assertThat(vm.unmap(c, IOVA, 4 * PAGE)).isEqualTo(4 * PAGE);
    vm.map(c, IOVA, PAGE);
    vm.unset(b);
    vm.set(b, c);
  }
}
