// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.linux.testing.FakeHost;
import org.vfio4j.linux.testing.FakeKernel;
import org.vfio4j.linux.testing.OnFakeHost;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.GroupCalls;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;

/** Attach, share, refuse, release: the engine's rule over the calls of a kernel, without one. */
class LinuxIommuTest extends OnFakeHost {
  private static final long IOVA = 0x100000;
  private static final long SIZE = 0x10000;
  private static final int READ_WRITE = Container.MAP_READ | Container.MAP_WRITE;

  private final AddressSpace memory = ProcessMemory.create();

  @Test
  void S09_S11_S12_shouldServeTwoWrappedDevicesOfOneGroupWithOneAttach() {
    IommuGroup first = FakeHost.wrapped(FakeHost.R1);
    IommuGroup second = FakeHost.wrapped(FakeHost.R2);
    try (MappedMemory buffer = MappedMemory.anonymous(host.kernel(), SIZE);
        Container vm = container("vm")) {
      vm.attach(first);
      assertThat(calls.sinceLast())
          .containsEntry("SET_CONTAINER", 1)
          .containsEntry("SET_IOMMU", 1)
          .containsEntry("open", 2);
      vm.map(memory, buffer.address(), IOVA, SIZE, READ_WRITE);
      assertThat(calls.sinceLast()).isEqualTo(Map.of("MAP_DMA", 1));
      assertThat(host.kernel().process().memory().lockedPages()).isEqualTo(SIZE / 4096);
      DeviceCalls ofFirst = iommu.openDevice(FakeHost.R1);
      calls.sinceLast();

      vm.attach(second);
      DeviceCalls ofSecond = iommu.openDevice(FakeHost.R2);
      assertThat(calls.sinceLast())
          .as("what the second user costs")
          .isEqualTo(Map.of("GET_DEVICE_FD", 1));
      assertThat(vm.useCount(group(FakeHost.R1))).isEqualTo(2);
      assertThat(ofFirst.info()).isEqualTo(ofSecond.info());
      calls.sinceLast();

      ofFirst.close();
      vm.detach(first);
      assertThat(calls.sinceLast()).as("what leaving costs").isEqualTo(Map.of("close", 1));
      vm.detach(second);
      assertThat(calls.sinceLast())
          .as("the last detach: device, UNSET_CONTAINER, container, group")
          .isEqualTo(Map.of("close", 3, "UNSET_CONTAINER", 1));
      assertThat(host.kernel().process().memory().lockedPages()).isZero();
      assertThat(refusal(ofSecond::info).errno()).isEqualTo(Errno.EBADF);
    }
  }

  @Test
  void S10_shouldRefuseAnotherContainerAndSayWhoHasIt() {
    try (Container vm = container("vm");
        Container other = container("other")) {
      IommuGroup first = FakeHost.wrapped(FakeHost.R1);
      vm.attach(first);
      IommuGroup late = FakeHost.wrapped(FakeHost.R2);
      calls.sinceLast();
      VfioException refused = refusal(() -> other.attach(late));
      assertThat(refused.errno()).isEqualTo(Errno.EBUSY);
      assertThat(refused.reason()).isEqualTo(Reason.BACKING_GROUP_HELD);
      assertThat(refused.refusal().holder().orElseThrow().name()).isEqualTo("vm");
      assertThat(calls.sinceLast()).as("no call is made for it").isEmpty();
      assertThat(other.groups()).isEmpty();
      vm.detach(first);
      other.attach(late);
      assertThat(other.useCount(group(FakeHost.R2))).isEqualTo(1);
    }
  }

  @Test
  void shouldPassOnThatAnotherProcessHasTheGroup() {
    FakeKernel stranger = new FakeKernel(host.machine());
    try (Container vm = container("vm")) {
      IommuGroup wanted = FakeHost.wrapped(FakeHost.A);
      try (GroupCalls _ = GroupCalls.open(stranger, 1)) {
        VfioException refused = refusal(() -> vm.attach(wanted));
        assertThat(refused.errno()).isEqualTo(Errno.EBUSY);
        assertThat(refused.reason()).isEqualTo(Reason.GROUP_OPEN);
        assertThat(refused.refusal().call()).isEqualTo("open");
        assertThat(refused.refusal().devices()).containsExactly(FakeHost.A);
        assertThat(vm.groups()).isEmpty();
      }
      vm.attach(wanted);
      assertThat(vm.groups()).containsExactly(wanted);
    }
  }

  @Test
  void shouldNameTheDevicesThatMakeAGroupNotViable() {
    try (Container vm = container("vm")) {
      IommuGroup wanted = FakeHost.wrapped(FakeHost.BESIDE_HOST_DRIVEN);
      VfioException refused = refusal(() -> vm.attach(wanted));
      assertThat(refused.errno()).isEqualTo(Errno.EPERM);
      assertThat(refused.reason()).isEqualTo(Reason.GROUP_NOT_VIABLE);
      assertThat(refused.refusal().devices()).containsExactly(FakeHost.HOST_DRIVEN);
      host.bind(FakeHost.HOST_DRIVEN, "none");
      vm.attach(wanted);
      assertThat(vm.groups()).containsExactly(wanted);
    }
  }

  @Test
  void shouldSayThatAFunctionHasNoDriverOfVfio() {
    try (Container vm = container("vm")) {
      IommuGroup wanted = FakeHost.wrapped(FakeHost.WITHOUT_DRIVER);
      VfioException refused = refusal(() -> vm.attach(wanted));
      assertThat(refused.errno()).isEqualTo(Errno.ENOENT);
      assertThat(refused.reason()).isEqualTo(Reason.NO_GROUP);
      assertThat(refused.refusal().call()).isEqualTo("open");
    }
  }

  @Test
  void shouldKeepSeveralGroupsInOneContainerOfTheKernel() {
    try (MappedMemory buffer = MappedMemory.anonymous(host.kernel(), SIZE);
        Container vm = container("vm")) {
      vm.attach(group(FakeHost.A));
      vm.map(memory, buffer.address(), IOVA, SIZE, READ_WRITE);
      vm.attach(group(FakeHost.B));
      assertThat(vm.domains()).isEqualTo(1);
      vm.detach(group(FakeHost.A));
      assertThat(vm.mappings()).isEqualTo(1);
      assertThat(host.kernel().process().memory().lockedPages()).isEqualTo(SIZE / 4096);
      assertThat(vm.unmap(memory, IOVA, SIZE)).isEqualTo(SIZE);
      assertThat(host.kernel().process().memory().lockedPages()).isZero();
    }
  }

  @Test
  void shouldReplayMappingsForAGroupThatComesAfterTheLastHasGone() {
    try (MappedMemory buffer = MappedMemory.anonymous(host.kernel(), SIZE);
        Container vm = container("vm")) {
      vm.attach(group(FakeHost.A));
      vm.detach(group(FakeHost.A));
      vm.attach(group(FakeHost.B));
      vm.map(memory, buffer.address(), IOVA, SIZE, READ_WRITE);
      assertThat(vm.info().ranges()).contains(new IovaRange(0, 0xfedfffffL));
    }
  }

  @Test
  void shouldRefuseWhatTheKernelRefusesToMap() {
    try (MappedMemory buffer = MappedMemory.anonymous(host.kernel(), SIZE);
        Container vm = container("vm")) {
      vm.attach(group(FakeHost.A));
      long beyond = buffer.address() + SIZE;
      assertThat(refusal(() -> vm.map(memory, beyond, IOVA, 4096, READ_WRITE)).errno())
          .isEqualTo(Errno.EFAULT);
      host.kernel().process().memory().limit(4096);
      host.kernel().process().memory().ipcLock(false);
      VfioException refused =
          refusal(() -> vm.map(memory, buffer.address(), IOVA, SIZE, READ_WRITE));
      assertThat(refused.errno()).isEqualTo(Errno.ENOMEM);
      assertThat(refused.reason()).isEqualTo(Reason.LOCKED_MEMORY);
      assertThat(vm.mappings()).isZero();
    }
  }

  @Test
  void shouldOpenNoDeviceOfAGroupThatIsNotAttached() {
    assertThat(refusal(() -> iommu.openDevice(FakeHost.A)).errno()).isEqualTo(Errno.EINVAL);
    assertThatThrownBy(() -> iommu.openDevice("0000:09:00.0")).isInstanceOf(VfioException.class);
  }

  /** Descriptors that users forgot go with the last detach, which cannot fail. */
  @Test
  void shouldCloseWhatUsersLeftOpenBeforeTheGroupLeaves() {
    try (Container vm = container("vm")) {
      vm.attach(group(FakeHost.R1));
      DeviceCalls one = iommu.openDevice(FakeHost.R1);
      DeviceCalls other = iommu.openDevice(FakeHost.R2);
      vm.detach(group(FakeHost.R1));
      assertThat(one.descriptor().isOpen()).isFalse();
      assertThat(other.descriptor().isOpen()).isFalse();
      host.shouldBeAsNew();
    }
  }
}
