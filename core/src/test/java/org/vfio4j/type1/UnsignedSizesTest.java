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
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.profile.KernelProfile;

/** Sizes and sums of 2^63 and more (B15), and pages 2^32 and more above a bitmap's base (B21). */
class UnsignedSizesTest {
  private static final long HALF = Long.MIN_VALUE;
  private static final long PAGE = AddressSpace.PAGE;
  private static final int READ = Container.MAP_READ;

  private record Function(String name) implements Device {
    @Override
    public Bus bus() {
      return Bus.PCI;
    }
  }

  private final AddressSpace mm = new AddressSpace();
  private final long vaddr = mm.place(MemorySegment.ofArray(new long[512 * 16]));

  /** A container whose IOMMU addresses all of 2^64, of a kernel that keeps no ranges. */
  private static Container wide() {
    KernelProfile profile = KernelProfile.LINUX_5_3;
    SoftIommu iommu = new SoftIommu(profile);
    IommuGroup group = iommu.addGroup(1, IommuUnit.VT_D.withAddressBits(64), List.of());
    iommu.addDevice(group, new Function("f"));
    Container c = new Container("c", iommu, profile, Type1.V2, new Type1Parameters());
    c.attach(group);
    return c;
  }

  private static VfioException refused(ThrowingCallable call) {
    return catchThrowableOfType(VfioException.class, call);
  }

  @Test
  void shouldAnswerEfaultToHalfOfAllMemory() {
    Container c = wide();
    assertThat(refused(() -> c.map(mm, 0, 0, HALF, READ)).errno()).isEqualTo(Errno.EFAULT);
    assertThat(refused(() -> c.map(mm, 0, 0, -PAGE, READ)).errno()).isEqualTo(Errno.EFAULT);
    assertThat(refused(() -> c.map(mm, vaddr, 0, HALF, READ)).errno()).isEqualTo(Errno.EFAULT);
    assertThat(mm.lockedPages()).isZero();
    assertThat(c.mappings()).isZero();
    mm.ipcLock(false);
    mm.limit(16 * PAGE);
    c.map(mm, vaddr, HALF, 16 * PAGE, READ);
    assertThat(mm.lockedPages()).isEqualTo(16);
    assertThat(c.unmap(mm, HALF, 16 * PAGE)).isEqualTo(16 * PAGE);
    assertThat(mm.lockedPages()).isZero();
  }

  @Test
  void shouldNotAskTheIommuToPinWhatNoProcessHas() {
    AddressSpace real =
        AddressSpace.pinnedByIommu(
            (at, size) -> {
              throw new AssertionError("asked for 0x%x bytes".formatted(size));
            });
    assertThat(refused(() -> wide().map(real, 0, 0, HALF, READ)).errno()).isEqualTo(Errno.EFAULT);
  }

  @Test
  void shouldFindMemoryAtTheTopOfAllAddresses() {
    AddressSpace high = new AddressSpace();
    high.place(-2 * PAGE, MemorySegment.ofArray(new long[1024]), true);
    Container c = wide();
    c.map(high, -2 * PAGE, 0, 2 * PAGE, READ);
    assertThat(high.lockedPages()).isEqualTo(2);
    assertThat(refused(() -> c.map(high, -3 * PAGE, HALF, 3 * PAGE, READ)).errno())
        .isEqualTo(Errno.EFAULT);
  }

  @Test
  void shouldTakeTheLargestLimitForNone() {
    mm.ipcLock(false);
    mm.limit(-1L);
    wide().map(mm, vaddr, 0, 16 * PAGE, READ);
    assertThat(mm.lockedPages()).isEqualTo(16);
  }

  /** 16 TiB are 2^32 pages: the far page was told to be the near one. */
  @Test
  void shouldNotReportAPageFarAboveAsTheFirst() {
    SoftIommu iommu = new SoftIommu(KernelProfile.DEFAULT);
    IommuGroup group = iommu.addGroup(1, IommuUnit.VT_D, List.of());
    iommu.addDevice(group, new Function("f"));
    Container c = new Container("c", iommu, KernelProfile.DEFAULT, Type1.V2, new Type1Parameters());
    c.attach(group);
    long far = 1L << 44;
    c.map(mm, vaddr, 0, PAGE, READ);
    c.map(mm, vaddr, far, PAGE, READ);
    c.startDirtyTracking();
    c.dirtyBitmap(0, PAGE, PAGE, new long[1]);
    long[] small = new long[1];
    VfioException refused = refused(() -> c.dirtyBitmap(0, far + PAGE, PAGE, small));
    assertThat(refused.errno()).isEqualTo(Errno.EINVAL);
    assertThat(small).containsExactly(0);
    assertThat(
            refused(() -> c.unmap(mm, 0, far + PAGE, Container.UNMAP_DIRTY, small, PAGE)).errno())
        .isEqualTo(Errno.EINVAL);
    assertThat(c.mappings()).isEqualTo(2);
  }

  @Test
  void shouldRefuseABitmapThatIsTooSmall() {
    Container c = wideTracked();
    assertThat(refused(() -> c.dirtyBitmap(0, 65 * PAGE, PAGE, new long[1])).errno())
        .isEqualTo(Errno.EINVAL);
    c.dirtyBitmap(0, 64 * PAGE, PAGE, new long[1]);
  }

  private static Container wideTracked() {
    Container c = wide();
    c.startDirtyTracking();
    return c;
  }
}
