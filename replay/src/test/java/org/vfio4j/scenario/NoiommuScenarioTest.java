// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.vfio4j.scenario.ScenarioBench.A;
import static org.vfio4j.scenario.ScenarioBench.B;
import static org.vfio4j.scenario.ScenarioBench.C;

import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.MdevParent;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.SoftEnvironment;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.testing.Q35;
import org.vfio4j.vfio.Vfio;

/** Row K19 of kernel.md section 10, the sequence of its section 5.6: devices without an IOMMU. */
@OnEachKernel
class NoiommuScenarioTest extends EachKernel {
  private static final String MODE = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
  private static final int CAP_SYS_RAWIO = 17;
  private static final int NOIOMMU = 8;
  private static final long IOVA = 0x100000;
  private static final long SIZE = 0x10000;

  private final SoftMachine machine;

  NoiommuScenarioTest(KernelProfile kernel) {
    super(kernel);
    this.machine = new SoftMachine(kernel);
    for (String name : List.of(A, B)) {
      machine.addFunction(SoftFunction.endpoint(name, 0x1234, 0x11e8), Optional.empty());
    }
  }

  @BeforeEach
  void needsAMachineWithoutIommu() {
    needsModel("Debian's kernels are built without noiommu, and the machine has an IOMMU");
  }

  @AfterEach
  void leavesNoTrace() {
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
    assertThat(machine.waiting()).isEmpty();
  }

  /** A process, which is root; with the mode on, A and B are on vfio-pci. */
  private User process(boolean mode) {
    User vm = new User(new SoftEnvironment(machine, "vm"));
    if (mode) {
      vm.environment().write(MODE, "1");
      machine.bind(A, "vfio-pci");
      machine.bind(B, "vfio-pci");
    }
    return vm;
  }

  private static void end(User vm) {
    vm.exit();
    vm.environment().close();
  }

  private static void rawIo(User vm, boolean on) {
    vm.environment().capability(CAP_SYS_RAWIO, on);
  }

  private static int ext(User vm, int container, int number) {
    return vm.api().checkExtension(container, number);
  }

  @Test
  void K19_shouldOfferNothingUnlessAskedTo() {
    User vm = process(false);
    int c = vm.container();
    assertThat(vm.environment().cat(MODE)).containsExactly("N");
    refused(Errno.EINVAL, () -> machine.bind(A, "vfio-pci"));
    assertThat(machine.driver(A)).isEmpty();
    refused(Errno.ENOENT, () -> vm.group(A));
    refused(Errno.ENOENT, () -> vm.api().open("/dev/vfio/noiommu-0"));
    assertThat(ext(vm, c, NOIOMMU)).isZero();
    assertThat(ext(vm, c, 1)).isEqualTo(1);

    vm.environment().write(MODE, "1");
    assertThat(vm.environment().cat(MODE)).containsExactly("Y");
    refused(Errno.ENOENT, () -> vm.group(A));
    refused(Errno.EINVAL, () -> machine.bind(A, SoftMachine.WRAPPING_DRIVER));
    assertThat(machine.bind(A, "vfio-pci")).isTrue();
    refused(Errno.ENOENT, () -> vm.api().open("/dev/vfio/0"));
    int g = vm.api().open("/dev/vfio/noiommu-0");
    refused(Errno.EBUSY, Reason.GROUP_OPEN, () -> vm.group(A));
    vm.close(g);
    assertThat(vm.status(vm.group(A))).isEqualTo(1);
    end(vm);
  }

  @Test
  void K19_shouldLeaveAContainerWithoutIommuNoOtherType() {
    User vm = process(true);
    int c = vm.container();
    assertThat(ext(vm, c, NOIOMMU)).isEqualTo(1);
    assertThat(ext(vm, c, 1)).isEqualTo(1);
    refused(Errno.EINVAL, () -> vm.iommu(c, NOIOMMU));
    int g = vm.group(A);
    vm.set(g, c);
    assertThat(vm.status(g)).isEqualTo(3);
    assertThat(ext(vm, c, NOIOMMU)).isEqualTo(1);
    assertThat(ext(vm, c, 1)).isZero();
    assertThat(ext(vm, c, 3)).isZero();
    refused(Errno.EINVAL, () -> vm.api().info(c, 4096));
    refused(Errno.EINVAL, () -> vm.dev(g, A));
    for (int type : new int[] {1, 3, 6, 99}) {
      refused(Errno.ENODEV, Reason.NOT_SUPPORTED, () -> vm.iommu(c, type));
    }
    vm.iommu(c, NOIOMMU);
    refused(Errno.EINVAL, () -> vm.iommu(c, NOIOMMU));
    assertThat(ext(vm, c, NOIOMMU)).isEqualTo(1);
    assertThat(ext(vm, c, 1)).isZero();
    assertThat(ext(vm, c, 9)).isZero();
    end(vm);
  }

  @Test
  void K19_shouldKnowNoIoctlOfAnIommu() {
    User vm = process(true);
    int c = vm.container();
    vm.set(vm.group(A), c);
    vm.iommu(c, NOIOMMU);
    Vfio.Bitmap bitmap = new Vfio.Bitmap(4096, 8, new long[1]);
    refused(Errno.ENOTTY, Reason.UNKNOWN_CALL, () -> vm.map(c, IOVA, SIZE));
    refused(Errno.ENOTTY, () -> vm.map(c, 0, IOVA, 0, 0));
    refused(Errno.ENOTTY, () -> vm.unmap(c, IOVA, SIZE));
    refused(Errno.ENOTTY, () -> vm.api().info(c, 4096));
    refused(Errno.ENOTTY, () -> vm.api().info(c, 8));
    refused(Errno.ENOTTY, () -> vm.api().dirtyPages(c, 1));
    refused(
        Errno.ENOTTY, () -> vm.api().dirtyBitmap(c, new Vfio.BitmapRequest(IOVA, SIZE, bitmap)));
    refused(Errno.ENOTTY, () -> vm.api().ioctl(c, 0x3b70, 0));
    refused(Errno.ENOTTY, () -> vm.api().ioctl(c, 0x3b99, 0));
    assertThat(vm.api().apiVersion(c)).isZero();
    assertThat(vm.locked()).isZero();
    end(vm);
  }

  @Test
  void K19_shouldOpenADeviceThatNothingTranslatesFor() {
    User vm = process(true);
    int c = vm.container();
    int g = vm.group(A);
    int h = vm.group(B);
    vm.set(g, c);
    vm.iommu(c, NOIOMMU);
    vm.set(h, c);
    refused(Errno.ENODEV, () -> vm.dev(g, B));
    int d = vm.dev(g, A);
    assertThat(vm.api().readConfig(d)).isEqualTo(0x11e8_1234);
    refused(Errno.ENODEV, Reason.NOT_SUPPORTED, () -> vm.dma(d, IOVA));
    refused(Errno.EBUSY, Reason.USERS_REMAIN, () -> vm.unset(g));
    vm.close(d);
    vm.unset(g);
    assertThat(vm.status(g)).isEqualTo(1);
    assertThat(ext(vm, c, 1)).isZero();
    vm.unset(h);
    assertThat(ext(vm, c, 1)).isEqualTo(1);
    refused(Errno.EINVAL, () -> vm.iommu(c, NOIOMMU));
    vm.set(g, c);
    refused(Errno.EINVAL, () -> vm.api().info(c, 4096));
    end(vm);
  }

  @Test
  void K19_shouldAskForRawIo() {
    User vm = process(true);
    int c = vm.container();
    rawIo(vm, false);
    refused(Errno.EPERM, Reason.NOT_PERMITTED, () -> vm.group(A));
    rawIo(vm, true);
    int g = vm.group(A);
    rawIo(vm, false);
    refused(Errno.EPERM, () -> vm.api().open("/dev/vfio/noiommu-0"));
    assertThat(vm.status(g)).isEqualTo(1);
    refused(Errno.EPERM, Reason.NOT_PERMITTED, () -> vm.set(g, c));
    refused(byKernel(Errno.EPERM, Errno.EBADF, Errno.EBADF, Errno.EBADF), () -> vm.set(g, 9999));
    rawIo(vm, true);
    vm.set(g, c);
    rawIo(vm, false);
    refused(Errno.EINVAL, () -> vm.dev(g, A));
    refused(Errno.ENODEV, () -> vm.iommu(c, 3));
    refused(Errno.EPERM, Reason.NOT_PERMITTED, () -> vm.iommu(c, NOIOMMU));
    rawIo(vm, true);
    vm.iommu(c, NOIOMMU);
    rawIo(vm, false);
    refused(Errno.EPERM, Reason.NOT_PERMITTED, () -> vm.dev(g, A));
    refused(
        byKernel(Errno.EPERM, Errno.ENODEV, Errno.ENODEV, Errno.ENODEV), () -> vm.dev(g, "nosuch"));
    rawIo(vm, true);
    vm.close(vm.dev(g, A));
    rawIo(vm, false);
    vm.unset(g);
    end(vm);
  }

  /** An emulated device's group counts as one with an IOMMU, on any kernel. */
  @Test
  void K19_shouldNotMixGroupsWithAndWithoutIommu() {
    User vm = process(true);
    machine.addFunction(SoftFunction.endpoint(C, 0x1234, 0x11e8), Optional.empty());
    machine.bind(C, "gpu");
    machine.offer(C, new MdevParent.Type("plain", MdevParent.Kind.PLAIN, 1));
    String plain = machine.createMdev(C, "plain", UUID.randomUUID().toString()).name();
    mixes(vm, plain);
    end(vm);
  }

  /** Before 5.19 the mode looks at the bus: one IOMMU, and none of its devices goes without. */
  @Test
  void K19_shouldOfferADeviceWithoutIommuBesideOneThatHasOne() {
    IommuUnit unit = IommuUnit.VT_D.withPageSizes(kernel.pageSizes());
    IommuGroup group = machine.addGroup(0, unit, List.of(Q35.MSI));
    machine.addFunction(SoftFunction.endpoint(C, 0x1234, 0x11e8), Optional.of(group));
    machine.bind(C, "vfio-pci");
    if (claims()) {
      User vm = process(true);
      mixes(vm, C);
      end(vm);
    } else {
      machine.vfioParameters().unsafeNoiommu(true);
      refused(Errno.EINVAL, () -> machine.bind(A, "vfio-pci"));
    }
  }

  private static void mixes(User vm, String other) {
    int without = vm.container();
    int with = vm.container();
    int a = vm.group(A);
    int b = vm.group(B);
    int o = vm.group(other);
    vm.set(a, without);
    refused(Errno.EPERM, Reason.NOIOMMU_MIXED, () -> vm.set(o, without));
    vm.iommu(without, NOIOMMU);
    refused(Errno.EPERM, Reason.NOIOMMU_MIXED, () -> vm.set(o, without));
    vm.set(o, with);
    assertThat(ext(vm, with, NOIOMMU)).isZero();
    refused(Errno.EPERM, Reason.NOIOMMU_MIXED, () -> vm.set(b, with));
    refused(Errno.ENODEV, () -> vm.iommu(with, NOIOMMU));
    vm.iommu(with);
    refused(Errno.EPERM, Reason.NOIOMMU_MIXED, () -> vm.set(b, with));
    assertThat(vm.status(b)).isEqualTo(1);
    vm.unset(o);
    vm.set(b, with);
    vm.iommu(with, NOIOMMU);
  }

  @Test
  void K19_shouldKeepGroupsThatAreThereWhenTheModeIsSwitchedOff() {
    User vm = process(true);
    int c = vm.container();
    int g = vm.group(A);
    vm.environment().write(MODE, "0");
    vm.set(g, c);
    assertThat(ext(vm, c, NOIOMMU)).isZero();
    assertThat(ext(vm, c, 1)).isZero();
    refused(Errno.ENODEV, Reason.NOT_SUPPORTED, () -> vm.iommu(c, NOIOMMU));
    vm.environment().write(MODE, "1");
    vm.iommu(c, NOIOMMU);
    end(vm);
  }

  @Test
  void K19_shouldTakeTheGroupAwayWithItsDriver() {
    User vm = process(true);
    int c = vm.container();
    int g = vm.group(A);
    vm.set(g, c);
    vm.iommu(c, NOIOMMU);
    boolean done = machine.unbind(A);
    assertThat(done).as("done at once").isEqualTo(claims());
    if (done) {
      refused(Errno.ENODEV, () -> vm.set(g, c));
    } else {
      vm.unset(g);
    }
    assertThat(machine.driver(A)).isEmpty();
    refused(Errno.ENOENT, () -> vm.group(A));
    refused(Errno.EINVAL, () -> vm.map(c, IOVA, SIZE));
    machine.bind(A, "e1000");
    end(vm);
  }
}
