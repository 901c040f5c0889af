// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.Q35;
import org.vfio4j.testing.WatchedIommu.Call;
import org.vfio4j.type1.Container;

/** Rows S28 to S30 of kernel.md section 10: devices on a PASID of their parent never share. */
@OnEachKernel
class AuxScenarioTest extends ModelScenario {
  private final Function fa = Function.pci("A");
  private final IommuGroup a = group(fa);
  private final IommuGroup x1 = mdev(new Isolation.Aux(fa));
  private final IommuGroup x2 = mdev(new Isolation.Aux(fa));
  private final Container c = container("c");
  private final Container k = container("k");

  AuxScenarioTest(KernelProfile kernel) {
    super(kernel);
  }

  /** The port of the parent's PASID on which the group is. */
  private DmaPort port(Container container, IommuGroup group) {
    return port(container, group, fa);
  }

  private DmaPort port(Container container, IommuGroup group, Function parent) {
    return soft.port(parent, FailingIommu.real(container.domainOf(group).orElseThrow()));
  }

  @Test
  void S28_shouldCountTheDevicesOnOnePasid() {
    soft.enableAux(fa, true);
    c.attach(x1);
    c.attach(x2);
    assertThat(c.domains()).isEqualTo(1);
    assertThat(soft.census().pasids()).isEqualTo(1);
    assertThat(c.useCount(a)).as("not tracked by backing group").isZero();
    map(c, IOVA, SIZE);
    fill(0, 7);
    final DmaPort stays = port(c, x2);
    assertThat(reads(port(c, x1), IOVA)).hasValue(7);
    c.detach(x1);
    assertThat(soft.census().pasids()).isEqualTo(1);
    assertThat(reads(stays, IOVA)).hasValue(7);
    assertThat(reads(fa, IOVA)).as("the parent's own requests").isEmpty();
    c.detach(x2);
    assertThat(soft.census().pasids()).isZero();
    assertThat(reads(stays, IOVA)).isEmpty();
  }

  @Test
  void S28_shouldBindAndFreeThePasidsOfAllMembers() {
    Function fb = Function.pci("B");
    group(fb);
    soft.enableAux(fa, true);
    soft.enableAux(fb, true);
    IommuGroup two = mdev(new Isolation.Aux(fa), new Isolation.Aux(fa));
    c.attach(two);
    assertThat(iommu.calls(Call.ATTACH_AUX)).isEqualTo(2);
    assertThat(soft.census().pasids()).isEqualTo(1);
    c.detach(two);
    assertThat(soft.census().pasids()).isZero();
    String before = state();
    iommu.fail(Call.ATTACH_AUX, 2, Errno.ENODEV);
    refused(Errno.ENODEV, () -> c.attach(two));
    assertThat(state()).isEqualTo(before);
    c.attach(mdev(new Isolation.Aux(fb)));
    before = state();
    iommu.fail(Call.ATTACH_AUX, 2, Errno.ENODEV);
    refused(Errno.ENODEV, () -> c.attach(two));
    assertThat(state()).isEqualTo(before);
    c.attach(two);
    assertThat(soft.census().pasids()).isEqualTo(2);
  }

  @Test
  void S29_shouldNotCountAnAuxDeviceOnItsAttachedParent() {
    c.attach(a);
    map(c, IOVA, SIZE);
    fill(0, 7);
    assertThat(refused(Errno.EPERM, () -> c.attach(x1)).reason()).isEqualTo(Reason.AUX_MODE);
    soft.enableAux(fa, true);
    c.attach(x1);
    assertThat(c.useCount(a)).isEqualTo(1);
    assertThat(iommu.calls(Call.ATTACH_AUX)).isPositive();
    assertThat(soft.census().pasids()).isEqualTo(1);
    assertThat(reads(port(c, x1), IOVA)).hasValue(7);
    c.detach(x1);
    assertThat(soft.census().pasids()).isZero();
    assertThat(reads(fa, IOVA)).hasValue(7);
    c.attach(x1);
    final DmaPort aux = port(c, x1);
    c.detach(a);
    assertThat(reads(fa, IOVA)).isEmpty();
    assertThat(reads(aux, IOVA)).hasValue(7);
    String before = state();
    assertThat(refused(Errno.EPERM, () -> c.attach(a)).reason()).isEqualTo(Reason.AUX_MODE);
    refused(Errno.EPERM, () -> k.attach(wrapped(fa)));
    assertThat(state()).startsWith(before);
  }

  @Test
  void S30_shouldKeepPasidsOfOneParentApart() {
    soft.enableAux(fa, true);
    c.attach(x1);
    k.attach(x2);
    assertThat(soft.census().pasids()).isEqualTo(2);
    map(c, 0, IOVA, SIZE);
    map(k, SIZE, IOVA, SIZE);
    fill(0, 7);
    fill(SIZE, 8);
    final DmaPort first = port(c, x1);
    final DmaPort second = port(k, x2);
    assertThat(reads(first, IOVA)).hasValue(7);
    assertThat(reads(second, IOVA)).hasValue(8);
    c.detach(x1);
    assertThat(reads(first, IOVA)).isEmpty();
    assertThat(reads(second, IOVA)).hasValue(8);
    assertThat(second.reaches(IOVA, Mapping.WRITE)).isTrue();
  }

  @Test
  void S30_shouldRefuseWhenTheParentHasNoPasidLeft() {
    Function small = Function.pci("small");
    group(UNIT.withPasids(1), List.of(Q35.MSI), small);
    soft.enableAux(small, true);
    IommuGroup first = mdev(new Isolation.Aux(small));
    IommuGroup second = mdev(new Isolation.Aux(small));
    c.attach(first);
    map(c, IOVA, SIZE);
    fill(0, 7);
    String before = state();
    refused(Errno.ENODEV, () -> k.attach(second));
    assertThat(state()).isEqualTo(before);
    assertThat(reads(port(c, first, small), IOVA)).hasValue(7);
    c.detach(first);
    k.attach(second);
  }
}
