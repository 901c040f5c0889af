// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.mdev.MediatedGroup;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.WatchedIommu;

/** What the public methods of a container promise, asked of it directly. */
class ContainerContractTest {
  private static final long PAGE = AddressSpace.PAGE;
  private static final int READ = Container.MAP_READ;

  private record Function(String name) implements Device {
    @Override
    public Bus bus() {
      return Bus.PCI;
    }
  }

  private final SoftIommu soft = new SoftIommu(KernelProfile.DEFAULT);
  private final Function function = new Function("0000:00:02.0");
  private final Function second = new Function("0000:00:03.0");
  private final IommuGroup group = soft.addGroup(1, IommuUnit.VT_D, List.of());
  private final IommuGroup other = soft.addGroup(2, IommuUnit.VT_D, List.of());
  private final AddressSpace mm = new AddressSpace();
  private final long vaddr = mm.place(MemorySegment.ofArray(new long[512 * 16]));

  ContainerContractTest() {
    soft.addDevice(group, function);
    soft.addDevice(other, second);
  }

  private static Container container(Iommu iommu, KernelProfile profile, Type1 type) {
    return new Container("c", iommu, profile, type, new Type1Parameters());
  }

  private Container container(Iommu iommu) {
    return container(iommu, KernelProfile.DEFAULT, Type1.V2);
  }

  private static VfioException refused(ThrowingCallable call) {
    VfioException refused = catchThrowableOfType(VfioException.class, call);
    assertThat(refused).as("nothing was refused").isNotNull();
    return refused;
  }

  private MediatedGroup plain(int id) {
    return new MediatedGroup(
        id, new MediatedDevice("mdev" + id, "plain", function, Isolation.PLAIN));
  }

  /** B17: who gives a mapping its new address has it from then on, and pays for it. */
  @Test
  void shouldMoveTheAccountWithTheAddress() {
    Container c = container(soft);
    c.attach(group);
    c.map(mm, vaddr, 0, 16 * PAGE, READ);
    AddressSpace next = new AddressSpace();
    long there = next.place(MemorySegment.ofArray(new long[512 * 16]));
    c.unmap(mm, 0, 16 * PAGE, Container.UNMAP_VADDR, new long[0], 0);
    next.ipcLock(false);
    next.limit(15 * PAGE);
    assertThat(refused(() -> c.map(next, there, 0, 16 * PAGE, Container.MAP_VADDR)).errno())
        .isEqualTo(Errno.ENOMEM);
    assertThat(mm.lockedPages()).isEqualTo(16);
    assertThat(next.lockedPages()).isZero();
    next.limit(16 * PAGE);
    c.map(next, there, 0, 16 * PAGE, Container.MAP_VADDR);
    assertThat(mm.lockedPages()).isZero();
    assertThat(next.lockedPages()).isEqualTo(16);
    c.detach(group);
    assertThat(next.lockedPages()).isZero();
  }

  /** B17: later pins look where the mapping's memory is now. */
  @Test
  void shouldPinTheMemoryOfTheNewOwner() {
    Container c = container(soft);
    c.map(mm, vaddr, 0, PAGE, READ);
    AddressSpace next = new AddressSpace();
    c.unmap(mm, 0, PAGE, Container.UNMAP_VADDR, new long[0], 0);
    c.map(next, vaddr, 0, PAGE, Container.MAP_VADDR);
    assertThat(refused(() -> c.attach(group)).errno()).isEqualTo(Errno.EFAULT);
    next.place(vaddr, MemorySegment.ofArray(new long[512]), true);
    c.attach(group);
    assertThat(mm.lockedPages()).isZero();
    assertThat(next.lockedPages()).isEqualTo(1);
  }

  /** B19. */
  @Test
  void shouldTrackNoDirtyPagesOnV1() {
    Container c = container(soft, KernelProfile.DEFAULT, Type1.V1);
    assertThat(refused(c::startDirtyTracking).errno()).isEqualTo(Errno.EACCES);
    assertThat(refused(c::stopDirtyTracking).errno()).isEqualTo(Errno.EACCES);
    assertThat(refused(() -> c.dirtyBitmap(0, PAGE, PAGE, new long[1])).errno())
        .isEqualTo(Errno.EACCES);
  }

  /** B20. */
  @Test
  void shouldUnpinWhatOneDriverPinnedAndNoMore() {
    Container c = container(soft);
    MediatedGroup a = plain(10);
    MediatedGroup b = plain(11);
    c.attach(a);
    c.attach(b);
    c.onUnmap(a, (iova, size) -> c.unpinAll(a, iova, size));
    c.onUnmap(b, (iova, size) -> c.unpinAll(b, iova, size));
    c.map(mm, vaddr, 0, 4 * PAGE, READ);
    c.pin(a, List.of(0L, PAGE, PAGE), READ);
    c.pin(b, List.of(PAGE, 2 * PAGE), READ);
    assertThat(mm.lockedPages()).isEqualTo(3);
    c.unpinAll(a, 0, 4 * PAGE);
    assertThat(mm.lockedPages()).as("what b pinned").isEqualTo(2);
    c.unpinAll(a, 0, 4 * PAGE);
    assertThat(mm.lockedPages()).isEqualTo(2);
    c.unpinAll(b, 2 * PAGE, PAGE);
    assertThat(mm.lockedPages()).as("outside of the range").isEqualTo(1);
    assertThat(c.unmap(mm, 0, 4 * PAGE)).isEqualTo(4 * PAGE);
    assertThat(mm.lockedPages()).isZero();
  }

  /**
   * B20: who cannot be told of an unmap loses his pins with the mapping, and keeps nobody waiting.
   */
  @Test
  void shouldUnmapWhatOnlyADriverWithoutListenerPinned() {
    Container c = container(soft);
    MediatedGroup a = plain(10);
    MediatedGroup b = plain(11);
    c.attach(a);
    c.attach(b);
    c.onUnmap(a, (iova, size) -> c.unpinAll(a, iova, size));
    c.map(mm, vaddr, 0, PAGE, READ);
    c.pin(b, List.of(0L), READ);
    assertThat(c.unmap(mm, 0, PAGE)).isEqualTo(PAGE);
    assertThat(mm.lockedPages()).isZero();
  }

  /** B22: a function that is unplugged while its group is attached. */
  @Test
  void shouldAnswerEnodevForAFunctionThatIsGone() {
    Iommu unplugging =
        new WatchedIommu(soft) {
          @Override
          protected void after(Call call, Object on) {
            if (call == Call.ATTACH) {
              soft.removeDevice(function);
            }
          }
        };
    Container c = container(unplugging);
    VfioException gone = refused(() -> c.attach(group));
    assertThat(gone.errno()).isEqualTo(Errno.ENODEV);
    assertThat(gone.refusal().devices()).containsExactly(function.name());
    assertThat(soft.census()).isEqualTo(SoftIommu.Census.EMPTY);
    assertThat(c.domains()).isZero();
  }

  /** B22, for PASIDs: one that is bound already goes with its function. */
  @Test
  void shouldDetachAnAuxDeviceWhoseParentIsGone() {
    soft.enableAux(function, true);
    MediatedGroup aux =
        new MediatedGroup(
            10, new MediatedDevice("m", "aux", function, new Isolation.Aux(function)));
    Container c = container(soft);
    c.attach(aux);
    soft.removeDevice(function);
    c.detach(aux);
    assertThat(soft.census()).isEqualTo(SoftIommu.Census.EMPTY);
    assertThat(refused(() -> c.attach(aux)).errno()).isEqualTo(Errno.ENODEV);
  }

  /** B23: what a second group does to the page sizes of the domain that it shares. */
  @Test
  void shouldTellThePageSizesThatAJoiningGroupLeaves() {
    Narrowing narrowing = new Narrowing(soft);
    Container c = container(narrowing);
    c.attach(group);
    long before = c.info().pageSizes();
    c.attach(other);
    assertThat(c.domains()).isEqualTo(1);
    assertThat(c.info().pageSizes()).isEqualTo(PAGE).isNotEqualTo(before);
    c.detach(other);
    assertThat(c.info().pageSizes()).isEqualTo(before);
  }

  /** Its domains have small pages only while two groups are attached. */
  private static final class Narrowing extends WatchedIommu {
    private int attached;

    Narrowing(Iommu real) {
      super(real);
    }

    @Override
    protected void after(Call call, Object on) {
      switch (call) {
        case ATTACH -> attached++;
        case DETACH -> attached--;
        default -> {}
      }
    }

    @Override
    protected long pageSizes(long real) {
      return attached > 1 ? PAGE : real;
    }
  }

  @Test
  void shouldTakeNothingOnceItIsClosed() {
    Container c = container(soft);
    c.attach(group);
    c.close();
    c.close();
    VfioException refused = refused(() -> c.attach(group));
    assertThat(refused.errno()).isEqualTo(Errno.EINVAL);
    assertThat(refused.reason()).isEqualTo(Reason.CONTAINER_STATE);
    assertThat(refused(() -> c.map(mm, vaddr, 0, PAGE, READ)).errno()).isEqualTo(Errno.EINVAL);
    assertThat(soft.census()).isEqualTo(SoftIommu.Census.EMPTY);
  }
}
