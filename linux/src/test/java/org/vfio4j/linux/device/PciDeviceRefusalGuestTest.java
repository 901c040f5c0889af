// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.linux.testing.Bound;
import org.vfio4j.linux.testing.OneFailingCall;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.OpenDescriptors;

/** What is refused in the guest of kernel-bench, in which words, and that nothing is left of it. */
class PciDeviceRefusalGuestTest extends GuestTest {
  private static final Duration LONG = Duration.ofSeconds(20);

  @Test
  void shouldSwitchOnOneKindOfInterruptAndNoMoreThanThereAre() {
    String nvme = Bound.ofClass("0x010802");
    try (Bound _ = Bound.to("vfio-pci", nvme);
        PciDevice device = PciDevice.open(nvme)) {
      int there = device.vectors(InterruptKind.MSIX);
      assertThat(there).isGreaterThan(2);
      assertThatThrownBy(() -> device.enable(InterruptKind.MSIX, there + 1))
          .hasMessage(
              "%s has %d MSIX interrupts, not %d (EINVAL)".formatted(nvme, there, there + 1));
      try (Interrupts some = device.enable(InterruptKind.MSIX, 2)) {
        assertThat(some.count()).isEqualTo(2);
        assertThatThrownBy(() -> some.await(2, LONG))
            .isInstanceOf(IndexOutOfBoundsException.class)
            .hasMessage(nvme + " has 2 MSIX vectors on: vector=2");
        assertThatThrownBy(() -> device.enable(InterruptKind.INTX, 1))
            .isInstanceOf(IllegalStateException.class)
            .hasMessage("2 MSIX of " + nvme + " are on; close them first");
      }
      device.enable(InterruptKind.INTX, 1);
    }
  }

  @Test
  void shouldKnowTheWindowsAndRefuseWhatLiesOutside() {
    try (Bound _ = Bound.to("vfio-pci", EDU);
        MappedMemory memory = MappedMemory.anonymous(SystemCalls.libc(), 4096);
        PciDevice device = PciDevice.open(EDU)) {
      assertThat(device.space().windows())
          .containsExactly(
              new IovaRange(0, 0xfedfffffL), new IovaRange(0xfef00000L, 0xffffffffffffL));
      assertThat(device.mapAt(0, memory.segment()).iova()).isZero();
      assertThatThrownBy(() -> device.mapAt(0, memory.segment()))
          .hasMessageContaining("overlaps the mapping at 0x0-0xfff");
      assertThatThrownBy(() -> device.mapAt(0xfee00000L, memory.segment()))
          .isInstanceOf(VfioException.class)
          .hasMessage(
              "mapping 0x1000 bytes at IOVA 0xfee00000 for 0000:00:02.0: the IOMMU allows whole"
                  + " pages in [0x0-0xfedfffff] [0xfef00000-0xffffffffffff]"
                  + " (EINVAL)")
          .extracting(e -> ((VfioException) e).errno())
          .isEqualTo(Errno.EINVAL);
      assertThatThrownBy(() -> device.allocate(0x20000000, REACH))
          .hasMessageContaining("between 0x10000 and 0xfffffff: the IOMMU allows [0x0-0xfedfffff]");
      assertThat(device.allocate(4096).iova()).isEqualTo(0x10000);
    }
  }

  @Test
  void shouldRefuseMemoryThatNoDeviceCanReach() {
    try (Bound _ = Bound.to("vfio-pci", EDU);
        MappedMemory memory = MappedMemory.anonymous(SystemCalls.libc(), 8192);
        PciDevice device = PciDevice.open(EDU)) {
      assertThatThrownBy(() -> device.map(MemorySegment.ofArray(new byte[4096])))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith("a device cannot reach the heap");
      assertThatThrownBy(() -> device.map(memory.segment().asSlice(512, 4096)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith("not whole pages of 0x1000 bytes: address=0x");
      assertThatThrownBy(() -> device.mapAt(512, memory.segment()))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void shouldTellLimitOfLockedMemory() {
    SystemCalls calls = SystemCalls.libc();
    try (Bound _ = Bound.to("vfio-pci", EDU);
        PciDevice device = PciDevice.open(EDU);
        Arena arena = Arena.ofConfined()) {
      MemorySegment former = arena.allocate(16, 8);
      MemorySegment limit = arena.allocate(16, 8);
      MemorySegment header = arena.allocate(8, 4);
      header.set(ValueLayout.JAVA_INT, 0, 0x20080522);
      MemorySegment all = arena.allocate(24, 4);
      calls.capget(header, all);
      MemorySegment less = arena.allocate(24, 4).copyFrom(all);
      less.set(
          ValueLayout.JAVA_INT,
          0,
          all.get(ValueLayout.JAVA_INT, 0) & ~(1 << Constants.CAP_IPC_LOCK));
      calls.prlimit(Constants.RLIMIT_MEMLOCK, MemorySegment.NULL, former);
      limit.copyFrom(former);
      limit.set(ValueLayout.JAVA_LONG, 0, 65536);
      calls.prlimit(Constants.RLIMIT_MEMLOCK, limit, MemorySegment.NULL);
      calls.capset(header, less);
      try (DmaBuffer _ = device.allocate(8192)) {
        assertThatThrownBy(() -> device.allocate(1 << 20))
            .isInstanceOf(VfioException.class)
            .hasMessage(
                "mapping 0x100000 bytes at IOVA 0x100000 for 0000:00:02.0: RLIMIT_MEMLOCK allows"
                    + " 65536 bytes of locked memory, 8192 are locked, 1048576 more are needed;"
                    + " raise it with ulimit -l, prlimit --memlock or LimitMEMLOCK= of the service"
                    + " (VFIO_IOMMU_MAP_DMA: ENOMEM)")
            .extracting(e -> ((VfioException) e).reason())
            .isEqualTo(Reason.LOCKED_MEMORY);
      } finally {
        calls.capset(header, all);
        calls.prlimit(Constants.RLIMIT_MEMLOCK, former, MemorySegment.NULL);
      }
    }
  }

  @Test
  void shouldTellWhatStandsInTheWay() throws Exception {
    String nvme = Bound.ofClass("0x010802");
    modprobe("nvme");
    modprobe("e1000");
    assertThatThrownBy(() -> PciDevice.open(EDU))
        .hasMessage(
            "0000:00:02.0 has no driver; bind it to vfio-pci first: vfio bind 0000:00:02.0"
                + " (open: ENOENT)");
    assertThatThrownBy(() -> PciDevice.open("0000:00:1e.7"))
        .hasMessage("there is no PCI device 0000:00:1e.7 here (ENODEV)");
    try (Bound _ = Bound.to("nvme", nvme)) {
      assertThatThrownBy(() -> PciDevice.open(nvme))
          .hasMessage(
              "%1$s is bound to nvme; bind it to vfio-pci first: vfio bind %1$s (open: ENOENT)"
                  .formatted(nvme));
    }
    try (Bound _ = Bound.to("vfio-pci", "0000:02:01.0");
        Bound _ = Bound.to("e1000", "0000:02:03.0")) {
      assertThatThrownBy(() -> PciDevice.open("0000:02:01.0"))
          .isInstanceOf(VfioException.class)
          .hasMessageContaining("not viable: a driver of the host has one of")
          .hasMessageContaining("0000:02:03.0 (e1000)")
          .extracting(e -> ((VfioException) e).reason())
          .isEqualTo(Reason.GROUP_NOT_VIABLE);
      assertThatThrownBy(() -> PciDevice.open("0000:02:02.0")).isInstanceOf(VfioException.class);
    }
    try (Bound _ = Bound.to("vfio-pci", "0000:02:01.0")) {
      assertThatThrownBy(() -> PciDevice.open("0000:02:02.0"))
          .hasMessage(
              "0000:02:02.0 has no driver; bind it to vfio-pci first: vfio bind 0000:02:02.0"
                  + " (VFIO_GROUP_GET_DEVICE_FD: ENODEV)");
    }
  }

  private static void modprobe(String module) throws Exception {
    Process modprobe = new ProcessBuilder("modprobe", module).inheritIO().start();
    assertThat(modprobe.waitFor()).as("modprobe " + module).isZero();
  }

  @Test
  void shouldLeaveNothingWhicheverCallFails() throws Exception {
    try (Bound _ = Bound.to("vfio-pci", EDU, PAIR, OTHER)) {
      OneFailingCall none = new OneFailingCall(SystemCalls.libc(), 0, 5);
      useAll(none);
      int calls = none.made();
      assertThat(none.mappings()).isZero();
      assertThat(calls).isGreaterThan(40);
      int thrown = 0;
      for (int errno : new int[] {5, 12, 16, 24}) {
        for (int n = 1; n <= calls; n++) {
          OneFailingCall failing = new OneFailingCall(SystemCalls.libc(), n, errno);
          String where = "call %d of %d, errno %d".formatted(n, calls, errno);
          try {
            useAll(failing);
          } catch (RuntimeException e) {
            thrown++;
          }
          where += ", " + failing.failed();
          assertThat(failing.mappings()).as(where).isZero();
          assertThat(OpenDescriptors.now()).as(where).isEqualTo(before);
          assertThat(new LockedMemory(Path.of("/proc"), SystemCalls.libc()).bytes())
              .as(where)
              .isEqualTo(lockedBefore);
        }
      }
      System.out.printf(
          "%d calls, each failing in 4 ways; %d times that was told%n", calls, thrown);
      assertThat(thrown).isGreaterThan(3 * calls);
    }
  }

  /** Everything once, without waiting for a device. */
  private static void useAll(SystemCalls calls) {
    try (PciDevice device = PciDevice.openAlone(DmaSpace.create(new LinuxIommu(calls)), EDU);
        DmaBuffer buffer = device.allocate(4096, REACH);
        Interrupts msi = device.enable(InterruptKind.MSI, 1)) {
      device.enableBusMaster();
      device.bar(0).write32(4, (int) buffer.iova());
      msi.await(0, Duration.ZERO);
    }
    try (MappedMemory memory = MappedMemory.anonymous(calls, 4096);
        DmaSpace space = DmaSpace.create(new LinuxIommu(calls));
        PciDevice first = space.open(PAIR)) {
      PciDevice second = space.open(OTHER);
      second.map(memory.segment());
      PciDevice third = space.open(EDU);
      third.enable(InterruptKind.INTX, 1).unmask();
      first.allocate(100);
    }
  }
}
