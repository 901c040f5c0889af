// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.vfio4j.scenario.ScenarioBench.A;
import static org.vfio4j.scenario.ScenarioBench.B;
import static org.vfio4j.scenario.ScenarioBench.PLAIN_PARENT;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.vfio.Vfio;

/** Rows E of kernel.md section 10: mediated devices that no IOMMU isolates. */
@OnEachKernel
class PlainScenarioTest extends ApiScenario {
  private static final int READ = 1;
  private static final int WRITE = 2;
  private static final int BOTH = 3;
  private static final long BEYOND_48_BITS = 1L << 48;
  private static final long MSI = 0xfee00000L;

  /** VFIO_DMA_CC_IOMMU. */
  private static final int SNOOPS = 4;

  private final String p = bench.plain(PLAIN_PARENT);

  PlainScenarioTest(KernelProfile kernel) {
    super(kernel);
  }

  /** A container of type 3 with only P in it, and P open. */
  private int plainContainer() {
    int g = vm.group(p);
    int c = vm.container();
    vm.set(g, c);
    vm.iommu(c);
    vm.dev(g, p);
    return c;
  }

  @Test
  void E01_shouldOnlyRecordMappings() {
    int c = plainContainer();
    Vfio.IommuInfo info = vm.api().info(c, 4096);
    assertThat(info.pageSizes()).isEqualTo(~0xfffL);
    assertThat(info.capabilities()).noneMatch(Vfio.Capability.Ranges.class::isInstance);
    vm.map(c, MSI, PAGE);
    vm.map(c, BEYOND_48_BITS, PAGE);
    vm.mapNowhere(c, IOVA, SIZE);
    assertThat(vm.locked()).isZero();
    refused(Errno.EEXIST, () -> vm.map(c, MSI, PAGE));
    assertThat(vm.unmap(c, 0, BEYOND_48_BITS + PAGE)).isEqualTo(SIZE + 2 * PAGE);
  }

  @Test
  void E01_shouldShowMappingsToTheDevicesDriver() {
    int g = vm.group(p);
    int c = vm.container();
    vm.set(g, c);
    vm.iommu(c);
    int d = vm.dev(g, p);
    vm.map(c, IOVA, SIZE);
    assertThat(vm.dma(d, IOVA)).isTrue();
    vm.unmap(c, IOVA, SIZE);
    assertThat(vm.dma(d, IOVA)).isFalse();
  }

  @Test
  void E01_shouldSnoopWhereNoDomainSaysOtherwise() {
    int c = plainContainer();
    assertThat(vm.api().checkExtension(c, SNOOPS)).isEqualTo(1);
    int a = vm.group(A);
    vm.set(a, c);
    assertThat(vm.api().checkExtension(c, SNOOPS)).as("the IOMMU of A").isZero();
    vm.unset(a);
    assertThat(vm.api().checkExtension(c, SNOOPS)).isEqualTo(1);
  }

  @Test
  void E02_shouldPinEachPageOnce() {
    int c = plainContainer();
    vm.map(c, IOVA, SIZE);
    bench.pin(vm, c, p, BOTH, IOVA);
    assertThat(vm.locked()).isEqualTo(4);
    bench.pin(vm, c, p, BOTH, IOVA);
    assertThat(vm.locked()).isEqualTo(4);
    assertThat(bench.unpin(vm, c, p, IOVA)).isEqualTo(1);
    assertThat(vm.locked()).as("pinned twice").isEqualTo(4);
    assertThat(bench.unpin(vm, c, p, IOVA)).isEqualTo(1);
    assertThat(vm.locked()).isZero();
    assertThat(bench.unpin(vm, c, p, IOVA)).as("mapped, not pinned").isEqualTo(1);
    assertThat(vm.locked()).isZero();
    refused(Errno.EINVAL, () -> bench.unpin(vm, c, p, 0));
  }

  @Test
  void E02_shouldPinAllPagesOfACallOrNone() {
    int c = plainContainer();
    vm.map(c, 0, IOVA, SIZE, READ);
    vm.mapNowhere(c, IOVA + SIZE, SIZE);
    refused(Errno.EINVAL, () -> bench.pin(vm, c, p, READ, IOVA, 0));
    refused(Errno.EFAULT, () -> bench.pin(vm, c, p, READ, IOVA, IOVA + SIZE));
    assertThat(refused(Errno.EPERM, () -> bench.pin(vm, c, p, WRITE, IOVA)).reason())
        .isEqualTo(Reason.PIN_REFUSED);
    refused(Errno.E2BIG, () -> bench.pin(vm, c, p, READ, new long[513]));
    vm.ipcLock(false);
    vm.memlock(PAGE);
    vm.map(c, IOVA + 2 * SIZE, SIZE);
    refused(Errno.ENOMEM, () -> bench.pin(vm, c, p, READ, IOVA + 2 * SIZE, IOVA + 2 * SIZE + PAGE));
    assertThat(vm.locked()).isZero();
  }

  @Test
  void E03_shouldHaveTheDriverUnpinWhatIsUnmapped() {
    int c = plainContainer();
    vm.map(c, IOVA, SIZE);
    bench.pin(vm, c, p, BOTH, IOVA, IOVA + PAGE, IOVA);
    assertThat(vm.locked()).isEqualTo(8);
    assertThat(vm.unmap(c, IOVA, SIZE)).isEqualTo(SIZE);
    assertThat(vm.locked()).isZero();
    refused(Errno.EINVAL, () -> bench.unpin(vm, c, p, IOVA));
  }

  @Test
  void E04_shouldRefuseARealGroupForMappingsThatItCannotHave() {
    int c = plainContainer();
    int b = vm.group(B);
    vm.map(c, IOVA, SIZE);
    vm.map(c, MSI, PAGE);
    assertThat(refused(Errno.EINVAL, () -> vm.set(b, c)).reason())
        .isEqualTo(Reason.RESERVED_REGION);
    vm.unmap(c, MSI, PAGE);
    vm.mapNowhere(c, 0, PAGE);
    refused(Errno.EFAULT, () -> vm.set(b, c));
    vm.unmap(c, 0, PAGE);
    vm.mapNowhere(c, 2 * IOVA, PAGE);
    refused(Errno.EFAULT, () -> vm.set(b, c));
    vm.unmap(c, 2 * IOVA, PAGE);
    vm.map(c, BEYOND_48_BITS, PAGE);
    refused(Errno.EFAULT, () -> vm.set(b, c));
    assertThat(vm.locked()).isZero();
    assertThat(vm.ranges(c)).isEmpty();
    assertThat(vm.status(b)).isEqualTo(1);
    assertThat(bench.holder(B)).isEmpty();
    vm.unmap(c, BEYOND_48_BITS, PAGE);
    vm.set(b, c);
    assertThat(vm.locked()).isEqualTo(SIZE / KIB);
    vm.fill(0, 7);
    assertThat(bench.reads(B, IOVA)).hasValue(7);
  }

  /** Once a real group has been there the container knows what an aperture is. */
  @Test
  void E04_shouldRefuseAMappingBeyondAKnownAperture() {
    int c = plainContainer();
    int b = vm.group(B);
    vm.set(b, c);
    vm.unset(b);
    vm.map(c, BEYOND_48_BITS, PAGE);
    assertThat(refused(Errno.EINVAL, () -> vm.set(b, c)).reason()).isEqualTo(Reason.APERTURE);
    vm.unmap(c, BEYOND_48_BITS, PAGE);
    vm.set(b, c);
  }

  @Test
  void E05_shouldForgetTheLimitsOfARealGroupThatLeaves() {
    int c = plainContainer();
    vm.map(c, IOVA, SIZE);
    int b = vm.group(B);
    vm.set(b, c);
    refused(Errno.EINVAL, () -> vm.map(c, MSI, PAGE));
    vm.unset(b);
    assertThat(vm.locked()).isZero();
    assertThat(vm.ranges(c))
        .singleElement()
        .satisfies(
            all -> {
              assertThat(all.start()).isZero();
              assertThat(all.last()).isEqualTo(-1L);
            });
    vm.map(c, MSI, PAGE);
    assertThat(bench.reads(B, IOVA)).isEmpty();
    assertThat(vm.unmap(c, IOVA, SIZE)).isEqualTo(SIZE);
  }

  @Test
  void E06_shouldRememberTheCapabilityOfWhoMapped() {
    int c = plainContainer();
    vm.map(c, IOVA, SIZE);
    vm.ipcLock(false);
    vm.memlock(PAGE);
    vm.set(vm.group(B), c);
    assertThat(vm.locked()).isEqualTo(SIZE / KIB);
  }

  @Test
  void E07_shouldKeepMappingsForTheLastPlainDevice() {
    String second = bench.plain(PLAIN_PARENT);
    int first = vm.group(p);
    int last = vm.group(second);
    int c = vm.container();
    vm.set(first, c);
    vm.set(last, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    vm.unset(first);
    refused(Errno.EEXIST, () -> vm.map(c, IOVA, SIZE));
    vm.unset(last);
    vm.set(first, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
  }

  @Test
  void E09_shouldNotMoveAddressesUnderAPlainDevice() {
    int b = vm.group(B);
    int c = vm.container();
    vm.set(b, c);
    vm.iommu(c);
    assertThat(vm.api().checkExtension(c, 10)).isEqualTo(byKernel(0, 1, 1, 1));
    vm.set(vm.group(p), c);
    assertThat(vm.api().checkExtension(c, 10)).isZero();
    vm.map(c, IOVA, SIZE);
    refused(
        byKernel(Errno.EINVAL, Errno.EBUSY, Errno.EBUSY, Errno.EBUSY),
        () -> vm.unmap(c, IOVA, SIZE, 4));
  }

  @Test
  void E10_shouldTrackPinnedPagesOnlyWhileNoRealGroupIsThere() {
    int c = plainContainer();
    vm.map(c, IOVA, 4 * PAGE);
    vm.api().dirtyPages(c, 1);
    assertThat(vm.dirty(c, IOVA, 4 * PAGE)).isEmpty();
    bench.pin(vm, c, p, BOTH, IOVA + PAGE);
    assertThat(vm.dirty(c, IOVA, 4 * PAGE)).containsExactly(1);
    assertThat(vm.dirty(c, IOVA, 4 * PAGE)).as("still pinned").containsExactly(1);
    bench.unpin(vm, c, p, IOVA + PAGE);
    assertThat(vm.dirty(c, IOVA, 4 * PAGE)).as("once more").containsExactly(1);
    assertThat(vm.dirty(c, IOVA, 4 * PAGE)).isEmpty();
    int b = vm.group(B);
    vm.set(b, c);
    assertThat(vm.dirty(c, IOVA, 4 * PAGE)).isEqualTo(List.of(0, 1, 2, 3));
    assertThat(vm.dirty(c, IOVA, 4 * PAGE)).isEqualTo(List.of(0, 1, 2, 3));
    vm.unset(b);
    assertThat(vm.dirty(c, IOVA, 4 * PAGE)).as("once").isEqualTo(List.of(0, 1, 2, 3));
    assertThat(vm.dirty(c, IOVA, 4 * PAGE)).isEmpty();
  }
}
