// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.soft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.Q35;

class SoftMachineTest {
  private static final String A = "0000:00:02.0";
  private static final String UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

  /** One of the two functions of group 9. */
  private static final String B = "0000:00:0a.1";

  private int deviceOfB;

  private final SoftMachine machine = Q35.machine(KernelProfile.DEFAULT);

  private void wrap() {
    machine.bind(A, SoftMachine.WRAPPING_DRIVER);
    machine.createMdev(A, "backed", UUID);
  }

  @Test
  void shouldRemoveTheDevicesOfAParentWhoseDriverLeaves() {
    wrap();
    assertThat(machine.unbind(A)).isTrue();
    assertThat(machine.mdevs()).isEmpty();
    wrap();
    assertThatThrownBy(() -> machine.createMdev(A, "backed", UUID.replace('8', '9')))
        .isInstanceOfSatisfying(
            VfioException.class, e -> assertThat(e.reason()).isEqualTo(Reason.MDEV_INSTANCES));
  }

  @Test
  void shouldFollowTheSeedToTheLetterOnlyWhenAsked() {
    SoftMachine seed = Q35.machine(KernelProfile.LINUX_5_10);
    seed.bind("0000:02:01.0", SoftMachine.WRAPPING_DRIVER);
    seed.createMdev("0000:02:01.0", "backed", UUID);
    try (SoftVfio vfio = seed.process("vm")) {
      int container = vfio.container();
      vfio.setContainer(vfio.group(UUID), container);
      assertThatThrownBy(() -> vfio.setIommu(container, 3))
          .isInstanceOfSatisfying(
              VfioException.class, e -> assertThat(e.reason()).isEqualTo(Reason.GROUP_NOT_VIABLE));
      seed.parameters().viableBackingOnly(false);
      vfio.setIommu(container, 3);
    }
  }

  @Test
  void shouldTellNobodyOfAResetThatHitsAFunctionWithoutGroup() {
    SoftFunction ungrouped = SoftFunction.endpoint("0000:02:04.0", 0x1234, 0x11e8).belowBridge();
    machine.addFunction(ungrouped, Optional.empty());
    machine.unbind("0000:02:03.0");
    try (SoftVfio vfio = machine.process("vm")) {
      int container = vfio.container();
      int group = vfio.group("0000:02:01.0");
      vfio.setContainer(group, container);
      vfio.setIommu(container, 3);
      int device = vfio.deviceFd(group, Optional.of("0000:02:01.0"));
      assertThatThrownBy(() -> vfio.hotResetInfo(device))
          .isInstanceOfSatisfying(
              VfioException.class,
              e -> {
                assertThat(e.errno()).isEqualTo(Errno.EPERM);
                assertThat(e.refusal().devices()).containsExactly(ungrouped.name());
              });
    }
  }

  /** B18. */
  @Test
  void shouldMakeNothingForAGroupNumberThatIsTaken() {
    machine.bind(A, SoftMachine.WRAPPING_DRIVER);
    assertThatIllegalArgumentException().isThrownBy(() -> machine.createMdev(A, "backed", UUID, 1));
    assertThat(machine.parent(A).orElseThrow().available("backed")).isEqualTo(1);
    assertThat(machine.mdevs()).isEmpty();
    machine.createMdev(A, "backed", UUID);
  }

  /** B16: group 9 has two functions; whoever closes it is not told what a waiting bind was. */
  @Test
  void shouldTellTheRefusalOfAWaitingBindToItsWriter() {
    try (SoftVfio other = machine.process("other")) {
      SoftVfio vm = openBoth(machine);
      assertThat(machine.bind(B, "e1000")).isFalse();
      assertThat(machine.refusedLater(B)).isEmpty();
      vm.close(deviceOfB);
      assertThat(vm.descriptors()).as("the group belongs to the process still").isEqualTo(3);
      assertThat(machine.waiting()).isEmpty();
      assertThat(machine.driver(B)).isEmpty();
      assertThat(machine.refusedLater(B))
          .hasValueSatisfying(e -> assertThat(((VfioException) e).errno()).isEqualTo(Errno.EBUSY));
      vm.close();
      assertThat(vm.descriptors()).isZero();
      other.group("0000:00:0a.0");
      assertThat(machine.bind(B, "vfio-pci")).isTrue();
      assertThat(machine.refusedLater(B)).isEmpty();
    }
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  /** B16, on the kernel that stops there: the exit of a process closes all the same. */
  @Test
  void shouldCloseEverythingThoughAWaitingBindStopsTheKernel() {
    SoftMachine old = Q35.machine(KernelProfile.LINUX_5_10);
    SoftVfio vm = openBoth(old);
    assertThat(old.bind(B, "e1000")).isFalse();
    vm.close();
    assertThat(vm.descriptors()).isZero();
    assertThat(old.waiting()).isEmpty();
    assertThat(old.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  private SoftVfio openBoth(SoftMachine on) {
    SoftVfio vm = on.process("vm");
    int container = vm.container();
    int group = vm.group(B);
    vm.setContainer(group, container);
    vm.setIommu(container, 3);
    deviceOfB = vm.deviceFd(group, Optional.of(B));
    vm.deviceFd(group, Optional.of("0000:00:0a.0"));
    return vm;
  }

  @Test
  void shouldLetTheDriverOfAParentWaitForTheUsersOfItsDevices() {
    wrap();
    try (SoftVfio vfio = machine.process("vm")) {
      int container = vfio.container();
      int group = vfio.group(UUID);
      vfio.setContainer(group, container);
      vfio.setIommu(container, 3);
      int device = vfio.deviceFd(group, Optional.of(UUID));
      assertThat(machine.unbind(A)).isFalse();
      assertThat(machine.removeMdev(UUID)).isFalse();
      assertThat(machine.driver(A)).contains(SoftMachine.WRAPPING_DRIVER);
      vfio.close(device);
      assertThat(machine.driver(A)).isEmpty();
      assertThat(machine.mdevs()).isEmpty();
      assertThat(machine.waiting()).isEmpty();
    }
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }
}
