// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.vfio4j.scenario.ScenarioBench.A;
import static org.vfio4j.scenario.ScenarioBench.B;
import static org.vfio4j.scenario.ScenarioBench.C;
import static org.vfio4j.scenario.ScenarioBench.H;
import static org.vfio4j.scenario.ScenarioBench.R1;
import static org.vfio4j.scenario.ScenarioBench.R2;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Holder;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.profile.KernelProfile;

/** Rows S13 to S19 and S25 of kernel.md section 10, the seed: nobody else gets the group. */
@OnEachKernel
class WrappedIsolationScenarioTest extends ApiScenario {
  /** A second virtual machine. */
  private final User other = bench.process("other");

  WrappedIsolationScenarioTest(KernelProfile kernel) {
    super(kernel);
  }

  private String wrapR1() {
    bench.bind(H, "none");
    return bench.wrap(R1);
  }

  @Test
  void S13_shouldRefuseTheSiblingToASecondVm() {
    int g = vm.group(wrapR1());
    int c = vm.container();
    vm.set(g, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    int r = other.group(R2);
    int k = other.container();
    other.set(r, k);
    VfioException refused = refused(Errno.EBUSY, () -> other.iommu(k));
    assertThat(refused.reason()).isEqualTo(Reason.BACKING_GROUP_HELD);
    assertThat(refused.refusal().holder().map(Holder::name)).hasValue("vm");
    assertThat(other.status(r)).isEqualTo(3);
    vm.fill(0, 7);
    assertThat(bench.reads(R2, IOVA)).hasValue(7);
    vm.unset(g);
    other.iommu(k);
    other.map(k, IOVA, SIZE);
    assertThat(other.dma(other.dev(r, R2), IOVA)).isTrue();
  }

  @Test
  void S14_shouldRefuseTheSecondAddressSpaceInEveryOrder() {
    String w = wrapR1();
    for (String first : List.of(w, R2)) {
      String second = first.equals(w) ? R2 : w;
      int c = containerOf(vm, first);
      int k = vm.container();
      int g = vm.group(second);
      vm.set(g, k);
      refused(Errno.EBUSY, () -> vm.iommu(k));
      vm.unset(g);
      int live = containerOf(vm, C);
      refused(Errno.EBUSY, () -> vm.set(g, live));
      vm.map(c, IOVA, SIZE);
      vm.fill(0, 7);
      assertThat(bench.reads(R1, IOVA)).as("%s first", first).hasValue(7);
      vm.exit();
    }
  }

  @Test
  void S15_shouldRefuseAnotherContainerWhileTheSiblingIsLeft() {
    int g = vm.group(wrapR1());
    int r = vm.group(R2);
    int c = vm.container();
    vm.set(g, c);
    vm.set(r, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    vm.unset(g);
    int k = vm.container();
    vm.set(g, k);
    refused(Errno.EBUSY, () -> vm.iommu(k));
    assertThat(vm.dma(vm.dev(r, R2), IOVA)).isTrue();
  }

  @Test
  void S16_shouldNotDisturbTheNextOwnerByALateDetach() {
    List<String> w = bench.wrap(A, 2);
    int a = vm.group(A);
    int first = vm.group(w.getFirst());
    int b = vm.group(B);
    int c = vm.container();
    vm.set(a, c);
    vm.set(first, c);
    vm.set(b, c);
    vm.iommu(c);
    int second = other.group(w.getLast());
    int k = other.container();
    other.set(second, k);
    vm.unset(first);
    refused(Errno.EBUSY, () -> other.iommu(k));
    vm.unset(a);
    other.iommu(k);
    other.map(k, IOVA, SIZE);
    other.fill(0, 7);
    refused(Errno.EBUSY, () -> vm.set(a, c));
    refused(Errno.EBUSY, () -> vm.set(first, c));
    assertThat(bench.reads(A, IOVA)).hasValue(7);
    vm.exit();
    assertThat(bench.reads(A, IOVA)).hasValue(7);
    assertThat(bench.holder(A)).hasValue("other");
  }

  @Test
  void S17_shouldFreeTheGroupWithItsLastOfThreeUsers() {
    List<String> w = bench.wrap(A, 2);
    int a = vm.group(A);
    int w1 = vm.group(w.getFirst());
    int w2 = vm.group(w.getLast());
    int c = containerOf(vm, C);
    vm.map(c, IOVA, SIZE);
    vm.set(a, c);
    vm.set(w1, c);
    vm.set(w2, c);
    vm.fill(0, 7);
    assertThat(bench.reads(A, IOVA)).hasValue(7);
    vm.unset(w1);
    vm.unset(w2);
    int k = vm.container();
    vm.set(w1, k);
    Holder holder = refused(Errno.EBUSY, () -> vm.iommu(k)).refusal().holder().orElseThrow();
    assertThat(holder.devices()).as("who is left").containsExactly(A);
    assertThat(bench.reads(A, IOVA)).hasValue(7);
    vm.unset(a);
    assertThat(bench.reads(A, IOVA)).isEmpty();
    assertThat(bench.reads(C, IOVA)).hasValue(7);
    vm.iommu(k);
    vm.map(k, SIZE, IOVA, SIZE);
    refused(Errno.EBUSY, () -> vm.set(a, c));
    vm.set(a, k);
    vm.fill(SIZE, 8);
    assertThat(bench.reads(A, IOVA)).hasValue(8);
    assertThat(bench.reads(C, IOVA)).hasValue(7);
  }

  @Test
  void S18_shouldShareTheDomainOfAnUnrelatedGroup() {
    String w = bench.wrap(A);
    int c = containerOf(vm, C);
    vm.map(c, IOVA, SIZE);
    int g = vm.group(w);
    vm.set(g, c);
    assertThat(vm.locked()).isEqualTo(SIZE / KIB);
    int d = vm.dev(g, w);
    assertThat(vm.dma(d, IOVA)).isTrue();
    assertThat(vm.unmap(c, IOVA, SIZE)).isEqualTo(SIZE);
    assertThat(vm.locked()).isZero();
    assertThat(vm.dma(d, IOVA)).isFalse();
  }

  @Test
  void S19_shouldDetachTheOtherGroupsOfARefusedSetIommu() {
    int r = other.group(R2);
    String w = wrapR1();
    int k = other.container();
    other.set(r, k);
    other.iommu(k);
    other.map(k, IOVA, SIZE);
    int g = vm.group(w);
    int f = vm.group(C);
    int c = vm.container();
    vm.set(g, c);
    vm.set(f, c);
    refused(Errno.EBUSY, () -> vm.iommu(c));
    assertThat(bench.holder(C)).isEmpty();
    refused(Errno.EINVAL, () -> vm.map(c, IOVA, SIZE));
    vm.unset(g);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    assertThat(vm.dma(vm.dev(f, C), IOVA)).isTrue();
    assertThat(other.dma(other.dev(r, R2), IOVA)).isTrue();
  }

  @Test
  void S25_shouldRefuseAWrappedDeviceWhileAHostDriverUsesASibling() {
    int g = vm.group(bench.wrap(R1));
    int c = vm.container();
    VfioException refused;
    if (claims()) {
      refused = refused(Errno.EPERM, () -> vm.set(g, c));
    } else {
      vm.set(g, c);
      refused = refused(Errno.EINVAL, () -> vm.iommu(c));
      vm.unset(g);
    }
    assertThat(refused.reason()).isEqualTo(Reason.GROUP_NOT_VIABLE);
    assertThat(vm.status(g)).isZero();
    assertThat(bench.holder(H)).isEmpty();
    bench.bind(H, "pci-stub");
    vm.set(g, c);
    vm.iommu(c);
  }

  @Test
  void S25_shouldKeepHostDriversOutOfTheBackingGroup() {
    String w = wrapR1();
    containerOf(vm, w);
    refused(Errno.EBUSY, () -> bench.bind(H, "e1000"));
    assertThat(bench.driver(H)).isEqualTo("none");
  }
}
