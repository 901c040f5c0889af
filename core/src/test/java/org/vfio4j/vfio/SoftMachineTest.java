// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;
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
