// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.vfio4j.scenario.ScenarioBench.A;
import static org.vfio4j.scenario.ScenarioBench.C;
import static org.vfio4j.scenario.ScenarioBench.H;
import static org.vfio4j.scenario.ScenarioBench.R1;
import static org.vfio4j.scenario.ScenarioBench.R2;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.profile.KernelProfile;

/** Rows S01 to S12 of kernel.md section 10, the seed: users of one backing group share it. */
@OnEachKernel
class WrappedScenarioTest extends ApiScenario {
  WrappedScenarioTest(KernelProfile kernel) {
    super(kernel);
  }

  @Test
  void S01_shouldWorkForAWrappedDeviceAlone() {
    String w = bench.wrap(A);
    int g = vm.group(w);
    int c = vm.container();
    assertThat(vm.status(g)).isEqualTo(1);
    vm.set(g, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    assertThat(vm.locked()).isEqualTo(SIZE / KIB);
    assertThat(vm.dma(vm.dev(g, w), IOVA)).isTrue();
    assertThat(vm.ranges(c))
        .containsExactly(
            new IovaRange(0, 0xfedfffffL), new IovaRange(0xfef00000L, 0xffff_ffff_ffffL));
  }

  @Test
  void S02_shouldNotOpenAWrappedFunctionItself() {
    bench.wrap(A);
    int a = vm.group(A);
    assertThat(vm.status(a)).isEqualTo(1);
    int c = vm.container();
    vm.set(a, c);
    vm.iommu(c);
    assertThat(refused(Errno.ENODEV, () -> vm.dev(a, A)).reason())
        .isEqualTo(Reason.FUNCTION_WRAPPED);
    vm.unset(a);
  }

  @Test
  void S03_shouldLetAWrappedDeviceJoinItsOwnFunction() {
    String w = bench.wrap(A);
    int c = containerOf(vm, A);
    vm.map(c, IOVA, SIZE);
    int g = vm.group(w);
    vm.set(g, c);
    assertThat(vm.locked()).isEqualTo(SIZE / KIB);
    assertThat(vm.dma(vm.dev(g, w), IOVA)).isTrue();
  }

  @Test
  void S04_shouldLetTheFunctionJoinItsWrappedDevice() {
    String w = bench.wrap(A);
    int g = vm.group(w);
    int c = vm.container();
    vm.set(g, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    int a = vm.group(A);
    vm.set(a, c);
    assertThat(vm.status(a)).isEqualTo(3);
    assertThat(vm.locked()).isEqualTo(SIZE / KIB);
    assertThat(vm.dma(vm.dev(g, w), IOVA)).isTrue();
    refused(Errno.EINVAL, () -> vm.set(a, c));
    refused(Errno.EINVAL, () -> vm.set(g, c));
  }

  @Test
  void S05_shouldKeepTheFunctionWhenItsWrappedDeviceLeaves() {
    String w = bench.wrap(A);
    int c = containerOf(vm, A);
    vm.map(c, IOVA, SIZE);
    int g = vm.group(w);
    vm.set(g, c);
    vm.unset(g);
    vm.fill(0, 7);
    assertThat(bench.reads(A, IOVA)).hasValue(7);
    assertThat(vm.locked()).isEqualTo(SIZE / KIB);
    assertThat(vm.unmap(c, IOVA, SIZE)).isEqualTo(SIZE);
  }

  @Test
  void S06_shouldKeepTheWrappedDeviceWhenItsFunctionLeaves() {
    String w = bench.wrap(A);
    int a = vm.group(A);
    int c = vm.container();
    vm.set(a, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    int g = vm.group(w);
    vm.set(g, c);
    vm.unset(a);
    int d = vm.dev(g, w);
    assertThat(vm.dma(d, IOVA)).isTrue();
    vm.close(d);
    vm.unset(g);
    refused(Errno.EINVAL, () -> vm.api().info(c, 4096));
    assertThat(bench.reads(A, IOVA)).isEmpty();
    assertThat(vm.locked()).isZero();
  }

  @Test
  void S07_shouldKeepAnotherContainerOutUntilTheGroupIsFree() {
    String w = bench.wrap(A);
    int a = vm.group(A);
    int g = vm.group(w);
    int c = vm.container();
    int k = vm.container();
    vm.set(a, c);
    vm.iommu(c);
    vm.set(g, k);
    VfioException refused = refused(Errno.EBUSY, () -> vm.iommu(k));
    assertThat(refused.reason()).isEqualTo(Reason.BACKING_GROUP_HELD);
    assertThat(refused.refusal().call()).isEqualTo("VFIO_SET_IOMMU");
    assertThat(refused.refusal().holder().orElseThrow().devices()).containsExactly(A);
    vm.unset(a);
    vm.iommu(k);
    vm.set(a, c);
    refused = refused(Errno.EBUSY, () -> vm.iommu(c));
    assertThat(refused.refusal().holder().orElseThrow().devices()).containsExactly(w);
    vm.map(k, IOVA, SIZE);
    assertThat(vm.dma(vm.dev(g, w), IOVA)).isTrue();
  }

  @Test
  void S08_shouldLeaveNothingBehindHoweverOftenItIsRefused() {
    String w = bench.wrap(A);
    int a = vm.group(A);
    int g = vm.group(w);
    int c = vm.container();
    int k = vm.container();
    vm.set(a, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    vm.set(g, k);
    for (int i = 0; i < 3; i++) {
      refused(Errno.EBUSY, () -> vm.iommu(k));
      assertThat(vm.status(g)).isEqualTo(3);
      assertThat(vm.locked()).isEqualTo(SIZE / KIB);
    }
    vm.unset(g);
    int live = containerOf(vm, C);
    for (int i = 0; i < 3; i++) {
      VfioException refused = refused(Errno.EBUSY, () -> vm.set(g, live));
      assertThat(refused.refusal().call()).isEqualTo("VFIO_GROUP_SET_CONTAINER");
      assertThat(vm.status(g)).isEqualTo(1);
    }
    vm.fill(0, 7);
    assertThat(bench.reads(A, IOVA)).hasValue(7);
    vm.unset(a);
    vm.set(g, live);
    vm.map(live, SIZE, IOVA, SIZE);
    vm.fill(SIZE, 8);
    assertThat(bench.reads(A, IOVA)).as("hardware follows an attach after refusals").hasValue(8);
  }

  @Test
  void S09_shouldTakeTwoWrappedDevicesOfOneFunctionIntoOneContainerOnly() {
    List<String> w = bench.wrap(A, 2);
    int first = vm.group(w.getFirst());
    int second = vm.group(w.getLast());
    int c = vm.container();
    vm.set(first, c);
    vm.set(second, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    assertThat(vm.dma(vm.dev(first, w.getFirst()), IOVA)).isTrue();
    assertThat(vm.dma(vm.dev(second, w.getLast()), IOVA)).isTrue();
    vm.exit();

    containerOf(vm, w.getFirst());
    int k = vm.container();
    vm.set(vm.group(w.getLast()), k);
    refused(Errno.EBUSY, () -> vm.iommu(k));
  }

  @Test
  void S10_shouldWrapAMemberOfALargerGroup() {
    bench.bind(H, "none");
    bench.bind(R2, "none");
    String w = bench.wrap(R1);
    int g = vm.group(w);
    int c = vm.container();
    vm.set(g, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    assertThat(vm.dma(vm.dev(g, w), IOVA)).isTrue();
    vm.fill(0, 7);
    assertThat(bench.reads(R2, IOVA)).as("the group moves as a whole").hasValue(7);
  }

  private String wrapR1() {
    bench.bind(H, "none");
    return bench.wrap(R1);
  }

  @Test
  void S11_shouldShareTheGroupInEveryOrder() {
    String w = wrapR1();
    for (int order = 0; order < 8; order++) {
      boolean wrappedFirst = (order & 1) != 0;
      boolean secondIsLate = (order & 2) != 0;
      boolean firstLeavesFirst = (order & 4) != 0;
      int first = vm.group(wrappedFirst ? w : R2);
      int second = vm.group(wrappedFirst ? R2 : w);
      int c = vm.container();
      vm.set(first, c);
      if (!secondIsLate) {
        vm.set(second, c);
      }
      vm.iommu(c);
      vm.map(c, IOVA, SIZE);
      if (secondIsLate) {
        vm.set(second, c);
      }
      vm.unset(firstLeavesFirst ? first : second);
      vm.fill(0, 7);
      assertThat(bench.reads(R1, IOVA)).as("order %d", order).hasValue(7);
      assertThat(bench.reads(R2, IOVA)).as("order %d", order).hasValue(7);
      assertThat(vm.locked()).as("order %d", order).isEqualTo(SIZE / KIB);
      vm.unset(firstLeavesFirst ? second : first);
      assertThat(bench.reads(R2, IOVA)).as("order %d", order).isEmpty();
      assertThat(vm.locked()).as("order %d", order).isZero();
      vm.exit();
    }
  }

  @Test
  void S12_shouldKeepTheSiblingsDmaWhenTheWrappedDeviceLeaves() {
    String w = wrapR1();
    int g = vm.group(w);
    int r = vm.group(R2);
    int c = vm.container();
    vm.set(g, c);
    vm.set(r, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    int d = vm.dev(r, R2);
    assertThat(vm.dma(d, IOVA)).isTrue();
    vm.unset(g);
    assertThat(vm.dma(d, IOVA)).isTrue();
    assertThat(bench.reads(R1, IOVA)).as("the group stays as a whole").isNotEmpty();
  }
}
