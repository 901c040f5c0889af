// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.iommu.DmaFault;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.WatchedIommu.Call;
import org.vfio4j.type1.Container;

/** Groups that change, leave or cannot be used, and what is told of their devices. */
@OnEachKernel
class GroupEdgeModelScenarioTest extends EdgeModelScenario {
  GroupEdgeModelScenarioTest(KernelProfile kernel) {
    super(kernel);
  }

  @Test
  void G12_shouldForgetMappingsWithTheLastGroup() {
    c.attach(a);
    map(c, IOVA, PAGE);
    c.detach(a);
    assertThat(c.mappings()).isZero();
    assertThat(mm.lockedPages()).isZero();
    assertThat(c.info().pageSizes()).isEqualTo(-PAGE);
  }

  @Test
  void S20_shouldPreferARealMsiWindowToADoorbell() {
    ReservedRegion doorbell = new ReservedRegion(0x8000000, 0x80fffff, ReservedRegion.Type.SW_MSI);
    ReservedRegion window = new ReservedRegion(0x9000000, 0x90fffff, ReservedRegion.Type.MSI);
    ReservedRegion other = new ReservedRegion(0xa000, 0xafff, ReservedRegion.Type.RESERVED);
    IommuGroup both = group(UNIT, List.of(doorbell, window), Function.pci("both"));
    c.attach(both);
    assertThat(iommu.calls(Call.MSI)).isZero();
    c.detach(both);
    IommuGroup soft1 = group(UNIT, List.of(other, doorbell), Function.pci("soft"));
    c.attach(soft1);
    assertThat(iommu.calls(Call.MSI)).isEqualTo(1);
    assertThat(iommu.doorbell()).hasValue(0x8000000);
  }

  @Test
  void S25_shouldWrapANotViableFunctionWhereTheSeedIsFollowedToTheLetter() {
    Function host = Function.pci("on a host driver");
    group(UNIT, List.of(), fa("sibling"), host);
    soft.bindHostDriver(host);
    IommuGroup w = wrapped(host);
    if (!claims()) {
      refused(Errno.EINVAL, () -> c.attach(w));
    }
    parameters.viableBackingOnly(false);
    c.attach(w);
    assertThat(c.useCount(soft.acquireGroup(host).map(this::released).orElseThrow())).isEqualTo(1);
  }

  private static Function fa(String name) {
    return Function.pci(name);
  }

  private IommuGroup released(IommuGroup group) {
    soft.release(group);
    return group;
  }

  @Test
  void G14_shouldMoveAMemberThatComesLateAndBlockOneThatGoes() {
    c.attach(a);
    map(c, IOVA, PAGE);
    fill(0, 7);
    Function late = Function.pci("late");
    soft.addDevice(a, late);
    assertThat(reads(late, IOVA)).hasValue(7);
    DmaPort port = soft.port(late);
    soft.removeDevice(late);
    assertThat(reads(port, IOVA)).isEmpty();
    assertThat(reads(fa, IOVA)).hasValue(7);
  }

  @Test
  void G15_shouldNotShareTablesWhosePagesTheOtherUnitHasNot() {
    long large = PAGE << 9;
    Function fb = Function.pci("B");
    IommuGroup b = group(UNIT.withPageSizes(PAGE), List.of(), fb);
    IommuGroup more = group(UNIT.withPageSizes(PAGE | large), List.of(), Function.pci("more"));
    c.attach(more);
    c.attach(b);
    assertThat(c.domains()).isEqualTo(2);
    assertThat(c.info().pageSizes()).isEqualTo(PAGE);
    c.detach(more);
    c.attach(more);
    assertThat(c.domains()).as("which has what those tables need").isEqualTo(1);
    c.detach(b);
    assertThat(c.info().pageSizes()).isEqualTo(PAGE);
  }

  @Test
  void S30_shouldBlockThePasidOfAnAuxDeviceThatLeaves() {
    Function parent = Function.pci("parent");
    group(UNIT, List.of(), parent);
    soft.enableAux(parent, true);
    IommuGroup x = mdev(new Isolation.Aux(parent));
    IommuGroup y = mdev(new Isolation.Aux(parent));
    c.attach(a);
    c.attach(x);
    c.attach(y);
    assertThat(c.domains()).isEqualTo(1);
    map(c, IOVA, PAGE);
    fill(0, 7);
    DmaPort port = soft.port(parent, FailingIommu.real(c.domainOf(x).orElseThrow()));
    c.detach(x);
    assertThat(reads(port, IOVA)).as("y has the same PASID").hasValue(7);
    c.detach(y);
    assertThat(reads(port, IOVA)).isEmpty();
    assertThat(reads(fa, IOVA)).as("the domain lives on").hasValue(7);
  }

  @Test
  void G23_shouldReportWhatADeviceMayNotDo() {
    c.attach(a);
    c.map(mm, vaddr, IOVA, PAGE, Container.MAP_READ);
    assertThat(soft.faults()).isEmpty();
    assertThat(reads(fa, 2 * IOVA)).isEmpty();
    assertThat(soft.faults())
        .containsExactly(new DmaFault("A", 2 * IOVA, 1, Mapping.READ, DmaFault.Cause.NOT_MAPPED));
    for (int i = 1; i <= 256; i++) {
      assertThat(reads(fa, 2 * IOVA + i)).isEmpty();
    }
    assertThat(soft.faults()).hasSize(256);
    assertThat(soft.faults().getFirst().iova()).isEqualTo(2 * IOVA + 1);
  }

  @Test
  void G10_shouldCountEveryClaimOfEveryGroup() {
    IommuGroup other = group(Function.pci("other"));
    a.ownership().claim(soft);
    a.ownership().claim(soft);
    other.ownership().claim(soft);
    assertThat(soft.census().claims()).isEqualTo(3);
    a.ownership().unclaim(soft);
    a.ownership().unclaim(soft);
    other.ownership().unclaim(soft);
  }
}
