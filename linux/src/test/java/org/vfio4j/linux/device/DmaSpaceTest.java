// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.linux.iommu.ProcessMemory;
import org.vfio4j.linux.testing.FakeHost;
import org.vfio4j.linux.testing.OnFakeHost;
import org.vfio4j.linux.uapi.Ioctls;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.WatchedSystemCalls;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;

/** A driver and a VM in one process: the engine's rule says who may share a group. */
class DmaSpaceTest extends OnFakeHost {
  private static final long PAGE = 4096;
  private static final int READ_WRITE = Container.MAP_READ | Container.MAP_WRITE;

  private final AddressSpace memory = ProcessMemory.create();

  private DmaSpace space() {
    return DmaSpace.create(iommu, KernelProfile.LINUX_6_1, Path.of("/proc"));
  }

  /** It was EBUSY from oneself: the driver opened a group that a container here had. */
  @Test
  void shouldShareAGroupWithTheVmThatHasIt() {
    try (Container vm = container("vm");
        Container other = container("other")) {
      vm.attach(group(FakeHost.R1));
      calls.sinceLast();
      try (DmaSpace space = DmaSpace.in(vm, iommu);
          PciDevice device = space.open(FakeHost.R2)) {
        assertThat(calls.sinceLast())
            .as("the group is attached already")
            .containsEntry("GET_DEVICE_FD", 1)
            .doesNotContainKeys("SET_CONTAINER", "SET_IOMMU", "open");
        assertThat(vm.useCount(group(FakeHost.R1))).isEqualTo(2);
        vm.detach(group(FakeHost.R1));
        assertThat(device.config().read32(0)).as("the driver's use stays").isEqualTo(0x11e81234);
        VfioException refused = refusal(() -> other.attach(FakeHost.wrapped(FakeHost.R1)));
        assertThat(refused.errno()).isEqualTo(Errno.EBUSY);
        assertThat(refused.refusal().holder().orElseThrow().name()).isEqualTo("vm");
        assertThat(refused.refusal().holder().orElseThrow().devices()).containsExactly(FakeHost.R2);
      }
      other.attach(FakeHost.wrapped(FakeHost.R1));
    }
  }

  @Test
  void shouldLetAVmShareADriversGroup() {
    try (MappedMemory ram = MappedMemory.anonymous(calls, 16 * PAGE);
        DmaSpace space = space();
        Container other = container("other")) {
      PciDevice device = space.open(FakeHost.R2);
      space.container().attach(group(FakeHost.R1));
      assertThat(space.container().useCount(group(FakeHost.R1))).isEqualTo(2);
      VfioException refused = refusal(() -> other.attach(group(FakeHost.R1)));
      assertThat(refused.errno()).isEqualTo(Errno.EBUSY);
      assertThat(refused.reason()).isEqualTo(Reason.BACKING_GROUP_HELD);
      assertThat(refused.refusal().holder().orElseThrow().name())
          .isEqualTo(space.container().name())
          .startsWith("DMA space ");
      space.container().map(memory, ram.address(), 0x10000, 16 * PAGE, READ_WRITE);
      assertThat(device.allocate(PAGE).iova()).isEqualTo(0x20000);
      device.close();
      assertThat(space.container().useCount(group(FakeHost.R1))).isEqualTo(1);
    }
  }

  @Test
  void shouldTellADriverWhichSpaceHasTheGroup() {
    try (DmaSpace space = space();
        PciDevice _ = space.open(FakeHost.R1)) {
      VfioException refused = refusal(() -> PciDevice.openAlone(space(), FakeHost.R2).close());
      assertThat(refused.errno()).isEqualTo(Errno.EBUSY);
      assertThat(refused)
          .hasMessage(
              "IOMMU group 9 of %s is in use; it is this process: open both devices in one DmaSpace;"
                      .formatted(FakeHost.R2)
                  + " held by %s (EBUSY)".formatted(space.container().name()));
    }
  }

  /** A driver's memory keeps out of the way of the VM's, and is the VM's devices' too. */
  @Test
  void shouldPlaceMemoryBesideWhatTheVmHasMapped() {
    try (MappedMemory ram = MappedMemory.anonymous(calls, 16 * PAGE);
        Container vm = container("vm");
        DmaSpace space = DmaSpace.in(vm, iommu)) {
      vm.attach(group(FakeHost.A));
      vm.map(memory, ram.address(), 0x10000, 16 * PAGE, READ_WRITE);
      try (PciDevice device = space.open(FakeHost.R1)) {
        assertThat(device.allocate(PAGE).iova()).isEqualTo(0x20000);
        vm.unmap(memory, 0x10000, 16 * PAGE);
        assertThat(device.allocate(PAGE).iova()).isEqualTo(0x10000);
        assertThat(vm.mappings()).isEqualTo(2);
      }
      assertThat(vm.mappings()).isZero();
    }
  }

  /** B25: memory that the kernel will not take from the devices is freed when it does. */
  @Test
  void shouldKeepMemoryThatDevicesMayStillReach() {
    boolean[] refuse = {true};
    SystemCalls stubborn =
        new WatchedSystemCalls(host.kernel()) {
          @Override
          protected int before(String call, int request) {
            boolean unmap = call.equals("ioctl") && request == Ioctls.VFIO_IOMMU_UNMAP_DMA;
            return unmap && refuse[0] ? -Errno.EFAULT.number() : 0;
          }
        };
    LinuxIommu its = host.iommu(stubborn);
    try (Container vm = FakeHost.container("vm", its);
        DmaSpace shared = DmaSpace.in(vm, its)) {
      DmaBuffer buffer = shared.open(FakeHost.A).allocate(PAGE);
      assertThat(refusal(buffer::close).errno()).isEqualTo(Errno.EFAULT);
      buffer.segment().set(ValueLayout.JAVA_INT, 0, 7);
      assertThat(host.kernel().process().memory().lockedPages()).isEqualTo(1);
      refuse[0] = false;
      buffer.close();
      assertThat(buffer.segment().scope().isAlive()).isFalse();
      assertThat(vm.mappings()).isZero();

      DmaSpace own = DmaSpace.create(its, KernelProfile.LINUX_6_1, Path.of("/proc"));
      PciDevice device = own.open(FakeHost.B);
      DmaBuffer left = device.allocate(PAGE);
      refuse[0] = true;
      assertThat(refusal(device::close).errno()).isEqualTo(Errno.EFAULT);
      left.segment().set(ValueLayout.JAVA_INT, 0, 7);
      own.close();
      assertThat(left.segment().scope().isAlive()).isFalse();
    }
  }
}
