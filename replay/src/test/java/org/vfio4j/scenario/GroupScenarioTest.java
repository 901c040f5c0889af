// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.vfio4j.scenario.ScenarioBench.A;
import static org.vfio4j.scenario.ScenarioBench.B;
import static org.vfio4j.scenario.ScenarioBench.C;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.soft.SoftVfio;
import org.vfio4j.testing.WatchedIommu;

/** Rows G of kernel.md section 10 that a user can see: attach and detach of whole groups. */
@OnEachKernel
class GroupScenarioTest extends ApiScenario {
  GroupScenarioTest(KernelProfile kernel) {
    super(kernel);
  }

  @Test
  void G01_shouldAttachAllGroupsOfAContainer() {
    int c = containerOf(vm, A, B);
    vm.map(c, IOVA, SIZE);
    vm.fill(0, 7);
    assertThat(bench.reads(A, IOVA)).hasValue(7);
    assertThat(bench.reads(B, IOVA)).hasValue(7);
  }

  @Test
  void G02_shouldShowExistingMappingsToAGroupThatJoins() {
    int c = containerOf(vm, A);
    vm.map(c, IOVA, SIZE);
    int b = vm.group(B);
    vm.set(b, c);
    assertThat(vm.locked()).isEqualTo(SIZE / KIB);
    assertThat(vm.dma(vm.dev(b, B), IOVA)).isTrue();
  }

  @Test
  void G03_shouldKeepMappingsForTheGroupThatStays() {
    int a = vm.group(A);
    int b = vm.group(B);
    int c = containerOfBoth(a, b);
    vm.unset(a);
    assertThat(bench.reads(A, IOVA)).isEmpty();
    assertThat(vm.dma(vm.dev(b, B), IOVA)).isTrue();
    assertThat(vm.locked()).isEqualTo(SIZE / KIB);
    assertThat(vm.unmap(c, IOVA, SIZE)).isEqualTo(SIZE);
  }

  private int containerOfBoth(int a, int b) {
    int c = vm.container();
    vm.set(a, c);
    vm.iommu(c);
    vm.map(c, IOVA, SIZE);
    vm.set(b, c);
    return c;
  }

  @Test
  void G04_shouldTakeAGroupBack() {
    int a = vm.group(A);
    int c = containerOfBoth(a, vm.group(B));
    vm.unset(a);
    vm.set(a, c);
    assertThat(vm.dma(vm.dev(a, A), IOVA)).isTrue();
    assertThat(vm.locked()).isEqualTo(SIZE / KIB);
  }

  @Test
  void G05_shouldForgetEverythingWithTheLastGroup() {
    int a = vm.group(A);
    int b = vm.group(B);
    int c = containerOfBoth(a, b);
    vm.unset(a);
    vm.unset(b);
    assertThat(vm.locked()).isZero();
    refused(Errno.EINVAL, () -> vm.api().info(c, 4096));
    assertThat(bench.reads(A, IOVA)).isEmpty();
    assertThat(bench.reads(B, IOVA)).isEmpty();
  }

  @Test
  void G06_shouldKeepContainersApart() {
    int c = containerOf(vm, A);
    int k = containerOf(vm, B);
    vm.map(c, 0, IOVA, SIZE);
    vm.map(k, SIZE, IOVA, SIZE);
    vm.fill(0, 7);
    vm.fill(SIZE, 8);
    assertThat(bench.reads(A, IOVA)).hasValue(7);
    assertThat(bench.reads(B, IOVA)).hasValue(8);
    assertThat(bench.writes(B, IOVA, (byte) 9)).isTrue();
    assertThat(vm.peek(0)).isEqualTo(7);
    assertThat(vm.peek(SIZE)).isEqualTo(9);
    assertThat(vm.unmap(c, IOVA, SIZE)).isEqualTo(SIZE);
    assertThat(bench.reads(A, IOVA)).isEmpty();
    assertThat(bench.reads(B, IOVA)).hasValue(9);
  }

  @Test
  void G07_shouldStopDmaAfterUnmap() {
    int a = vm.group(A);
    int c = vm.container();
    vm.set(a, c);
    vm.iommu(c);
    int d = vm.dev(a, A);
    vm.map(c, IOVA, SIZE);
    assertThat(vm.dma(d, IOVA)).isTrue();
    vm.unmap(c, IOVA, SIZE);
    assertThat(vm.dma(d, IOVA)).isFalse();
    vm.fill(0, 7);
    assertThat(bench.writes(A, IOVA, (byte) 9)).isFalse();
    assertThat(vm.peek(0)).isEqualTo(7);
    vm.map(c, 0, IOVA, SIZE, 1);
    assertThat(bench.reads(A, IOVA)).hasValue(7);
    assertThat(bench.writes(A, IOVA, (byte) 9)).as("write by a read-only mapping").isFalse();
    assertThat(vm.peek(0)).isEqualTo(7);
  }

  @Test
  void G12_shouldRefuseGroupsWhoseInterruptsAreNotRemapped() {
    try (ScenarioBench unsafe = ScenarioBench.open(kernel, false)) {
      User user = unsafe.process("vm");
      int a = user.group(A);
      int b = user.group(B);
      int c = user.container();
      user.set(a, c);
      refused(Errno.EPERM, Reason.INTERRUPTS_NOT_ISOLATED, () -> user.iommu(c));
      refused(Errno.EINVAL, () -> user.api().info(c, 4096));
      unsafe.parameter("allow_unsafe_interrupts", "Y");
      user.iommu(c);
      unsafe.parameter("allow_unsafe_interrupts", "N");
      refused(Errno.EPERM, () -> user.set(b, c));
      assertThat(user.status(b)).isEqualTo(1);
      unsafe.parameter("allow_unsafe_interrupts", "Y");
      user.set(b, c);
      user.map(c, IOVA, SIZE);
      assertThat(user.dma(user.dev(b, B), IOVA)).isTrue();
    }
  }

  @Test
  void G13_shouldDetachAllWhenOneGroupOfSetIommuIsRefused() {
    String wrapped = bench.wrap(A);
    int k = containerOf(vm, wrapped);
    int a = vm.group(A);
    int b = vm.group(B);
    int g = vm.group(C);
    int c = vm.container();
    vm.set(a, c);
    vm.set(b, c);
    vm.set(g, c);
    assertThat(refused(Errno.EBUSY, () -> vm.iommu(c)).refusal().call())
        .isEqualTo("VFIO_SET_IOMMU");
    refused(Errno.EINVAL, () -> vm.api().info(c, 4096));
    vm.map(k, IOVA, SIZE);
    assertThat(vm.status(b)).isEqualTo(3);
    vm.unset(b);
    int other = vm.container();
    vm.set(b, other);
    vm.iommu(other);
    vm.unset(a);
    vm.iommu(c);
    assertThat(vm.status(g)).isEqualTo(3);
    vm.map(c, SIZE, IOVA, SIZE);
    vm.fill(SIZE, 8);
    assertThat(bench.reads(C, IOVA)).hasValue(8);
  }

  @Test
  void G13_shouldDetachInReverseOrder() {
    List<String> detached = new ArrayList<>();
    SoftMachine machine = new SoftMachine(kernel, real -> refusingTheFirst(real, detached));
    List<String> names = List.of("0000:00:01.0", "0000:00:02.0", "0000:00:03.0");
    for (String name : names) {
      IommuGroup group = machine.addGroup(names.indexOf(name) + 1, IommuUnit.VT_D, List.of());
      machine.addFunction(SoftFunction.endpoint(name, 0x1234, 0x11e8), Optional.of(group));
      machine.bind(name, "vfio-pci");
    }
    try (SoftVfio process = machine.process("vm")) {
      int c = process.container();
      List<Integer> groups = names.stream().map(process::group).toList();
      groups.forEach(g -> process.setContainer(g, c));
      refused(Errno.EBUSY, () -> process.setIommu(c, 3));
      assertThat(detached.subList(detached.size() - 2, detached.size()))
          .as("attached was the newest first, so 3 before 2")
          .containsExactly("group 2", "group 3");
      refused(Errno.EINVAL, () -> process.info(c, 4096));
      groups.forEach(g -> assertThat(process.groupStatus(g, 8)).isEqualTo(3));
    }
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  /** An IOMMU whose group 1 somebody has. */
  private static Iommu refusingTheFirst(Iommu real, List<String> detached) {
    return new WatchedIommu(real) {
      @Override
      protected void before(Call call, Object on) {
        if (call == Call.OPEN && on.toString().equals("group 1")) {
          throw new VfioException(Errno.EBUSY, Reason.BACKING_GROUP_HELD, "planned");
        }
      }

      @Override
      protected void after(Call call, Object on) {
        if (call == Call.DETACH) {
          detached.add(on.toString());
        }
      }
    };
  }
}
