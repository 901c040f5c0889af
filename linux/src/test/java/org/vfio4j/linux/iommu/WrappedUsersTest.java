// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.linux.testing.CountingSystemCalls;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.GroupCalls;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.OpenDescriptors;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/**
 * The seed on real hardware: several wrapped devices of one IOMMU group in one container of the
 * engine, over one container of the kernel.
 */
class WrappedUsersTest {
  private static final long IOVA = 0x100000;
  private static final long SIZE = 0x10000;
  private static final long OUT = 0x8000;
  private static final int COUNT = 64;

  private final CountingSystemCalls calls = new CountingSystemCalls(SystemCalls.libc());
  private final LinuxIommu iommu = new LinuxIommu(calls);
  private final AddressSpace memory = ProcessMemory.create();
  private Set<String> before = Set.of();
  private long lockedBefore;

  @BeforeEach
  void onlyOnTheBench() throws IOException {
    EduMachine.assumeHere();
    before = OpenDescriptors.now();
    lockedBefore = EduMachine.statusKib("VmLck");
  }

  @AfterEach
  void leavesNoTrace() throws IOException {
    assertThat(OpenDescriptors.now()).isEqualTo(before);
    assertThat(EduMachine.statusKib("VmLck")).isEqualTo(lockedBefore);
  }

  private Container container(String name) {
    return new Container(name, iommu, EduMachine.profile(), Type1.V2, new Type1Parameters());
  }

  /** Whether the device copies from the start of the buffer to {@link #OUT} in it. */
  private static boolean copies(Edu edu, MappedMemory buffer, int seed) {
    for (int i = 0; i < COUNT; i++) {
      buffer.segment().set(ValueLayout.JAVA_BYTE, i, (byte) (seed + i));
      buffer.segment().set(ValueLayout.JAVA_BYTE, OUT + i, (byte) 0x33);
    }
    edu.copy(IOVA, IOVA + OUT, COUNT);
    return buffer.segment().asSlice(0, COUNT).mismatch(buffer.segment().asSlice(OUT, COUNT)) < 0;
  }

  private static boolean copies(DeviceCalls device, MappedMemory buffer, int seed) {
    try (Edu edu = Edu.open(device)) {
      return copies(edu, buffer, seed);
    }
  }

  @Test
  void S09_S11_S12_shouldServeTwoWrappedDevicesOfOneGroupWithOneAttach() {
    IommuGroup first = EduMachine.wrapped(EduMachine.R1);
    IommuGroup second = EduMachine.wrapped(EduMachine.R2);
    try (MappedMemory buffer = MappedMemory.anonymous(SystemCalls.libc(), SIZE);
        Container vm = container("vm")) {
      vm.attach(first);
      assertThat(calls.sinceLast())
          .containsEntry("SET_CONTAINER", 1)
          .containsEntry("SET_IOMMU", 1)
          .containsEntry("open", 2);
      vm.map(memory, buffer.address(), IOVA, SIZE, Container.MAP_READ | Container.MAP_WRITE);
      assertThat(calls.sinceLast()).isEqualTo(Map.of("MAP_DMA", 1));
      DeviceCalls ofFirst = iommu.openDevice(EduMachine.R1);
      assertThat(copies(ofFirst, buffer, 1)).as("DMA of the first").isTrue();
      try (Edu edu = Edu.openBehindVfio(EduMachine.R2)) {
        assertThat(copies(edu, buffer, 11)).as("the attach moves the whole group").isTrue();
      }
      calls.sinceLast();

      vm.attach(second);
      DeviceCalls ofSecond = iommu.openDevice(EduMachine.R2);
      assertThat(calls.sinceLast())
          .as("what the second user costs")
          .isEqualTo(Map.of("GET_DEVICE_FD", 1));
      assertThat(vm.useCount(iommu.groupOf(EduMachine.R1).orElseThrow())).isEqualTo(2);
      assertThat(EduMachine.statusKib("VmLck") - lockedBefore).isEqualTo(SIZE / 1024);
      assertThat(copies(ofSecond, buffer, 2)).as("DMA of the second").isTrue();
      calls.sinceLast();

      ofFirst.close();
      vm.detach(first);
      assertThat(calls.sinceLast()).as("what leaving costs").isEqualTo(Map.of("close", 1));
      assertThat(copies(ofSecond, buffer, 3)).as("DMA after the first has left").isTrue();
      assertThat(EduMachine.statusKib("VmLck") - lockedBefore).isEqualTo(SIZE / 1024);
      calls.sinceLast();

      vm.detach(second);
      assertThat(calls.sinceLast())
          .as("the last detach: device, UNSET_CONTAINER, container, group")
          .isEqualTo(Map.of("close", 3, "UNSET_CONTAINER", 1));
      assertThat(EduMachine.statusKib("VmLck")).isEqualTo(lockedBefore);
      try (Edu edu = Edu.openBehindVfio(EduMachine.R2)) {
        assertThat(copies(edu, buffer, 4)).as("DMA after the last has left").isFalse();
      }
      try (Edu edu = Edu.openBehindVfio(EduMachine.R1)) {
        assertThat(copies(edu, buffer, 5)).as("DMA of the other then").isFalse();
      }
    }
  }

  @Test
  void S05_S06_shouldKeepAWholeFunctionsDmaWhenTheWrappedOneLeaves() {
    IommuGroup whole = iommu.groupOf(EduMachine.R2).orElseThrow();
    for (boolean wrappedFirst : List.of(true, false)) {
      IommuGroup wrapped = EduMachine.wrapped(EduMachine.R1);
      try (MappedMemory buffer = MappedMemory.anonymous(SystemCalls.libc(), SIZE);
          Container vm = container("vm")) {
        vm.attach(wrappedFirst ? wrapped : whole);
        vm.attach(wrappedFirst ? whole : wrapped);
        vm.map(memory, buffer.address(), IOVA, SIZE, Container.MAP_READ | Container.MAP_WRITE);
        DeviceCalls device = iommu.openDevice(EduMachine.R2);
        vm.detach(wrapped);
        assertThat(copies(device, buffer, 6)).isTrue();
        vm.attach(wrapped);
        vm.detach(whole);
        assertThat(copies(device, buffer, 7)).as("the group is attached while one is").isTrue();
      }
    }
  }

  @Test
  void S07_S13_shouldRefuseAnotherContainerUntilTheLastUserHasLeft() {
    IommuGroup first = EduMachine.wrapped(EduMachine.R1);
    IommuGroup second = EduMachine.wrapped(EduMachine.R2);
    try (Container vm = container("vm 1");
        Container rival = container("vm 2")) {
      vm.attach(first);
      calls.sinceLast();
      VfioException refused = catchThrowableOfType(VfioException.class, () -> rival.attach(second));
      assertThat(refused.errno()).isEqualTo(Errno.EBUSY);
      assertThat(refused.refusal().holder().orElseThrow().name()).isEqualTo("vm 1");
      // Before 5.19 the engine asks whether a group is viable, and nothing but that.
      assertThat(calls.sinceLast())
          .as("what the kernel was asked")
          .isEqualTo(EduMachine.profile().ownership() ? Map.of() : Map.of("GET_STATUS", 1));
      vm.detach(first);
      rival.attach(second);
      assertThat(rival.useCount(iommu.groupOf(EduMachine.R1).orElseThrow())).isEqualTo(1);
    }
  }

  @Test
  void S18_shouldShareOneKernelContainerBetweenGroups() {
    IommuGroup a = iommu.groupOf(EduMachine.A).orElseThrow();
    try (MappedMemory buffer = MappedMemory.anonymous(SystemCalls.libc(), SIZE);
        Container vm = container("vm")) {
      vm.attach(a);
      vm.map(memory, buffer.address(), IOVA, SIZE, Container.MAP_READ | Container.MAP_WRITE);
      vm.attach(EduMachine.wrapped(EduMachine.R1));
      assertThat(vm.domains()).isEqualTo(1);
      assertThat(EduMachine.statusKib("VmLck") - lockedBefore)
          .as("pinned once for all groups")
          .isEqualTo(SIZE / 1024);
      assertThat(copies(iommu.openDevice(EduMachine.R1), buffer, 8)).isTrue();
      vm.detach(a);
      assertThat(copies(iommu.openDevice(EduMachine.R1), buffer, 9)).isTrue();
      try (Edu edu = Edu.openBehindVfio(EduMachine.A)) {
        assertThat(copies(edu, buffer, 10)).as("DMA of the group that left").isFalse();
      }
    }
  }

  @Test
  void D11_shouldNameTheStrangerWhoHasTheGroup() throws IOException, InterruptedException {
    int id = iommu.groupOf(EduMachine.R1).orElseThrow().id();
    Process stranger =
        new ProcessBuilder("bash", "-c", "exec 9<>/dev/vfio/" + id + " && echo open && read -r _")
            .start();
    try (Container vm = container("vm")) {
      assertThat(stranger.inputReader().readLine()).isEqualTo("open");
      VfioException refused =
          catchThrowableOfType(
              VfioException.class, () -> vm.attach(EduMachine.wrapped(EduMachine.R1)));
      assertThat(refused.errno()).isEqualTo(Errno.EBUSY);
      assertThat(refused.reason()).isEqualTo(Reason.GROUP_OPEN);
      assertThat(refused.refusal().call()).isEqualTo("open");
      assertThat(refused.refusal().holder().orElseThrow().name())
          .isEqualTo("process %d (bash)".formatted(stranger.pid()));
    } finally {
      stranger.destroy();
      stranger.waitFor();
    }
  }

  @Test
  void M05_shouldPassOnWhatTheKernelRefusesAndKeepNothingOfIt() {
    try (MappedMemory buffer = MappedMemory.anonymous(SystemCalls.libc(), SIZE);
        Container vm = container("vm")) {
      vm.attach(iommu.groupOf(EduMachine.A).orElseThrow());
      VfioException refused =
          catchThrowableOfType(
              VfioException.class,
              () -> vm.map(memory, 0x1000, IOVA, SIZE, Container.MAP_READ | Container.MAP_WRITE));
      assertThat(refused.errno()).isEqualTo(Errno.EFAULT);
      assertThat(refused.refusal().call()).isEqualTo("VFIO_IOMMU_MAP_DMA");
      assertThat(vm.mappings()).isZero();
      assertThat(EduMachine.statusKib("VmLck")).isEqualTo(lockedBefore);
      vm.map(memory, buffer.address(), IOVA, SIZE, Container.MAP_READ | Container.MAP_WRITE);
      assertThat(vm.unmap(memory, IOVA, SIZE)).isEqualTo(SIZE);
    }
  }

  @Test
  void shouldLogAndLetGoWhereTheKernelKeepsTheDeviceBusy() {
    IommuGroup group = iommu.groupOf(EduMachine.A).orElseThrow();
    try (Container vm = container("vm")) {
      vm.attach(group);
      DeviceCalls device = iommu.openDevice(EduMachine.A);
      try (var _ = device.descriptor().duplicate()) {
        vm.detach(group);
        VfioException busy =
            catchThrowableOfType(
                VfioException.class, () -> GroupCalls.open(SystemCalls.libc(), group.id()));
        assertThat(busy.errno()).isEqualTo(Errno.EBUSY);
      }
      vm.attach(group);
    }
  }
}
