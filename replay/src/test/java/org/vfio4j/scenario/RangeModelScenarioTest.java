// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.soft.SoftVfio;
import org.vfio4j.testing.WatchedIommu.Call;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;

/** Rows G17 to G20, E08, M19 and M20 of kernel.md section 10: apertures, regions, memory. */
@OnEachKernel
class RangeModelScenarioTest extends ModelScenario {
  private static final IovaRange BITS_48 = new IovaRange(0, 0xffff_ffff_ffffL);
  private static final IovaRange BITS_39 = new IovaRange(0, 0x7f_ffff_ffffL);

  private final Function fa = Function.pci("A");
  private final IommuGroup a = group(UNIT, List.of(), fa);
  private final Container c = container("c");

  RangeModelScenarioTest(KernelProfile kernel) {
    super(kernel);
  }

  private static ReservedRegion reserved(long start, long last) {
    return new ReservedRegion(start, last, ReservedRegion.Type.RESERVED);
  }

  @Test
  void G17_shouldShrinkAndGrowWithTheApertures() {
    Function narrow = Function.pci("narrow");
    IommuGroup n = group(UNIT.withAddressBits(39), List.of(), narrow);
    c.attach(a);
    assertThat(c.info().ranges()).containsExactly(BITS_48);
    map(c, BITS_39.last() + 1, PAGE);
    String before = state();
    assertThat(refused(Errno.EINVAL, () -> c.attach(n)).reason()).isEqualTo(Reason.APERTURE);
    assertThat(state()).isEqualTo(before);
    c.unmap(mm, BITS_39.last() + 1, PAGE);
    map(c, IOVA, SIZE);
    c.attach(n);
    assertThat(c.domains()).as("narrow tables are not shared").isEqualTo(2);
    assertThat(c.info().ranges()).containsExactly(BITS_39);
    refused(Errno.EINVAL, () -> map(c, BITS_39.last() + 1, PAGE));
    assertThat(reads(narrow, IOVA)).isNotEmpty();
    c.detach(n);
    assertThat(c.info().ranges()).containsExactly(BITS_48);
    map(c, BITS_39.last() + 1, PAGE);
  }

  @Test
  void G18_shouldRefuseAGroupThatReservesWhatIsMapped() {
    IommuGroup reserving = group(UNIT, List.of(reserved(IOVA, IOVA)), Function.pci("reserving"));
    IommuGroup after =
        group(UNIT, List.of(reserved(IOVA + SIZE, IOVA + SIZE)), Function.pci("after"));
    Function graphics = Function.pci("graphics");
    ReservedRegion boot =
        new ReservedRegion(IOVA, IOVA + SIZE, ReservedRegion.Type.DIRECT_RELAXABLE);
    IommuGroup relaxable = group(UNIT, List.of(boot), graphics);
    c.attach(a);
    map(c, IOVA, SIZE);
    String before = state();
    assertThat(refused(Errno.EINVAL, () -> c.attach(reserving)).reason())
        .isEqualTo(Reason.RESERVED_REGION);
    assertThat(state()).isEqualTo(before);
    c.attach(after);
    c.attach(relaxable);
    assertThat(reads(graphics, IOVA)).isNotEmpty();
    map(c, IOVA - PAGE, PAGE);
    refused(Errno.EINVAL, () -> map(c, IOVA + SIZE, PAGE));
  }

  @Test
  void G18_shouldRefuseAWrappedDeviceForTheRegionsOfItsFunction() {
    Function function = Function.pci("function");
    group(UNIT, List.of(reserved(IOVA, IOVA)), function);
    IommuGroup w = wrapped(function);
    c.attach(a);
    map(c, IOVA, SIZE);
    String before = state();
    refused(Errno.EINVAL, () -> c.attach(w));
    assertThat(state()).isEqualTo(before);
  }

  @Test
  void G19_shouldExcludeWhatAnyGroupReserves() {
    IommuGroup low = group(UNIT, List.of(reserved(0x1000, 0x1fff)), Function.pci("low"));
    IommuGroup high = group(UNIT, List.of(reserved(0x3000, 0x3fff)), Function.pci("high"));
    c.attach(low);
    c.attach(high);
    assertThat(c.info().ranges())
        .containsExactly(
            new IovaRange(0, 0xfff),
            new IovaRange(0x2000, 0x2fff),
            new IovaRange(0x4000, BITS_48.last()));
    c.detach(low);
    assertThat(c.info().ranges())
        .containsExactly(new IovaRange(0, 0x2fff), new IovaRange(0x4000, BITS_48.last()));
    map(c, 0x1000, PAGE);
    refused(Errno.EINVAL, () -> c.attach(low));
  }

  @Test
  void G19_shouldExcludeRegionsUntilTheLastUserOfTheFunctionLeaves() {
    Function function = Function.pci("function");
    IommuGroup f = group(UNIT, List.of(reserved(0x1000, 0x1fff)), function);
    IommuGroup w = wrapped(function);
    c.attach(a);
    c.attach(w);
    c.attach(f);
    c.detach(w);
    refused(Errno.EINVAL, () -> map(c, 0x1000, PAGE));
    c.detach(f);
    map(c, 0x1000, PAGE);
  }

  @Test
  void G19_shouldRefuseAGroupThatLeavesNothing() {
    IommuGroup greedy = group(UNIT, List.of(reserved(0, BITS_48.last())), Function.pci("greedy"));
    c.attach(a);
    String before = state();
    refused(Errno.EINVAL, () -> c.attach(greedy));
    assertThat(state()).isEqualTo(before);
  }

  @Test
  void G20_shouldRefuseADeviceThatFirmwareKeeps() {
    SoftMachine machine = new SoftMachine(kernel);
    ReservedRegion rmrr = new ReservedRegion(0x8000, 0x8fff, ReservedRegion.Type.DIRECT);
    SoftFunction locked = SoftFunction.endpoint("0000:00:02.0", 0x1234, 0x11e8);
    machine.addFunction(locked, Optional.of(machine.addGroup(1, UNIT, List.of(rmrr))));
    machine.bind(locked.name(), "vfio-pci");
    try (SoftVfio process = machine.process("vm")) {
      int g = process.group(locked.name());
      int fd = process.container();
      VfioException refused;
      if (byKernel(true, true, false, false)) {
        process.setContainer(g, fd);
        refused = refused(Errno.EPERM, () -> process.setIommu(fd, 3));
      } else {
        refused = refused(Errno.EINVAL, () -> process.setContainer(g, fd));
        assertThat(process.groupStatus(g, 8)).isEqualTo(1);
      }
      assertThat(refused.reason()).isEqualTo(Reason.RMRR_LOCKED);
    }
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  @Test
  void E08_shouldPinOnlyForAListeningDriverOfAV2Container() {
    IommuGroup plain = mdev(Isolation.PLAIN);
    Container v1 = container("v1", Type1.V1);
    v1.attach(plain);
    map(v1, IOVA, SIZE);
    refused(Errno.EACCES, () -> v1.pin(plain, List.of(IOVA), BOTH));
    v1.detach(plain);
    c.attach(plain);
    map(c, IOVA, SIZE);
    refused(Errno.EINVAL, () -> c.pin(plain, List.of(IOVA), BOTH));
    refused(Errno.ENODEV, () -> v1.pin(plain, List.of(IOVA), BOTH));
    assertThat(mm.lockedPages()).isZero();
    c.onUnmap(plain, (iova, size) -> c.unpinAll(plain, iova, size));
    c.pin(plain, List.of(IOVA), BOTH);
    assertThat(mm.lockedPages()).isEqualTo(1);
    IommuGroup two = mdev(Isolation.PLAIN, Isolation.PLAIN);
    c.attach(two);
    refused(Errno.EINVAL, () -> c.pin(two, List.of(IOVA), BOTH));
  }

  @Test
  void M19_shouldLetAnotherProcessUnmapSince61() {
    AddressSpace child = new AddressSpace();
    long inChild = child.place(memory);
    c.attach(a);
    map(c, IOVA, SIZE);
    c.map(child, inChild, 2 * IOVA, SIZE, BOTH);
    assertThat(mm.lockedPages()).isEqualTo(16);
    assertThat(child.lockedPages()).isEqualTo(16);
    assertThat(c.unmap(child, IOVA, SIZE)).isEqualTo(byKernel(0L, SIZE, SIZE, SIZE));
    assertThat(mm.lockedPages()).isEqualTo(byKernel(16L, 0L, 0L, 0L));
    assertThat(reads(fa, IOVA).isPresent()).isEqualTo(!claims());
    c.unmap(mm, IOVA, SIZE);
    assertThat(c.unmap(child, 2 * IOVA, SIZE)).isEqualTo(SIZE);
    assertThat(mm.lockedPages()).isZero();
    assertThat(child.lockedPages()).isZero();
  }

  @Test
  void M20_shouldUnwindTheFirstDomainWhenTheSecondRefusesAMapping() {
    Function snooping = Function.pci("snooping");
    c.attach(a);
    c.attach(group(UNIT.withCoherent(true), List.of(), snooping));
    String before = state();
    iommu.fail(Call.MAP, 2, Errno.ENOMEM);
    refused(Errno.ENOMEM, () -> map(c, IOVA, SIZE));
    assertThat(state()).isEqualTo(before);
    iommu.fail(Call.MAP, 1, Errno.ENOMEM);
    refused(Errno.ENOMEM, () -> map(c, IOVA, SIZE));
    assertThat(state()).isEqualTo(before);
    map(c, IOVA, SIZE);
    fill(0, 7);
    assertThat(reads(fa, IOVA)).hasValue(7);
    assertThat(reads(snooping, IOVA)).hasValue(7);
  }
}
