// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
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
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;

/**
 * The edges of rows M, E and G of kernel.md section 10: memory in pieces, bitmaps that do not begin
 * at a word, the last page that may be pinned, who is told of what.
 */
@OnEachKernel
class EdgeModelScenarioTest extends ModelScenario {
  /** More pages than can be tracked, with 4 KiB each. */
  private static final long UNTRACKABLE = 1L << 44;

  private final Function fa = Function.pci("A");
  private final IommuGroup a = group(fa);
  private final IommuGroup plain = mdev(Isolation.PLAIN);
  private final Container c = container("c");

  EdgeModelScenarioTest(KernelProfile kernel) {
    super(kernel);
  }

  private static MemorySegment pages(int count, int value) {
    MemorySegment made = Arena.ofAuto().allocate(count * PAGE, PAGE);
    return made.fill((byte) value);
  }

  private void withPlain() {
    c.attach(plain);
    c.onUnmap(plain, (iova, size) -> c.unpinAll(plain, iova, size));
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
    for (Function each : List.of(fa)) {
      assertThat(reads(emulated, IOVA)).hasValue(1);
      assertThat(reads(emulated, IOVA + PAGE)).hasValue(2);
      assertThat(reads(emulated, IOVA + 2 * PAGE + PAGE - 1)).hasValue(2);
      c.attach(a);
      assertThat(reads(each, IOVA)).hasValue(1);
      assertThat(reads(each, IOVA + PAGE)).hasValue(2);
      assertThat(reads(each, IOVA + 3 * PAGE)).isEmpty();
    }
    assertThat(other.lockedPages()).isEqualTo(3);
    iommu.fail(Call.MAP, 2, Errno.EIO);
    refused(Errno.EIO, () -> c.map(other, 0x10000, 2 * IOVA, 3 * PAGE, BOTH));
    assertThat(reads(fa, 2 * IOVA)).as("the first piece").isEmpty();
    assertThat(other.lockedPages()).isEqualTo(3);
    c.map(other, 0x13000, 2 * IOVA, PAGE, Container.MAP_READ);
    assertThat(reads(fa, 2 * IOVA)).hasValue(3);
    assertThat(refused(Errno.EFAULT, () -> c.map(other, 0x12000, 3 * IOVA, 3 * PAGE, BOTH)))
        .hasMessageContaining("no writable memory at 0x13000");
    assertThat(
            refused(
                Errno.EFAULT, () -> c.map(other, 0x13000, 3 * IOVA, 2 * PAGE, Container.MAP_READ)))
        .hasMessageContaining("no readable memory at 0x14000");
    c.detach(a);
    c.detach(plain);
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
    refused(Errno.EINVAL, () -> c.map(mm, PAGE, 0, UNTRACKABLE, BOTH));
    assertThat(c.mappings()).isZero();
  }

  @Test
  void E02_shouldPinAsManyPagesAsACallMayName() {
    withPlain();
    AddressSpace large = new AddressSpace();
    MemorySegment memory512 = pages(512, 0);
    c.map(large, large.place(memory512), IOVA, 512 * PAGE, BOTH);
    List<Long> most = LongStream.range(0, 512).mapToObj(i -> IOVA + i * PAGE).toList();
    c.pin(plain, most, BOTH);
    assertThat(large.lockedPages()).isEqualTo(512);
    map(c, 2 * IOVA + SIZE * 16, PAGE);
    c.pin(plain, List.of(2 * IOVA + SIZE * 16), BOTH);
    c.unpinAll(plain, IOVA, 512 * PAGE);
    assertThat(large.lockedPages()).isZero();
    assertThat(mm.lockedPages()).as("outside the range").isEqualTo(1);
  }

  @Test
  void E02_shouldPinForWritingOnlyWhatIsWritable() {
    AddressSpace other = new AddressSpace();
    other.place(0x10000, pages(1, 0), false);
    withPlain();
    c.map(other, 0x10000, IOVA, PAGE, BOTH);
    refused(Errno.EFAULT, () -> c.pin(plain, List.of(IOVA), Mapping.WRITE));
    c.pin(plain, List.of(IOVA), Mapping.READ);
    DmaPort port = c.emulatedPort("plain", fault -> {});
    assertThat(port.reaches(IOVA, Mapping.READ))
        .as("mapped for writing, which cannot be")
        .isFalse();
    c.map(other, 0x10000, 2 * IOVA, PAGE, Container.MAP_READ);
    assertThat(port.reaches(2 * IOVA, Mapping.READ)).isTrue();
    c.unmap(mm, IOVA, 2 * IOVA);
    c.unmap(other, IOVA, 2 * IOVA);
  }

  @Test
  void E03_shouldGiveUpOnADriverThatKeepsItsPages() {
    c.attach(plain);
    List<Long> asked = new ArrayList<>();
    c.onUnmap(plain, (iova, size) -> asked.add(iova));
    map(c, IOVA, PAGE);
    c.pin(plain, List.of(IOVA), BOTH);
    assertThatIllegalStateException().isThrownBy(() -> c.unmap(mm, IOVA, PAGE));
    assertThat(asked).hasSize(10).containsOnly(IOVA);
    assertThat(c.unpin(plain, List.of(IOVA))).isEqualTo(1);
  }

  /**
   * The driver works on a thread of its own, which must find the container open and leave it so.
   */
  @Test
  void E03_shouldNotHoldItsLockWhileADriverIsAsked() {
    c.attach(plain);
    List<Integer> seen = new ArrayList<>();
    c.onUnmap(
        plain,
        (iova, size) -> {
          seen.add(elsewhere(c::mappings));
          c.unpinAll(plain, iova, size);
        });
    map(c, IOVA, PAGE);
    c.pin(plain, List.of(IOVA), BOTH);
    c.unmap(mm, IOVA, PAGE);
    assertThat(seen).containsExactly(1);
    assertThat(elsewhere(c::mappings)).isZero();
    assertThat(elsewhere(c::groups)).containsExactly(plain);
  }

  private static <T> T elsewhere(java.util.function.Supplier<T> question) {
    return CompletableFuture.supplyAsync(question).orTimeout(10, TimeUnit.SECONDS).join();
  }

  @Test
  void E02_shouldKnowNoDriverOfAGroupThatIsNotThere() {
    withPlain();
    map(c, IOVA, PAGE);
    IommuGroup stranger = mdev(Isolation.PLAIN);
    refused(Errno.ENODEV, () -> c.onUnmap(stranger, (iova, size) -> {}));
    refused(Errno.ENODEV, () -> c.pin(stranger, List.of(IOVA), BOTH));
    refused(Errno.ENODEV, () -> c.unpin(stranger, List.of(IOVA)));
    refused(Errno.ENODEV, () -> c.unpinAll(stranger, IOVA, PAGE));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> c.domainOf(stranger))
        .withMessageContaining("not attached to c");
    assertThat(c.name()).isEqualTo("c");
    assertThat(c).hasToString("container of c");
    assertThat(a).hasToString("group 1");
  }

  @Test
  void E01_shouldTranslateForPlainDevicesWhileOneIsThere() {
    c.attach(a);
    map(c, IOVA, PAGE);
    fill(0, 7);
    withPlain();
    DmaPort port = c.emulatedPort("plain", fault -> {});
    assertThat(reads(port, IOVA)).as("mapped before it came").hasValue(7);
    assertThat(c.info().pageSizes()).isEqualTo(UNIT.pageSizes());
    c.detach(plain);
    assertThat(reads(port, IOVA)).isEmpty();
    assertThat(reads(fa, IOVA)).hasValue(7);
    assertThat(c.mappings()).isEqualTo(1);
    c.attach(plain);
    c.detach(a);
    assertThat(c.mappings()).isEqualTo(1);
    assertThat(c.info().pageSizes()).isEqualTo(-PAGE);
    assertThat(mm.lockedPages()).isZero();
    c.detach(plain);
    assertThat(c.mappings()).isZero();
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
  void S30_shouldBlockThePasidOfAnAuxDeviceThatLeaves() {
    Function parent = Function.pci("parent");
    group(UNIT, List.of(), parent);
    soft.enableAux(parent, true);
    IommuGroup x = mdev(new Isolation.Aux(parent));
    IommuGroup y = mdev(new Isolation.Aux(parent));
    c.attach(x);
    c.attach(y);
    map(c, IOVA, PAGE);
    fill(0, 7);
    DmaPort port = soft.port(parent, FailingIommu.real(c.domainOf(x).orElseThrow()));
    c.detach(x);
    assertThat(reads(port, IOVA)).as("y has the same PASID").hasValue(7);
    c.detach(y);
    assertThat(reads(port, IOVA)).isEmpty();
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
    soft.claim(a);
    soft.claim(a);
    soft.claim(other);
    assertThat(soft.census().claims()).isEqualTo(3);
    soft.unclaim(a);
    soft.unclaim(a);
    soft.unclaim(other);
  }

  @Test
  void K09_shouldPinNothingForAV1Container() {
    Container v1 = container("v1", Type1.V1);
    v1.attach(plain);
    v1.onUnmap(plain, (iova, size) -> {});
    v1.map(mm, vaddr, IOVA, PAGE, BOTH);
    refused(Errno.EACCES, () -> v1.pin(plain, List.of(IOVA), BOTH));
    assertThat(Optional.of(v1.type())).hasValue(Type1.V1);
  }
}
