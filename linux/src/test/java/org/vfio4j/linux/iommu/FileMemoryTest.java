// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.linux.testing.FakeHost;
import org.vfio4j.linux.testing.OnFakeHost;
import org.vfio4j.linux.testing.OneFailingCall;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;

/** Part of a file is mapped for devices: by an address, since type1 takes nothing else. */
class FileMemoryTest extends OnFakeHost {
  private static final long PAGE = 4096;
  private static final long IOVA = 0x100000;
  private static final int READ_WRITE = Container.MAP_READ | Container.MAP_WRITE;

  private long lockedPages() {
    return host.kernel().process().memory().lockedPages();
  }

  private DmaPort dma(Descriptor device) {
    try (Descriptor.Use use = device.use()) {
      return host.kernel().dma(use.number());
    }
  }

  @Test
  void shouldLetDevicesReachAFileFromItsOffsetOn() {
    try (Descriptor ram = Memfd.create(calls, "ram", 8 * PAGE);
        MappedMemory guest =
            MappedMemory.ofFile(ram, 0, 8 * PAGE, Constants.PROT_READ | Constants.PROT_WRITE);
        Container vm = container("vm")) {
      vm.attach(iommu.groupOf(FakeHost.A).orElseThrow());
      DmaPort device = dma(iommu.openDevice(FakeHost.A).descriptor());
      AddressSpace file = FileMemory.of(ram);
      calls.sinceLast();
      vm.map(file, 3 * PAGE, IOVA, 2 * PAGE, READ_WRITE);
      assertThat(calls.sinceLast()).isEqualTo(Map.of("mmap", 1, "madvise", 1, "MAP_DMA", 1));
      assertThat(lockedPages()).isEqualTo(2);

      device.write(IOVA + PAGE, MemorySegment.ofArray(new byte[] {1, 2, 3}));
      assertThat(guest.segment().asSlice(4 * PAGE, 3).toArray(ValueLayout.JAVA_BYTE))
          .containsExactly(1, 2, 3);

      assertThat(vm.unmap(file, IOVA, 2 * PAGE)).isEqualTo(2 * PAGE);
      assertThat(calls.sinceLast()).isEqualTo(Map.of("UNMAP_DMA", 1, "munmap", 1));
      assertThat(lockedPages()).isZero();
    }
  }

  /** The end of the last attach is the end of the kernel's container, and of what it has mapped. */
  @Test
  void shouldEndWhatIsMappedWithTheLastGroup() {
    try (Descriptor ram = Memfd.create(calls, "ram", 8 * PAGE);
        Container vm = container("vm")) {
      vm.attach(iommu.groupOf(FakeHost.A).orElseThrow());
      vm.map(FileMemory.of(ram), 0, IOVA, PAGE, READ_WRITE);
      vm.map(FileMemory.of(ram), PAGE, IOVA + PAGE, PAGE, READ_WRITE);
      calls.sinceLast();
      vm.detach(iommu.groupOf(FakeHost.A).orElseThrow());
      assertThat(calls.sinceLast()).containsEntry("munmap", 2);
      assertThat(lockedPages()).isZero();
    }
  }

  /** What is mapped before a device comes is mapped from the file when it does. */
  @Test
  void shouldMapAFileForAGroupThatComesLater() {
    try (Descriptor ram = Memfd.create(calls, "ram", 8 * PAGE);
        Container vm = container("vm")) {
      vm.map(FileMemory.of(ram), PAGE, IOVA, PAGE, READ_WRITE);
      vm.attach(iommu.groupOf(FakeHost.A).orElseThrow());
      assertThat(lockedPages()).isEqualTo(1);
      vm.detach(iommu.groupOf(FakeHost.A).orElseThrow());
    }
  }

  @Test
  void shouldRefuseAFileThatCannotBeMapped() throws Exception {
    Path path = Files.write(folder.resolve("rom"), new byte[(int) PAGE]);
    Descriptor closed = Memfd.create(calls, "closed", PAGE);
    closed.close();
    try (Descriptor rom = Descriptor.open(calls, path.toString(), Constants.O_RDONLY);
        EventFd eventFd = EventFd.create(calls);
        Container vm = container("vm")) {
      vm.attach(iommu.groupOf(FakeHost.A).orElseThrow());
      VfioException refused = refusal(() -> vm.map(FileMemory.of(rom), 0, IOVA, PAGE, READ_WRITE));
      assertThat(refused.errno()).isEqualTo(Errno.EACCES);
      assertThat(refused).hasMessageContaining("0x1000 bytes of " + path + " at offset 0x0");
      VfioException ofEvents =
          refusal(() -> vm.map(FileMemory.of(eventFd.descriptor()), 0, IOVA, PAGE, READ_WRITE));
      assertThat(ofEvents.errno()).isEqualTo(Errno.ENODEV);
      assertThat(ofEvents.reason()).isEqualTo(Reason.NOT_SUPPORTED);
      assertThat(refusal(() -> vm.map(FileMemory.of(closed), 0, IOVA, PAGE, READ_WRITE)).errno())
          .isEqualTo(Errno.EBADF);
      assertThat(vm.mappings()).isZero();
      vm.map(FileMemory.of(rom), 0, IOVA, PAGE, Container.MAP_READ);
    }
  }

  @Test
  void shouldLeaveNothingMappedWhicheverCallFails() {
    OneFailingCall none = new OneFailingCall(host.kernel(), 0, 1);
    assertThat(refusedInAVmsLife(none)).isFalse();
    assertThat(none.mappings()).isZero();
    for (Errno errno : List.of(Errno.ENOMEM, Errno.EINVAL, Errno.EIO)) {
      for (int failing = 1; failing <= none.made(); failing++) {
        OneFailingCall one = new OneFailingCall(host.kernel(), failing, errno.number());
        refusedInAVmsLife(one);
        String what = "call %d, %s, fails with %s".formatted(failing, one.failed(), errno);
        assertThat(one.mappings()).as(what).isZero();
        host.shouldBeAsNew();
      }
    }
  }

  private boolean refusedInAVmsLife(SystemCalls failing) {
    LinuxIommu its = host.iommu(failing);
    try (Descriptor ram = Memfd.create(failing, "ram", 8 * PAGE);
        Container vm = FakeHost.container("vm", its)) {
      AddressSpace file = FileMemory.of(ram);
      vm.attach(its.groupOf(FakeHost.A).orElseThrow());
      vm.map(file, 0, IOVA, PAGE, READ_WRITE);
      vm.map(file, PAGE, IOVA + PAGE, PAGE, READ_WRITE);
      vm.attach(its.groupOf(FakeHost.B).orElseThrow());
      vm.unmap(file, IOVA, PAGE);
      return false;
    } catch (VfioException | SystemCallException refused) {
      return true;
    }
  }
}
