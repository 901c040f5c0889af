// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.vfio4j.scenario.ScenarioBench.A;
import static org.vfio4j.scenario.ScenarioBench.B;
import static org.vfio4j.scenario.ScenarioBench.L;
import static org.vfio4j.scenario.ScenarioBench.M0;
import static org.vfio4j.scenario.ScenarioBench.M1;

import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.soft.SoftVfio;

/** Rows K of kernel.md section 10: containers and groups, and who may call what when. */
@OnEachKernel
class ContainerScenarioTest extends ApiScenario {
  /** An ioctl that neither groups nor containers have. */
  private static final int UNKNOWN_IOCTL = 0x3b99;

  ContainerScenarioTest(KernelProfile kernel) {
    super(kernel);
  }

  @Test
  void K01_shouldTellWhatAnEmptyContainerSupports() {
    int c = vm.container();
    assertThat(vm.api().apiVersion(c)).isZero();
    assertThat(extensions(c, 1, 3)).containsOnly(1);
    assertThat(extensions(c, 2, 4, 5, 7, 8, 10, 99)).containsOnly(0);
    assertThat(vm.api().checkExtension(c, 6)).isEqualTo(byKernel(1, 1, 1, 0));
    assertThat(vm.api().checkExtension(c, 9)).isEqualTo(byKernel(0, 1, 1, 1));
  }

  private int[] extensions(int container, int... numbers) {
    return IntStream.of(numbers).map(n -> vm.api().checkExtension(container, n)).toArray();
  }

  @Test
  void K02_shouldRefuseEverythingOnAnEmptyContainer() {
    int c = vm.container();
    refused(Errno.EINVAL, () -> vm.iommu(c, 1));
    refused(Errno.EINVAL, () -> vm.iommu(c, 3));
    refused(Errno.EINVAL, () -> vm.api().info(c, 4096));
    refused(Errno.EINVAL, () -> vm.map(c, IOVA, SIZE));
    refused(Errno.EINVAL, () -> vm.unmap(c, IOVA, SIZE));
    refused(Errno.EINVAL, () -> vm.api().dirtyPages(c, 1));
    refused(Errno.EINVAL, () -> vm.api().ioctl(c, UNKNOWN_IOCTL, 0));
  }

  @Test
  void K03_shouldOpenAGroupOnce() {
    int a = vm.group(A);
    refused(Errno.EBUSY, Reason.GROUP_OPEN, () -> vm.group(A));
    refused(Errno.EBUSY, () -> vm.api().open("/dev/vfio/" + bench.groupOf(A)));
    vm.close(a);
    vm.group(A);

    vm.group(M0);
    refused(Errno.EBUSY, () -> vm.group(M1));
  }

  @Test
  void K04_shouldReportViabilityAndContainerInTheStatus() {
    int a = vm.group(A);
    assertThat(vm.status(a)).isEqualTo(1);
    refused(Errno.EINVAL, () -> vm.api().groupStatus(a, 4));
    vm.set(a, vm.container());
    assertThat(vm.status(a)).isEqualTo(3);
  }

  @Test
  void K05_shouldRefuseUnsetWithoutContainerAndUnknownIoctls() {
    int a = vm.group(A);
    refused(Errno.EINVAL, () -> vm.unset(a));
    refused(Errno.ENOTTY, () -> vm.api().ioctl(a, UNKNOWN_IOCTL, 0));
  }

  @Test
  void K06_shouldRefuseWhatIsNoContainer() {
    int a = vm.group(A);
    int b = vm.group(B);
    int nothing = vm.api().open("/dev/null");
    Errno foreign = byKernel(Errno.EINVAL, Errno.EINVAL, Errno.EBADFD, Errno.EBADFD);
    refused(byKernel(Errno.EINVAL, Errno.EBADF, Errno.EBADF, Errno.EBADF), () -> vm.set(a, -1));
    refused(Errno.EBADF, () -> vm.set(a, 9999));
    refused(foreign, () -> vm.set(a, nothing));
    refused(foreign, () -> vm.set(a, b));
    assertThat(vm.status(a)).isEqualTo(1);
  }

  @Test
  void K07_shouldKeepAGroupInOneContainer() {
    int a = vm.group(A);
    int c = vm.container();
    int k = vm.container();
    vm.set(a, c);
    refused(Errno.EINVAL, () -> vm.set(a, c));
    refused(Errno.EINVAL, Reason.MULTIPLE_ADDRESS_SPACES, () -> vm.set(a, k));
    vm.close(c);
    refused(Errno.EINVAL, () -> vm.set(a, k));
    assertThat(vm.status(a)).isEqualTo(3);
  }

  @Test
  void K08_shouldOpenNoDeviceBeforeTheIommuIsSet() {
    int a = vm.group(A);
    Errno unknown = byKernel(Errno.EINVAL, Errno.ENODEV, Errno.ENODEV, Errno.ENODEV);
    refused(Errno.EINVAL, () -> vm.dev(a, A));
    refused(unknown, () -> vm.dev(a, "nosuch"));
    vm.set(a, vm.container());
    refused(Errno.EINVAL, () -> vm.dev(a, A));
    refused(unknown, () -> vm.dev(a, "nosuch"));
  }

  @Test
  void K09_shouldSetOneKnownIommuTypeOnce() {
    int a = vm.group(A);
    int c = vm.container();
    vm.set(a, c);
    for (int unknown : new int[] {99, 2, 8, 0}) {
      refused(Errno.ENODEV, () -> vm.iommu(c, unknown));
    }
    vm.iommu(c, 3);
    refused(Errno.EINVAL, () -> vm.iommu(c, 3));
    refused(Errno.EINVAL, () -> vm.iommu(c, 1));
  }

  @Test
  void K10_shouldRefuseNestingThatTheHardwareHasNot() {
    int a = vm.group(A);
    int c = vm.container();
    vm.set(a, c);
    refused(byKernel(Errno.ENODEV, Errno.EINVAL, Errno.EINVAL, Errno.ENODEV), () -> vm.iommu(c, 6));
    refused(Errno.EINVAL, () -> vm.api().info(c, 4096));
    vm.iommu(c, 3);
    assertThat(vm.ranges(c)).hasSize(2);
  }

  @Test
  void K11_shouldOpenOnlyDevicesOfTheGroup() {
    int a = vm.group(A);
    int c = vm.container();
    vm.set(a, c);
    vm.iommu(c);
    refused(Errno.ENODEV, () -> vm.dev(a, "nosuch"));
    refused(Errno.ENODEV, () -> vm.dev(a, B));
    refused(Errno.EFAULT, () -> vm.api().deviceFd(a, Optional.empty()));
    assertThat(vm.api().readConfig(vm.dev(a, A))).isEqualTo(0x11e8_1234);
  }

  @Test
  void K12_shouldKeepAGroupWhileADescriptorOfItsDeviceIsOpen() {
    int a = vm.group(A);
    int c = vm.container();
    vm.set(a, c);
    vm.iommu(c);
    int first = vm.dev(a, A);
    int second = vm.dev(a, A);
    assertThat(first).isNotEqualTo(second);
    refused(Errno.EBUSY, () -> vm.unset(a));
    vm.close(first);
    refused(Errno.EBUSY, Reason.USERS_REMAIN, () -> vm.unset(a));
    vm.close(second);
    vm.unset(a);
    refused(Errno.EINVAL, () -> vm.unset(a));
  }

  @Test
  void K13_shouldForgetTheIommuWithTheLastGroup() {
    int a = vm.group(A);
    int c = vm.container();
    vm.set(a, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    assertThat(vm.locked()).isEqualTo(SIZE / KIB);
    vm.unset(a);
    assertThat(vm.locked()).isZero();
    refused(Errno.EINVAL, () -> vm.api().info(c, 4096));
    refused(Errno.EINVAL, () -> vm.map(c, IOVA, SIZE));
    refused(Errno.EINVAL, () -> vm.iommu(c));
    vm.set(a, c);
    vm.iommu(c, 1);
    assertThat(bench.reads(A, IOVA)).isEmpty();
    assertThat(vm.unmap(c, IOVA, SIZE)).isZero();
  }

  @Test
  void K14_shouldKeepAGroupForItsOpenDevice() {
    int a = vm.group(A);
    int c = vm.container();
    vm.set(a, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    int d = vm.dev(a, A);
    vm.close(a);
    refused(Errno.EBUSY, () -> vm.group(A));
    vm.map(c, IOVA + SIZE, SIZE);
    assertThat(vm.dma(d, IOVA)).isTrue();
    vm.close(d);
    assertThat(vm.locked()).isZero();
    assertThat(bench.reads(A, IOVA)).isEmpty();
    int again = vm.group(A);
    assertThat(vm.status(again)).isEqualTo(1);
    vm.set(again, c);
    vm.iommu(c);
    assertThat(vm.unmap(c, 0, IOVA + 2 * SIZE)).isZero();
  }

  @Test
  void K15_shouldKeepAContainerForItsGroups() {
    int a = vm.group(A);
    int c = vm.container();
    vm.set(a, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    vm.close(c);
    assertThat(vm.status(a)).isEqualTo(3);
    int d = vm.dev(a, A);
    assertThat(vm.dma(d, IOVA)).isTrue();
    vm.close(d);
    vm.unset(a);
    assertThat(vm.status(a)).isEqualTo(1);
    assertThat(vm.locked()).isZero();
    assertThat(bench.reads(A, IOVA)).isEmpty();
  }

  @Test
  void K16_shouldMoveAGroupToAnotherContainer() {
    int a = vm.group(A);
    int c = vm.container();
    int k = vm.container();
    vm.set(a, c);
    vm.iommu(c);
    vm.unset(a);
    vm.set(a, k);
    vm.iommu(k);
    refused(Errno.EINVAL, () -> vm.iommu(c));
    vm.map(k, IOVA, SIZE);
    assertThat(vm.dma(vm.dev(a, A), IOVA)).isTrue();
  }

  @Test
  void K17_shouldOfferNoGroupWithoutVfioDriver() {
    refused(Errno.ENOENT, () -> vm.group(L));
    refused(Errno.ENOENT, () -> vm.api().open("/dev/vfio/" + bench.groupOf(L)));
  }

  /** Needs a machine without IOMMU, which only the model can be. */
  @Test
  void K18_shouldOfferNoGroupWithoutIommu() {
    needsModel("a machine without IOMMU");
    SoftMachine machine = new SoftMachine(kernel);
    machine.addFunction(SoftFunction.endpoint(A, 0x1234, 0x11e8), Optional.empty());
    refused(Errno.EINVAL, () -> machine.bind(A, "vfio-pci"));
    assertThat(machine.driver(A)).isEmpty();
    try (SoftVfio process = machine.process("vm")) {
      refused(Errno.ENOENT, () -> process.group(A));
      assertThat(process.checkExtension(process.container(), 1)).isEqualTo(1);
    }
  }

  @Test
  void K20_shouldNotKnowAnUnknownIoctlWithType1() {
    int c = containerOf(vm, A);
    refused(Errno.ENOTTY, () -> vm.api().ioctl(c, UNKNOWN_IOCTL, 0));
  }
}
