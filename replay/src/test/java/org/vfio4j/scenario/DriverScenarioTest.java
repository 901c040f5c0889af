// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.vfio4j.scenario.ScenarioBench.A;
import static org.vfio4j.scenario.ScenarioBench.H;
import static org.vfio4j.scenario.ScenarioBench.HOST_DRIVER_OF_H;
import static org.vfio4j.scenario.ScenarioBench.M0;
import static org.vfio4j.scenario.ScenarioBench.M1;
import static org.vfio4j.scenario.ScenarioBench.PF;
import static org.vfio4j.scenario.ScenarioBench.R1;
import static org.vfio4j.scenario.ScenarioBench.R2;
import static org.vfio4j.scenario.ScenarioBench.V1;
import static org.vfio4j.scenario.ScenarioBench.V2;

import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.vfio.KernelBugException;

/** Rows D of kernel.md section 10: which drivers the members of a group may have. */
@OnEachKernel
class DriverScenarioTest extends ApiScenario {
  DriverScenarioTest(KernelProfile kernel) {
    super(kernel);
  }

  @Test
  void D01_shouldRefuseAGroupThatAHostDriverUses() {
    int g = vm.group(R1);
    int c = vm.container();
    assertThat(vm.status(g)).isZero();
    if (claims()) {
      refused(Errno.EPERM, Reason.GROUP_NOT_VIABLE, () -> vm.set(g, c));
      if (Backend.chosen().explains()) {
        VfioException refused = refused(Errno.EPERM, () -> vm.set(g, c));
        assertThat(refused.refusal().devices()).containsExactly(H);
      }
      assertThat(vm.status(g)).isZero();
      refused(Errno.EINVAL, () -> vm.unset(g));
    } else {
      vm.set(g, c);
      vm.iommu(c);
      assertThat(vm.status(g)).isEqualTo(2);
      refused(Errno.EINVAL, () -> vm.dev(g, R1));
    }
  }

  @Test
  void D02_shouldTakeTheGroupOnceTheHostDriverIsGone() {
    int g = vm.group(R1);
    bench.bind(H, "none");
    assertThat(vm.status(g)).isEqualTo(1);
    int c = vm.container();
    vm.set(g, c);
    vm.iommu(c);
    vm.dev(g, R1);
    vm.dev(g, R2);
    refused(Errno.ENODEV, () -> vm.dev(g, H));
  }

  @Test
  void D03_shouldTakeAGroupWithAMemberOnPciStub() {
    bench.bind(H, "pci-stub");
    int g = vm.group(R1);
    assertThat(vm.status(g)).isEqualTo(1);
    int c = vm.container();
    vm.set(g, c);
    vm.iommu(c);
    vm.dev(g, R1);
    refused(Errno.ENODEV, () -> vm.dev(g, H));
  }

  @Test
  void D04_shouldTakeAMemberIntoTheLiveGroup() {
    bench.bind(H, "none");
    bench.bind(R2, "none");
    int g = vm.group(R1);
    assertThat(vm.status(g)).isEqualTo(1);
    int c = vm.container();
    vm.set(g, c);
    vm.iommu(c);
    refused(Errno.ENODEV, () -> vm.dev(g, R2));
    vm.dev(g, R1);
    assertThat(bench.bind(R2, "vfio-pci")).isTrue();
    vm.map(c, IOVA, SIZE);
    assertThat(vm.dma(vm.dev(g, R2), IOVA)).isTrue();
  }

  @Test
  void D05_shouldKeepAHostDriverOutOfALiveGroup() {
    bench.bind(H, "none");
    int g = vm.group(R1);
    int c = vm.container();
    vm.set(g, c);
    vm.iommu(c);
    hostDriverIsKeptOut();
    vm.map(c, IOVA, SIZE);
    assertThat(vm.dma(vm.dev(g, R1), IOVA)).isTrue();
  }

  /** 5.10 notices too late, and stops the machine. */
  private void hostDriverIsKeptOut() {
    if (claims()) {
      refused(Errno.EBUSY, () -> bench.bind(H, HOST_DRIVER_OF_H));
    } else {
      needsModel("a kernel would be gone");
      assertThatThrownBy(() -> bench.bind(H, HOST_DRIVER_OF_H))
          .isInstanceOf(KernelBugException.class);
    }
    assertThat(bench.driver(H)).isEqualTo("none");
  }

  @Test
  void D06_shouldLetPciStubIntoALiveGroup() {
    bench.bind(H, "none");
    int g = vm.group(R1);
    int c = vm.container();
    vm.set(g, c);
    vm.iommu(c);
    assertThat(bench.bind(H, "pci-stub")).isTrue();
    assertThat(bench.driver(H)).isEqualTo("pci-stub");
    vm.dev(g, R1);
  }

  @Test
  void D07_shouldKeepAHostDriverOutFromSetContainerOn() {
    bench.bind(H, "none");
    int g = vm.group(R1);
    vm.set(g, vm.container());
    hostDriverIsKeptOut();
    vm.unset(g);
    assertThat(bench.bind(H, HOST_DRIVER_OF_H)).isTrue();
    assertThat(vm.status(g)).isZero();
  }

  @Test
  void D08_shouldTakeTheGroupOutOfItsContainerWhenItsLastDeviceIsUnbound() {
    int a = vm.group(A);
    int c = vm.container();
    vm.set(a, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    if (!claims()) {
      assertThat(bench.bind(A, "none")).as("done at once").isFalse();
      if (Backend.chosen().explains()) {
        // A kernel opens no device whose driver is leaving, and nobody else makes it do DMA.
        assertThat(bench.reads(A, IOVA)).isNotEmpty();
      }
      assertThat(vm.status(a)).isEqualTo(3);
      refused(Errno.ENODEV, () -> vm.dev(a, A));
      vm.unset(a);
    } else {
      assertThat(bench.bind(A, "none")).as("done at once").isTrue();
      refused(Errno.ENODEV, () -> vm.status(a));
      refused(Errno.ENODEV, () -> vm.set(a, c));
      refused(Errno.ENODEV, () -> vm.dev(a, A));
      refused(Errno.EINVAL, () -> vm.unset(a));
    }
    assertThat(bench.driver(A)).isEqualTo("none");
    refused(Errno.EINVAL, () -> vm.map(c, IOVA, SIZE));
    assertThat(vm.locked()).isZero();
    assertThat(bench.reads(A, IOVA)).isEmpty();
  }

  @Test
  void D08_shouldKeepAGroupWithoutDevicesForWhoHasItOpen() {
    int a = vm.group(A);
    assertThat(bench.bind(A, "none")).as("done at once").isTrue();
    int c = vm.container();
    if (claims()) {
      refused(Errno.ENODEV, () -> vm.status(a));
      refused(Errno.ENODEV, () -> vm.set(a, c));
    } else {
      assertThat(vm.status(a)).isEqualTo(1);
      vm.set(a, c);
      vm.iommu(c);
      refused(Errno.ENODEV, () -> vm.dev(a, A));
      bench.bind(A, "vfio-pci");
      vm.map(c, IOVA, SIZE);
      assertThat(vm.dma(vm.dev(a, A), IOVA)).isTrue();
    }
  }

  @Test
  void D09_shouldLetAnUnbindWaitForOpenDevices() {
    int a = vm.group(A);
    int c = vm.container();
    vm.set(a, c);
    vm.iommu(c);
    int d = vm.dev(a, A);
    assertThat(bench.bind(A, "none")).as("done at once").isFalse();
    assertThat(bench.driver(A)).as("whose link goes first").isEqualTo("none");
    if (byKernel(true, true, false, false)) {
      vm.close(vm.dev(a, A));
    } else {
      refused(Errno.ENODEV, () -> vm.dev(a, A));
    }
    vm.close(d);
    if (!claims()) {
      refused(Errno.ENODEV, () -> vm.dev(a, A));
      assertThat(vm.status(a)).isEqualTo(3);
      vm.unset(a);
      assertThat(vm.status(a)).isEqualTo(1);
    }
    assertThat(bench.driver(A)).isEqualTo("none");
    assertThat(bench.bind(A, "vfio-pci")).as("nobody waits any more").isTrue();
    assertThat(bench.driver(A)).isEqualTo("vfio-pci");
  }

  @Test
  void D10_shouldGiveBothFunctionsOfAGroupToOneVm() {
    int g = vm.group(M0);
    int c = vm.container();
    vm.set(g, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    assertThat(vm.dma(vm.dev(g, M0), IOVA)).isTrue();
    assertThat(vm.dma(vm.dev(g, M1), IOVA)).isTrue();
  }

  @Test
  void D11_shouldOpenAGroupForOneProcess() {
    User other = bench.process("other");
    vm.group(M0);
    assertThat(refused(Errno.EBUSY, () -> other.group(M1)).refusal().call()).isEqualTo("open");
    vm.exit();
    other.group(M1);
  }

  @Test
  void D12_shouldKeepVfioOffAFunctionWithVirtualFunctions() {
    if (!claims()) {
      needsModel("bind_store() of 5.10 answers ENODEV whatever the driver said");
    }
    bench.enableVirtualFunctions("nvme");
    refused(Errno.EBUSY, Reason.DEVICE_BUSY, () -> bench.bind(PF, "vfio-pci"));
    assertThat(bench.driver(PF)).isEqualTo("none");
  }

  @Test
  void D12_shouldAskForTheTokenOfAPhysicalFunctionOnVfio() {
    bench.enableVirtualFunctions("vfio-pci");
    int v = vm.group(V1);
    int c = vm.container();
    vm.set(v, c);
    vm.iommu(c);
    String token = " vf_token=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
    refused(Errno.EACCES, Reason.VF_TOKEN, () -> vm.dev(v, V1));
    refused(Errno.EACCES, () -> vm.dev(v, V1 + token));
    int a = vm.group(A);
    vm.set(a, c);
    refused(Errno.EINVAL, () -> vm.dev(a, A + token));
  }

  @Test
  void D13_shouldGiveVirtualFunctionsToOneVm() {
    bench.enableVirtualFunctions("nvme");
    int c = containerOf(vm, V1, V2);
    vm.map(c, IOVA, SIZE);
    vm.fill(0, 7);
    if (bench.drives(V1, IOVA)) {
      assertThat(bench.reads(V1, IOVA)).hasValue(7);
      assertThat(bench.reads(V2, IOVA)).hasValue(7);
    }
  }

  @Test
  void D13_shouldGiveVirtualFunctionsToTwoVms() {
    bench.enableVirtualFunctions("nvme");
    User other = bench.process("other");
    vm.map(containerOf(vm, V1), IOVA, SIZE);
    other.map(containerOf(other, V2), IOVA, SIZE);
    vm.fill(0, 7);
    other.fill(0, 8);
    if (bench.drives(V1, IOVA)) {
      assertThat(bench.reads(V1, IOVA)).hasValue(7);
      assertThat(bench.reads(V2, IOVA)).hasValue(8);
    }
  }
}
