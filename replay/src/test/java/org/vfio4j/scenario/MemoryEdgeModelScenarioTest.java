// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.iommu.DmaFaultException;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.WatchedIommu.Call;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;

/** Memory in pieces and twice, limits, ranges that wrap, bitmaps that do not begin at a word. */
@OnEachKernel
class MemoryEdgeModelScenarioTest extends EdgeModelScenario {
  /** More pages than can be tracked, with 4 KiB each. */
  private static final long UNTRACKABLE = 1L << 44;

  MemoryEdgeModelScenarioTest(KernelProfile kernel) {
    super(kernel);
  }

  private List<Integer> dirty(long iova, int count) {
    long[] words = new long[(count + 63) / 64];
    c.dirtyBitmap(iova, count * PAGE, PAGE, words);
    return User.bits(words, count);
  }

  @Test
  void M20_shouldMapMemoryThatLiesInPieces() {
    AddressSpace other = new AddressSpace();
    other.place(0x10000, pages(1, 1), true);
    other.place(0x11000, pages(2, 2), true);
    other.place(0x13000, pages(1, 3), false);
    withPlain();
    c.map(other, 0x10000, IOVA, 3 * PAGE, BOTH);
    DmaPort emulated = c.emulatedPort("plain", fault -> {});
    assertThat(reads(emulated, IOVA)).hasValue(1);
    assertThat(reads(emulated, IOVA + PAGE)).hasValue(2);
    assertThat(reads(emulated, IOVA + 2 * PAGE + PAGE - 1)).hasValue(2);
    c.attach(a);
    assertThat(reads(fa, IOVA)).hasValue(1);
    assertThat(reads(fa, IOVA + PAGE)).hasValue(2);
    assertThat(reads(fa, IOVA + 3 * PAGE)).isEmpty();
    assertThat(other.lockedPages()).isEqualTo(3);
    c.map(other, 0x13000, 3 * IOVA, PAGE, Container.MAP_READ);
    iommu.fail(Call.MAP, 2, Errno.EIO);
    refused(Errno.EIO, () -> c.map(other, 0x10000, 2 * IOVA, 3 * PAGE, BOTH));
    assertThat(reads(fa, 2 * IOVA)).as("the first piece").isEmpty();
    assertThat(reads(fa, 3 * IOVA)).as("what lies behind").hasValue(3);
    assertThat(other.lockedPages()).isEqualTo(4);
    c.map(other, 0x13000, 2 * IOVA, PAGE, Container.MAP_READ);
    assertThat(reads(fa, 2 * IOVA)).hasValue(3);
    assertThat(refused(Errno.EFAULT, () -> c.map(other, 0x12000, 4 * IOVA, 3 * PAGE, BOTH)))
        .hasMessageContaining("no writable memory at 0x13000");
    assertThat(
            refused(
                Errno.EFAULT, () -> c.map(other, 0x13000, 4 * IOVA, 2 * PAGE, Container.MAP_READ)))
        .hasMessageContaining("no readable memory at 0x14000");
    c.detach(a);
    c.detach(plain);
  }

  @Test
  void G07_shouldReadAndWriteOverSeveralMappings() {
    c.attach(a);
    map(c, 0, IOVA, PAGE);
    map(c, 4 * PAGE, IOVA + PAGE, PAGE);
    fill(0, 1);
    fill(4 * PAGE, 2);
    DmaPort port = soft.port(fa);
    assertThat(port.device()).isEqualTo("A");
    byte[] read = new byte[4];
    port.read(IOVA + PAGE - 1, MemorySegment.ofArray(read));
    assertThat(read).containsExactly(1, 2, 2, 2);
    port.write(IOVA + PAGE - 3, MemorySegment.ofArray(new byte[] {5, 6, 7, 8}));
    port.read(IOVA + PAGE - 4, MemorySegment.ofArray(read));
    assertThat(read).containsExactly(1, 5, 6, 7);
    port.read(IOVA + PAGE, MemorySegment.ofArray(read));
    assertThat(read).containsExactly(8, 2, 2, 2);
    assertThatThrownBy(() -> port.read(IOVA + 2 * PAGE - 2, MemorySegment.ofArray(read)))
        .isInstanceOf(DmaFaultException.class);
    assertThat(read).as("what was before the fault").containsExactly(2, 2, 2, 2);
  }

  /** Until 7.x Linux's tables for VT-d let a device read what is mapped for writing only. */
  @Test
  void M06_shouldLetWhatIsForWritingBeReadOnlyWhereTheHardwareCannotTell() {
    Function amd = Function.pci("amd");
    c.attach(a);
    IommuUnit other = new IommuUnit("amd-iommu", 48, PAGE, false, true, false, true, 0);
    c.attach(group(other, List.of(), amd));
    c.map(mm, vaddr, IOVA, PAGE, Container.MAP_WRITE);
    for (Function each : List.of(fa, amd)) {
      soft.port(each).write(IOVA, MemorySegment.ofArray(new byte[] {9}));
      assertThat(memory.get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 9);
      memory.set(ValueLayout.JAVA_BYTE, 0, (byte) 0);
    }
    assertThat(reads(fa, IOVA).isPresent()).isEqualTo(kernel.writeOnlyReadable());
    assertThat(reads(amd, IOVA)).isEmpty();
  }

  @Test
  void M05_shouldNotPlaceMemoryTwice() {
    AddressSpace other = new AddressSpace();
    other.place(0x10000, pages(2, 0), true);
    for (long at : new long[] {0xf000, 0x10000, 0x11000}) {
      assertThatIllegalArgumentException().isThrownBy(() -> other.place(at, pages(2, 0), true));
    }
    other.place(0xe000, pages(2, 0), true);
    other.place(0x12000, pages(1, 0), true);
    assertThatIllegalArgumentException().isThrownBy(() -> other.place(0x20800, pages(1, 0), true));
    long first = other.place(pages(3, 0));
    long second = other.place(pages(3, 0));
    assertThat(second).as("with a hole between").isGreaterThan(first + 3 * PAGE);
    c.attach(a);
    refused(Errno.EFAULT, () -> c.map(other, first, IOVA, 8 * PAGE, BOTH));
  }

  @Test
  void M08_shouldSayHowMuchMemoryIsLockedAndMissing() {
    c.attach(a);
    mm.ipcLock(false);
    mm.limit(4 * PAGE);
    assertThat(mm.limitPages()).isEqualTo(4);
    map(c, IOVA, 3 * PAGE);
    assertThat(refused(Errno.ENOMEM, () -> map(c, 2 * IOVA, 2 * PAGE)))
        .hasMessageContaining("12 KiB are locked, 8 KiB more are needed, the limit is 16 KiB");
    map(c, 2 * IOVA, PAGE);
  }

  @Test
  void M08_shouldNotCountAgainWhatADriverHasPinnedAtTheLimit() {
    withPlain();
    mm.ipcLock(false);
    mm.limit(2 * PAGE);
    map(c, IOVA, 2 * PAGE);
    c.pin(plain, List.of(IOVA, IOVA + PAGE), BOTH);
    c.attach(a);
    assertThat(mm.lockedPages()).isEqualTo(2);
    c.detach(a);
    assertThat(mm.lockedPages()).isEqualTo(2);
  }

  @Test
  void M03_shouldRefuseARangeThatWrapsBeforeItLooksAtItsFlags() {
    Errno wraps = byKernel(Errno.EINVAL, Errno.EINVAL, Errno.EINVAL, Errno.EOVERFLOW);
    c.attach(a);
    refused(wraps, () -> c.map(mm, vaddr, -PAGE, 2 * PAGE, 0));
    refused(wraps, () -> c.map(mm, -PAGE, IOVA, 2 * PAGE, 0));
    refused(wraps, () -> c.unmap(mm, -PAGE, 2 * PAGE));
    assertThat(refused(Errno.EINVAL, () -> map(c, 0xfee00000L, PAGE)))
        .hasMessageContaining("[0x0-0xfedfffff] [0xfef00000-0xffffffffffff]");
    refused(Errno.EINVAL, () -> c.unmap(mm, 0x100, PAGE));
    assertThat(c.unmap(mm, 0, PAGE)).isZero();
  }

  @Test
  void M10_shouldUnmapUpToTheLastByteOfAMapping() {
    c.attach(a);
    map(c, IOVA, 2 * PAGE);
    map(c, 2 * PAGE, IOVA + 2 * PAGE, 2 * PAGE);
    assertThat(c.mappings()).isEqualTo(2);
    refused(Errno.EINVAL, () -> c.unmap(mm, IOVA + PAGE, PAGE));
    refused(Errno.EINVAL, () -> c.unmap(mm, IOVA, 3 * PAGE));
    assertThat(c.unmap(mm, IOVA, 2 * PAGE)).isEqualTo(2 * PAGE);
    assertThat(c.mappings()).isEqualTo(1);
    c.close();
    assertThat(c.mappings()).isZero();
    assertThat(c.groups()).isEmpty();
    assertThat(soft.domainOf(a)).isEmpty();
  }

  @Test
  void M16_shouldGiveBitsOfMappingsThatBeginInsideAWord() {
    c.attach(a);
    c.startDirtyTracking();
    map(c, IOVA + 3 * PAGE, 5 * PAGE);
    map(c, 0, IOVA + 60 * PAGE, 70 * PAGE);
    map(c, 0, IOVA + 192 * PAGE, PAGE);
    List<Integer> expected =
        LongStream.concat(
                LongStream.concat(LongStream.range(3, 8), LongStream.range(60, 130)),
                LongStream.of(192))
            .mapToObj(i -> (int) i)
            .toList();
    assertThat(dirty(IOVA, 256)).isEqualTo(expected);
    long[] words = {0, 0, 0, 1};
    c.dirtyBitmap(IOVA + 192 * PAGE, PAGE, PAGE, words);
    assertThat(words).containsExactly(1, 0, 0, 1);
    refused(Errno.EINVAL, () -> dirty(IOVA + 0x100, 1));
    refused(Errno.EINVAL, () -> c.dirtyBitmap(IOVA, PAGE + 0x100, PAGE, new long[1]));
    refused(Errno.EINVAL, () -> dirty(IOVA + 4 * PAGE, 64));
    c.stopDirtyTracking();
    refused(Errno.EINVAL, () -> dirty(IOVA, 64));
  }

  /** {@code vfio_iommu_type1_dirty_pages}: 7.x compares last bytes, which do not wrap there. */
  @Test
  void M16_shouldGiveBitsUpToTheLastByteThereIs() {
    c.attach(a);
    c.startDirtyTracking();
    map(c, IOVA, PAGE);
    if (kernel.sizeBeforeOverflow()) {
      assertThat(dirty(-PAGE, 1)).isEmpty();
      refused(Errno.EOVERFLOW, () -> c.dirtyBitmap(-PAGE, 2 * PAGE, PAGE, new long[1]));
    } else {
      refused(Errno.EINVAL, () -> dirty(-PAGE, 1));
      refused(Errno.EINVAL, () -> dirty(-PAGE, 2));
    }
    assertThat(dirty(IOVA, 1)).containsExactly(0);
  }

  @Test
  void M17_shouldGiveTheDirtyBitsOfWhatItUnmaps() {
    withPlain();
    map(c, IOVA + 66 * PAGE, 4 * PAGE);
    c.startDirtyTracking();
    c.pin(plain, List.of(IOVA + 67 * PAGE), BOTH);
    long[] words = new long[3];
    assertThat(c.unmap(mm, IOVA, 192 * PAGE, Container.UNMAP_DIRTY, words, PAGE))
        .isEqualTo(4 * PAGE);
    assertThat(User.bits(words, 192)).containsExactly(67);
  }

  @Test
  void M16_shouldNotTrackAMappingThatIsTooLarge() {
    withPlain();
    c.map(mm, PAGE, 0, UNTRACKABLE, BOTH);
    refused(Errno.EINVAL, c::startDirtyTracking);
    c.unmap(mm, 0, UNTRACKABLE);
    c.startDirtyTracking();
    long entries = c.info().entries();
    refused(Errno.EINVAL, () -> c.map(mm, PAGE, 0, UNTRACKABLE, BOTH));
    assertThat(c.mappings()).isZero();
    assertThat(c.info().entries()).isEqualTo(entries);
  }

  /** {@code vfio_dma_do_map} pins first, so that memory which is not there is told of first. */
  @Test
  void M16_shouldMissTheMemoryOfAMappingBeforeItIsTooLarge() {
    c.attach(a);
    c.startDirtyTracking();
    refused(Errno.EFAULT, () -> c.map(mm, vaddr, 1L << 32, UNTRACKABLE, BOTH));
    assertThat(c.mappings()).isZero();
    assertThat(mm.lockedPages()).isZero();
  }
}
