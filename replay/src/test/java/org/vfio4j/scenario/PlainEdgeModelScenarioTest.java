// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;

/** The last page that a driver may pin, who is told of what, and who translates meanwhile. */
@OnEachKernel
class PlainEdgeModelScenarioTest extends EdgeModelScenario {
  PlainEdgeModelScenarioTest(KernelProfile kernel) {
    super(kernel);
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

  /** Telling the mappings takes no lock; stopping what is not started does, and changes nothing. */
  private int mappingsUnderTheLock() {
    c.stopDirtyTracking();
    return c.mappings();
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
          seen.add(elsewhere(this::mappingsUnderTheLock));
          c.unpinAll(plain, iova, size);
        });
    map(c, IOVA, PAGE);
    c.pin(plain, List.of(IOVA), BOTH);
    c.unmap(mm, IOVA, PAGE);
    assertThat(seen).containsExactly(1);
    assertThat(elsewhere(this::mappingsUnderTheLock)).isZero();
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
  void K09_shouldPinNothingForAV1Container() {
    Container v1 = container("v1", Type1.V1);
    v1.attach(plain);
    v1.onUnmap(plain, (iova, size) -> {});
    v1.map(mm, vaddr, IOVA, PAGE, BOTH);
    refused(Errno.EACCES, () -> v1.pin(plain, List.of(IOVA), BOTH));
    assertThat(Optional.of(v1.type())).hasValue(Type1.V1);
  }
}
