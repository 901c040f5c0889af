// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.vfio4j.scenario.ScenarioBench.A;
import static org.vfio4j.scenario.ScenarioBench.B;
import static org.vfio4j.scenario.ScenarioBench.H;
import static org.vfio4j.scenario.ScenarioBench.M0;
import static org.vfio4j.scenario.ScenarioBench.M1;
import static org.vfio4j.scenario.ScenarioBench.PLAIN_PARENT;
import static org.vfio4j.scenario.ScenarioBench.R1;
import static org.vfio4j.scenario.ScenarioBench.R2;

import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.profile.KernelProfile;

/** Rows S20 to S24 and S34 of kernel.md section 10, the seed: what a wrapped device costs. */
@OnEachKernel
class WrappedAccountingScenarioTest extends ApiScenario {
  private static final IovaRange ALL = new IovaRange(0, -1L);

  WrappedAccountingScenarioTest(KernelProfile kernel) {
    super(kernel);
  }

  @Test
  void S20_shouldReserveWhatTheBackingGroupReserves() {
    String w = bench.wrap(A);
    int g = vm.group(w);
    int c = vm.container();
    vm.set(g, c);
    vm.iommu(c);
    refused(Errno.EINVAL, () -> vm.map(c, 0xfee00000L, PAGE));
    int a = vm.group(A);
    vm.set(a, c);
    refused(Errno.EINVAL, () -> vm.map(c, 0xfee00000L, PAGE));
    vm.unset(a);
    refused(Errno.EINVAL, () -> vm.map(c, 0xfee00000L, PAGE));
    assertThat(vm.ranges(c)).hasSize(2);
  }

  @Test
  void S21_shouldKeepEntriesForAPlainDeviceWhenTheWrappedOneLeaves() {
    String w = bench.wrap(A);
    String p = bench.plain(PLAIN_PARENT);
    int c = containerOf(vm, w);
    int plain = vm.group(p);
    vm.set(plain, c);
    vm.dev(plain, p);
    vm.map(c, IOVA, SIZE);
    assertThat(vm.locked()).isEqualTo(64);
    bench.pin(vm, c, p, 3, IOVA, IOVA + 0x3000);
    assertThat(vm.locked()).as("pages counted already").isEqualTo(64);
    vm.exit();
    assertThat(vm.locked()).isZero();

    int g = vm.group(w);
    int k = vm.container();
    plain = vm.group(p);
    vm.set(g, k);
    vm.set(plain, k);
    vm.iommu(k);
    vm.dev(plain, p);
    vm.map(k, IOVA, SIZE);
    bench.pin(vm, k, p, 3, IOVA, IOVA + 0x3000);
    vm.unset(g);
    assertThat(vm.locked()).as("what the plain device pinned").isEqualTo(8);
    assertThat(bench.reads(A, IOVA)).isEmpty();
    refused(Errno.EEXIST, () -> vm.map(k, IOVA, PAGE));
    assertThat(bench.unpin(vm, k, p, IOVA)).isEqualTo(1);
    assertThat(vm.locked()).isEqualTo(4);
    vm.set(g, k);
    assertThat(vm.locked()).isEqualTo(64);
    vm.fill(0, 7);
    assertThat(bench.reads(A, IOVA)).hasValue(7);
    assertThat(bench.unpin(vm, k, p, IOVA + 0x3000)).isEqualTo(1);
    assertThat(vm.locked()).isEqualTo(64);
    assertThat(vm.unmap(k, IOVA, SIZE)).isEqualTo(SIZE);
    assertThat(vm.locked()).isZero();
  }

  @Test
  void S22_shouldRefuseTheWrappedDeviceWhenMappingsCannotBePinned() {
    String w = bench.wrap(A);
    String p = bench.plain(PLAIN_PARENT);
    vm.ipcLock(false);
    vm.memlock(16 * KIB);
    int c = containerOf(vm, p);
    vm.map(c, 0, PAGE);
    vm.map(c, IOVA, SIZE);
    int g = vm.group(w);
    assertThat(refused(Errno.ENOMEM, () -> vm.set(g, c)).reason()).isEqualTo(Reason.LOCKED_MEMORY);
    assertThat(vm.locked()).isZero();
    assertThat(vm.status(g)).isEqualTo(1);
    assertThat(vm.ranges(c)).as("nothing limits the container").isEmpty();
    assertThat(bench.holder(A)).isEmpty();
    refused(Errno.EEXIST, () -> vm.map(c, IOVA, PAGE));
    assertThat(vm.unmap(c, IOVA, SIZE)).isEqualTo(SIZE);
    vm.set(g, c);
    assertThat(vm.locked()).isEqualTo(4);
    vm.fill(0, 7);
    assertThat(bench.reads(A, 0)).hasValue(7);
  }

  @Test
  void S23_shouldKeepTheGroupUntilTheDeviceIsClosedToo() {
    String w = bench.wrap(A);
    int g = vm.group(w);
    int c = vm.container();
    vm.set(g, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    int d = vm.dev(g, w);
    vm.close(c);
    vm.close(g);
    refused(Errno.EBUSY, () -> vm.group(w));
    assertThat(vm.dma(d, IOVA)).isTrue();
    vm.close(d);
    assertThat(vm.locked()).isZero();
    assertThat(bench.reads(A, IOVA)).isEmpty();
    int other = containerOf(vm, A);
    vm.map(other, IOVA, SIZE);
    vm.set(vm.group(w), other);
  }

  @Test
  void S24_shouldLetGroupsGoWithTheirDevices() {
    bench.bind(H, "none");
    String w = bench.wrap(R1);
    int own = bench.groupOf(w);
    int backing = bench.groupOf(R1);
    int r = vm.group(R2);
    int g = vm.group(w);
    int c = vm.container();
    vm.set(g, c);
    vm.iommu(c);
    vm.set(r, c);
    int k = vm.container();
    vm.unset(g);
    vm.set(g, k);
    refused(Errno.EBUSY, () -> vm.iommu(k));
    vm.exit();

    assertThat(bench.removeMdev(w)).isTrue();
    assertThat(bench.groups()).doesNotContain(own).contains(backing);
    refused(Errno.ENOENT, () -> vm.group(w));
    for (String member : new String[] {R1, R2, H, "0000:01:00.0"}) {
      bench.bind(member, "none");
      bench.unplug(member);
    }
    assertThat(bench.groups()).doesNotContain(backing);
  }

  @Test
  void S24_shouldNotCountAReferenceForARefusedAttachOrAStatus() {
    String w = bench.wrap(A);
    int backing = bench.groupOf(A);
    for (int i = 0; i < 3; i++) {
      int g = vm.group(w);
      int c = containerOf(vm, A);
      int live = containerOf(vm, B);
      assertThat(vm.status(g)).isEqualTo(1);
      refused(Errno.EBUSY, () -> vm.set(g, live));
      vm.set(g, c);
      vm.unset(g);
      vm.exit();
    }
    bench.removeMdev(w);
    bench.bind(A, "none");
    bench.unplug(A);
    assertThat(bench.groups()).doesNotContain(backing);
  }

  @Test
  void S34_shouldMakeOneWrappedDeviceOfAFunction() {
    String w = bench.wrap(M0);
    assertThat(bench.wrappedAvailable(M0)).isZero();
    assertThat(refused(Errno.ENOSPC, () -> bench.createWrapped(M0)).reason())
        .isEqualTo(Reason.MDEV_INSTANCES);
    refused(Errno.ENOENT, () -> bench.createWrapped(M1));
    assertThat(bench.wrappedAvailable(M0)).isZero();
    assertThat(bench.removeMdev(w)).isTrue();
    assertThat(bench.wrappedAvailable(M0)).isEqualTo(1);
    String again = bench.createWrapped(M0);
    int c = containerOf(vm, again);
    vm.map(c, IOVA, SIZE);
    assertThat(vm.ranges(c)).doesNotContain(ALL);
    assertThat(bench.removeMdev(again)).as("removed at once").isEqualTo(claims());
    vm.exit();
    assertThat(bench.wrappedAvailable(M0)).isEqualTo(1);
  }
}
