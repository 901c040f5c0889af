// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.WatchedIommu.Call;
import org.vfio4j.type1.Container;

/** Rows S of kernel.md section 10 below the user API: what the hardware is asked, and refuses. */
@OnEachKernel
class WrappedModelScenarioTest extends ModelScenario {
  private final Function fa = Function.pci("A");
  private final Function fc = Function.pci("C");
  private final IommuGroup a = group(fa);
  private final IommuGroup unrelated = group(fc);
  private final IommuGroup w1 = wrapped(fa);
  private final IommuGroup w2 = wrapped(fa);
  private final Container c = container("c");
  private final Container k = container("k");

  WrappedModelScenarioTest(KernelProfile kernel) {
    super(kernel);
  }

  @Test
  void S06_shouldAttachTheHardwareOnceAndDetachItWithTheLastUser() {
    List<IommuGroup> users = List.of(a, w1, w2);
    for (int shift = 0; shift < 6; shift++) {
      final int attached = iommu.calls(Call.ATTACH);
      final int allocated = iommu.calls(Call.ALLOCATE);
      final int detached = iommu.calls(Call.DETACH);
      for (int i = 0; i < 3; i++) {
        c.attach(users.get((i + shift) % 3));
        assertThat(c.useCount(a)).isEqualTo(i + 1);
      }
      assertThat(iommu.calls(Call.ATTACH)).isEqualTo(attached + 1);
      assertThat(iommu.calls(Call.ALLOCATE)).as("nothing in vain").isEqualTo(allocated + 1);
      int step = shift < 3 ? 1 : 2;
      for (int i = 0; i < 3; i++) {
        assertThat(iommu.calls(Call.DETACH)).isEqualTo(detached);
        assertThat(soft.domainOf(a)).isPresent();
        c.detach(users.get((shift + 1 + i * step) % 3));
        assertThat(c.useCount(a)).isEqualTo(2 - i);
      }
      assertThat(iommu.calls(Call.DETACH)).isEqualTo(detached + 1);
      assertThat(soft.domainOf(a)).isEmpty();
      assertThat(c.domains()).isZero();
    }
  }

  @Test
  void S16_shouldNotEvictTheNextOwnerByALateDetach() {
    c.attach(unrelated);
    c.attach(a);
    c.attach(w1);
    c.detach(a);
    c.detach(w1);
    k.attach(w2);
    map(k, IOVA, SIZE);
    final int detached = iommu.calls(Call.DETACH);
    c.detach(a);
    c.detach(w1);
    c.detach(w2);
    assertThat(iommu.calls(Call.DETACH)).isEqualTo(detached);
    assertThat(reads(fa, IOVA)).isNotEmpty();
    refused(Errno.EBUSY, () -> c.attach(a));
    refused(Errno.EBUSY, () -> container("third").attach(w1));
  }

  @Test
  void S18_shouldNotReplayForAUserThatJoins() {
    c.attach(unrelated);
    map(c, IOVA, SIZE);
    final int mapped = iommu.calls(Call.MAP);
    c.attach(w1);
    assertThat(c.domains()).isEqualTo(1);
    assertThat(c.domainIndex(w1)).isEqualTo(c.domainIndex(unrelated));
    final int attached = iommu.calls(Call.ATTACH);
    c.attach(a);
    assertThat(iommu.calls(Call.MAP)).isEqualTo(mapped);
    assertThat(iommu.calls(Call.ATTACH)).isEqualTo(attached);
    assertThat(mm.lockedPages()).isEqualTo(16);
  }

  @Test
  void S09_shouldJoinTheDomainThatHoldsTheGroupNotTheNewest() {
    c.attach(w1);
    Function snooping = Function.pci("snooping");
    IommuGroup other = group(UNIT.withCoherent(true), List.of(), snooping);
    c.attach(other);
    c.attach(w2);
    assertThat(c.domainIndex(w2)).isEqualTo(c.domainIndex(w1)).isNotEqualTo(c.domainIndex(other));
    c.detach(w1);
    map(c, IOVA, SIZE);
    assertThat(reads(fa, IOVA)).isNotEmpty();
    c.detach(w2);
    assertThat(c.domains()).isEqualTo(1);
    assertThat(reads(snooping, IOVA)).isNotEmpty();
  }

  @Test
  void S18_shouldReadAllPagesDirtyOnceAUserJoinsThatDoesNotPin() {
    c.attach(w1);
    c.onUnmap(w1, (iova, size) -> c.unpinAll(w1, iova, size));
    map(c, IOVA, 4 * PAGE);
    c.pin(w1, List.of(IOVA), BOTH);
    c.startDirtyTracking();
    assertThat(dirty()).isEqualTo(1);
    c.attach(a);
    assertThat(dirty()).isEqualTo(0xf);
    c.detach(a);
    assertThat(dirty()).as("once more").isEqualTo(0xf);
    assertThat(dirty()).isEqualTo(1);
    assertThat(mm.lockedPages()).as("pins that the domain has counted").isEqualTo(4);
  }

  private long dirty() {
    long[] bitmap = new long[1];
    c.dirtyBitmap(IOVA, 4 * PAGE, PAGE, bitmap);
    return bitmap[0] & 0xf;
  }

  @Test
  void S20_shouldPrepareTheDoorbellOfTheBackingGroup() {
    Function arm = Function.pci("arm");
    ReservedRegion doorbell = new ReservedRegion(0x8000000, 0x80fffff, ReservedRegion.Type.SW_MSI);
    group(UNIT, List.of(doorbell), arm);
    c.attach(wrapped(arm));
    assertThat(iommu.calls(Call.MSI)).isEqualTo(1);
    refused(Errno.EINVAL, () -> map(c, 0x8000000, PAGE));
    c.attach(wrapped(arm));
    assertThat(iommu.calls(Call.MSI)).isEqualTo(1);
  }

  @Test
  void S25_shouldRefuseABackingGroupWithoutInterruptRemapping() {
    Function unsafe = Function.pci("unsafe");
    group(UNIT.withInterruptRemapping(false), List.of(), unsafe);
    IommuGroup w = wrapped(unsafe);
    String before = state();
    assertThat(refused(Errno.EPERM, () -> c.attach(w)).reason())
        .isEqualTo(Reason.INTERRUPTS_NOT_ISOLATED);
    assertThat(state()).isEqualTo(before);
    c.attach(unrelated);
    before = state();
    refused(Errno.EPERM, () -> c.attach(w));
    assertThat(state()).isEqualTo(before);
    parameters.allowUnsafeInterrupts(true);
    c.attach(w);
  }

  @Test
  void S26_shouldRefuseAWrappedFunctionWithoutIommuGroup() {
    IommuGroup orphan = wrapped(Function.pci("in no group"));
    c.attach(unrelated);
    String before = state();
    assertThat(refused(Errno.EINVAL, () -> c.attach(orphan)).reason())
        .isEqualTo(Reason.NO_BACKING_GROUP);
    assertThat(state()).isEqualTo(before);
    assertThat(iommu.calls(Call.ALLOCATE)).isEqualTo(1);
    c.attach(w1);
    map(c, IOVA, SIZE);
    assertThat(reads(fa, IOVA)).isNotEmpty();
  }

  @Test
  void S27_shouldAnswerAFailedAllocationWithEnomem() {
    String before = state();
    iommu.fail(Call.ALLOCATE, 1, Errno.ENOMEM);
    refused(Errno.ENOMEM, () -> c.attach(w1));
    iommu.fail(Call.OPEN, 1, Errno.ENOMEM);
    refused(Errno.ENOMEM, () -> c.attach(w1));
    iommu.fail(Call.ACQUIRE, 1, Errno.ENOMEM);
    refused(Errno.ENOMEM, () -> c.attach(w1));
    assertThat(state()).isEqualTo(before);
    c.attach(w1);
    map(c, IOVA, SIZE);
    assertThat(reads(fa, IOVA)).isNotEmpty();
  }

  /** Every call into the IOMMU fails once, in containers of every kind: nothing changes by it. */
  @Test
  void S27_shouldChangeNothingWhicheverCallFails() {
    Function graphics = Function.pci("graphics");
    soft.addDevice(unrelated, graphics);
    Function snooping = Function.pci("snooping");
    IommuGroup coherent = group(UNIT.withCoherent(true), List.of(), snooping);
    Function parent = Function.pci("parent");
    group(parent);
    soft.enableAux(parent, true);
    IommuGroup aux = mdev(new Isolation.Aux(parent), new Isolation.Aux(parent));
    c.attach(mdev(Isolation.PLAIN));
    map(c, IOVA, SIZE);
    map(c, SIZE, IOVA + SIZE, SIZE);
    for (IommuGroup each : List.of(w1, a, coherent, unrelated, aux, w2)) {
      attachWithEveryFailure(each);
    }
    for (long iova = 2 * IOVA; iova < 2 * IOVA + 2 * PAGE; iova += PAGE) {
      mapWithEveryFailure(iova);
    }
    fill(0, 7);
    for (Function each : List.of(fa, snooping, fc, graphics)) {
      assertThat(reads(each, IOVA)).hasValue(7);
    }
    for (IommuGroup each : List.of(a, w1, coherent, aux, unrelated)) {
      c.detach(each);
      assertThat(reads(fa, IOVA)).as("w2 stays").hasValue(7);
    }
  }

  private void attachWithEveryFailure(IommuGroup group) {
    String before = state();
    for (int nth = 1; ; nth++) {
      final int calls = iommu.fallibleCalls();
      iommu.failAny(nth);
      boolean attached = attaches(group);
      iommu.failNoMore();
      if (attached && iommu.fallibleCalls() - calls < nth) {
        return;
      }
      if (attached) {
        // Sharing a domain may be refused without harm; the next round wants the group out again.
        c.detach(group);
      }
      assertThat(state()).as("%s, call %d", group, nth).isEqualTo(before);
    }
  }

  private boolean attaches(IommuGroup group) {
    try {
      c.attach(group);
      return true;
    } catch (VfioException refused) {
      assertThat(refused.errno()).isEqualTo(Errno.ENOMEM);
      return false;
    }
  }

  private void mapWithEveryFailure(long iova) {
    String before = state();
    for (int nth = 1; nth <= c.domains(); nth++) {
      iommu.failAny(nth);
      refused(Errno.ENOMEM, () -> map(c, iova, PAGE));
      iommu.failNoMore();
      assertThat(state()).isEqualTo(before);
    }
    map(c, iova, PAGE);
  }

  @Test
  void S31_shouldAttachAGroupOfTwoMembersOnce() {
    IommuGroup both = mdev(new Isolation.Backed(fa), new Isolation.Backed(fa));
    c.attach(both);
    assertThat(iommu.calls(Call.ATTACH)).isEqualTo(1);
    assertThat(c.useCount(a)).isEqualTo(1);
    assertThat(soft.census().references()).isEqualTo(1);
    map(c, IOVA, SIZE);
    assertThat(reads(fa, IOVA)).isNotEmpty();
    c.detach(both);
    assertThat(iommu.calls(Call.DETACH)).isEqualTo(1);
  }

  @Test
  void S31_shouldTreatMembersThatDisagreeAsPlain() {
    IommuGroup mixed = mdev(new Isolation.Backed(fa), new Isolation.Backed(fc));
    c.attach(mixed);
    assertThat(c.hasEmulated()).isTrue();
    assertThat(c.domainIndex(mixed)).isEqualTo(-1);
    assertThat(iommu.calls(Call.ATTACH)).isZero();
    map(c, IOVA, SIZE);
    assertThat(mm.lockedPages()).isZero();
    assertThat(soft.port(fa).reaches(IOVA, Mapping.READ)).isFalse();
    k.attach(a);
  }

  @Test
  void S32_shouldIgnoreTheDetachOfAGroupThatItDoesNotTrack() {
    c.attach(w1);
    map(c, IOVA, SIZE);
    k.attach(unrelated);
    String before = state();
    c.detach(w2);
    c.detach(a);
    c.detach(unrelated);
    k.detach(w1);
    k.detach(a);
    assertThat(state()).isEqualTo(before);
    assertThat(iommu.calls(Call.DETACH)).isZero();
  }

  @Test
  void S32_shouldKeepAGroupWithoutDefaultDomainForItsContainer() {
    Function bare = Function.pci("bare");
    IommuUnit unit = UNIT.withDefaultDomain(false);
    IommuGroup g = group(unit, List.of(), bare);
    IommuGroup w = wrapped(bare);
    c.attach(g);
    map(c, IOVA, SIZE);
    fill(0, 7);
    String before = state();
    refused(Errno.EBUSY, () -> k.attach(w));
    assertThat(state()).isEqualTo(before);
    assertThat(reads(bare, IOVA)).hasValue(7);
    IommuGroup again = wrapped(bare);
    c.attach(again);
    c.detach(g);
    refused(Errno.EBUSY, () -> k.attach(w));
    assertThat(reads(bare, IOVA)).as("one user has left, one is there").hasValue(7);
    c.detach(again);
    k.attach(w);
    refused(Errno.EBUSY, () -> c.attach(g));
  }
}
