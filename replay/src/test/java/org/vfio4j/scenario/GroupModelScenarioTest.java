// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.iommu.Device.Bus;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.MapSource;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.WatchedIommu.Call;
import org.vfio4j.type1.Container;

/** Rows G of kernel.md section 10 that no user can cause: hardware that refuses, odd groups. */
@OnEachKernel
class GroupModelScenarioTest extends ModelScenario {
  private final Function fa = Function.pci("A");
  private final Function fb = Function.pci("B");
  private final IommuGroup a = group(fa);
  private final IommuGroup b = group(fb);
  private final Container c = container("c");
  private final Container k = container("k");

  GroupModelScenarioTest(KernelProfile kernel) {
    super(kernel);
  }

  @Test
  void G01_shouldShareOneDomain() {
    c.attach(a);
    c.attach(b);
    assertThat(c.domains()).isEqualTo(1);
    assertThat(soft.census().domains()).isEqualTo(1);
    assertThat(soft.domainOf(b)).isEqualTo(soft.domainOf(a));
    map(c, IOVA, SIZE);
    assertThat(iommu.calls(Call.MAP)).isEqualTo(1);
  }

  @Test
  void G08_shouldRefuseTheSameGroupTwice() {
    c.attach(a);
    map(c, IOVA, SIZE);
    String before = state();
    assertThat(refused(Errno.EINVAL, () -> c.attach(a)).reason())
        .isEqualTo(Reason.ALREADY_ATTACHED);
    assertThat(state()).isEqualTo(before);
    IommuGroup plain = mdev(Isolation.PLAIN);
    c.attach(plain);
    refused(Errno.EINVAL, () -> c.attach(plain));
    c.detach(a);
    assertThat(reads(fa, IOVA)).isEmpty();
  }

  @Test
  void G09_shouldRefuseMembersOnSeveralBusesOrNone() {
    IommuGroup mixed = group(Function.pci("p"), new Function("platform", Bus.PLATFORM));
    IommuGroup mediated =
        group(Function.pci("q"), new MediatedDevice("m", "type", fa, Isolation.PLAIN));
    IommuGroup empty = group();
    String before = state();
    assertThat(refused(Errno.EINVAL, () -> c.attach(mixed)).reason()).isEqualTo(Reason.MIXED_BUSES);
    refused(Errno.EINVAL, () -> c.attach(mediated));
    refused(Errno.EIO, () -> c.attach(empty));
    assertThat(state()).isEqualTo(before);
    soft.addDevice(empty, Function.pci("late"));
  }

  @Test
  void G10_shouldStayOutsideWithoutADomain() {
    String before = state();
    iommu.fail(Call.ALLOCATE, 1, Errno.EIO);
    refused(Errno.EIO, () -> c.attach(a));
    assertThat(state()).isEqualTo(before);
    c.attach(a);
    map(c, IOVA, SIZE);
    assertThat(reads(fa, IOVA)).isNotEmpty();
  }

  @Test
  void G11_shouldPassOnWhatTheDriverAnswers() {
    c.attach(b);
    map(c, IOVA, SIZE);
    String before = state();
    for (Errno errno : List.of(Errno.EPERM, Errno.ENODEV, Errno.EFAULT, Errno.ENOMEM)) {
      iommu.fail(Call.ATTACH, 1, errno);
      refused(errno, () -> c.attach(a));
      assertThat(state()).isEqualTo(before);
    }
    c.attach(a);
    assertThat(reads(fa, IOVA)).isNotEmpty();
  }

  @Test
  void G14_shouldKeepDomainsOfUnequalCoherencyApart() {
    Function snooping = Function.pci("snooping");
    IommuGroup coherent = group(UNIT.withCoherent(true), List.of(), snooping);
    c.attach(a);
    assertThat(c.coherent()).isFalse();
    map(c, IOVA, SIZE);
    c.attach(coherent);
    assertThat(c.domains()).isEqualTo(2);
    assertThat(c.domainIndex(a)).isNotEqualTo(c.domainIndex(coherent));
    assertThat(c.coherent()).isFalse();
    map(c, SIZE, IOVA + SIZE, SIZE);
    assertThat(mm.lockedPages()).isEqualTo(32);
    fill(0, 7);
    fill(SIZE, 8);
    for (Function each : List.of(fa, snooping)) {
      assertThat(reads(each, IOVA)).hasValue(7);
      assertThat(reads(each, IOVA + SIZE)).hasValue(8);
    }
    assertThat(c.unmap(mm, IOVA, SIZE)).isEqualTo(SIZE);
    assertThat(reads(fa, IOVA)).isEmpty();
    assertThat(reads(snooping, IOVA)).isEmpty();
    c.detach(a);
    assertThat(c.coherent()).isTrue();
    assertThat(reads(snooping, IOVA + SIZE)).hasValue(8);
    assertThat(mm.lockedPages()).isEqualTo(16);
  }

  @Test
  void G15_shouldFallBackToAnOwnDomainWhenSharingIsRefused() {
    c.attach(a);
    map(c, IOVA, SIZE);
    fill(0, 7);
    iommu.fail(Call.ATTACH, 2, Errno.EINVAL);
    c.attach(b);
    assertThat(c.domains()).isEqualTo(2);
    assertThat(reads(fb, IOVA)).hasValue(7);

    Function third = Function.pci("third");
    IommuGroup g = group(third);
    iommu.fail(Call.ATTACH, 2, Errno.EINVAL);
    c.attach(g);
    assertThat(c.domains()).as("the next candidate takes it").isEqualTo(2);
    assertThat(c.domainIndex(g)).isEqualTo(c.domainIndex(a));
    assertThat(reads(third, IOVA)).hasValue(7);
    assertThat(mm.lockedPages()).isEqualTo(16);
    c.detach(a);
    assertThat(reads(third, IOVA)).hasValue(7);
    c.detach(g);
    assertThat(c.domains()).isEqualTo(1);
    assertThat(reads(fb, IOVA)).hasValue(7);
  }

  @Test
  void G16_shouldLeaveNothingWhenTheWayBackIsRefusedToo() {
    c.attach(a);
    map(c, IOVA, SIZE);
    String before = state();
    iommu.fail(Call.ATTACH, 2, Errno.EINVAL);
    iommu.fail(Call.ATTACH, 3, Errno.ENOMEM);
    refused(Errno.ENOMEM, () -> c.attach(b));
    assertThat(state()).isEqualTo(before);
    k.attach(b);
    refused(Errno.EBUSY, () -> c.attach(b));
    k.detach(b);
    c.attach(b);
    assertThat(c.domains()).isEqualTo(1);
    assertThat(reads(fb, IOVA)).isNotEmpty();
  }

  @Test
  void G21_shouldUnwindAPartialAttachWhereTheKernelDoes() {
    Function first = Function.pci("first");
    Function second = Function.pci("second");
    IommuGroup two = group(first, second);
    soft.enableAux(second, true);
    IommuDomain domain = soft.allocate(two);
    domain.map(IOVA, new MapSource.Memory(memory.asSlice(0, PAGE)), Mapping.READ);
    refused(Errno.EPERM, () -> domain.attach(two));
    assertThat(reads(first, IOVA).isPresent()).isEqualTo(byKernel(true, false, false, false));
    assertThat(reads(second, IOVA)).isEmpty();
    assertThat(soft.domainOf(two)).isEmpty();
    domain.close();
    assertThat(reads(first, IOVA)).as("by a freed domain").isEmpty();

    c.attach(a);
    map(c, IOVA, SIZE);
    String before = state();
    refused(Errno.EPERM, () -> c.attach(two));
    assertThat(reads(first, IOVA)).as("of the container").isEmpty();
    assertThat(state()).isEqualTo(before);
  }

  @Test
  void G22_shouldRefuseASecondAttachByTheDefaultDomainRule() {
    IommuDomain domain = soft.allocate(a);
    IommuDomain another = soft.allocate(a);
    domain.attach(a);
    refused(Errno.EBUSY, () -> domain.attach(a));
    refused(Errno.EBUSY, () -> another.attach(a));
    assertThat(soft.domainOf(a)).hasValue(domain);
    domain.detach(a);
    another.attach(a);
    another.detach(a);
    domain.close();
    another.close();
  }

  @Test
  void G23_shouldIgnoreADetachOfWhatIsNotAttached() {
    c.attach(a);
    map(c, IOVA, SIZE);
    String before = state();
    c.detach(b);
    k.detach(a);
    k.detach(b);
    assertThat(state()).isEqualTo(before);
    c.detach(a);
    String after = state();
    c.detach(a);
    assertThat(state()).isEqualTo(after);
    k.attach(a);
    map(k, IOVA, SIZE);
    c.detach(a);
    assertThat(reads(fa, IOVA)).as("detached again by who had it before").isNotEmpty();
  }

  @Test
  void G24_shouldNotProtectAGroupWithoutDefaultDomainByThatRule() {
    IommuUnit unit = UNIT.withDefaultDomain(false);
    Function function = Function.pci("bare");
    IommuGroup bare = group(unit, List.of(), function);
    IommuDomain domain = soft.allocate(bare);
    IommuDomain another = soft.allocate(bare);
    domain.attach(bare);
    if (claims()) {
      refused(Errno.EBUSY, () -> another.attach(bare));
    } else {
      another.attach(bare);
      assertThat(soft.domainOf(bare)).hasValue(another);
    }
    domain.detach(bare);
    domain.close();
    another.close();

    c.attach(bare);
    map(c, IOVA, SIZE);
    assertThat(refused(Errno.EBUSY, () -> k.attach(bare)).refusal().holder().orElseThrow().name())
        .isEqualTo("c");
    fill(0, 7);
    assertThat(reads(function, IOVA)).as("containers are kept apart all the same").hasValue(7);
  }

  @Test
  void G25_shouldDetachAllWhenItIsReleased() {
    IommuGroup plain = mdev(Isolation.PLAIN);
    IommuGroup wrapped = wrapped(fa);
    c.attach(a);
    c.attach(b);
    c.attach(plain);
    c.attach(wrapped);
    map(c, IOVA, SIZE);
    c.close();
    assertThat(c.groups()).isEmpty();
    assertThat(c.mappings()).isZero();
    assertThat(mm.lockedPages()).isZero();
    assertThat(reads(fa, IOVA)).isEmpty();
    k.attach(a);
    k.attach(b);
  }
}
