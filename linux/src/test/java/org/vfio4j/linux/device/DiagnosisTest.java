// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.sysfs.Sysfs;
import org.vfio4j.linux.uapi.KernelRefusal;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;

/** What is said of each refusal, on a machine that is a few folders. */
class DiagnosisTest {
  private static final String NVME = "0000:00:02.0";
  private static final String NET = "0000:00:02.1";

  @TempDir Path folder;
  private Sysfs sysfs;
  private Diagnosis diagnosis;

  @BeforeEach
  void build() throws IOException {
    sysfs = new Sysfs(folder.resolve("sys"));
    diagnosis = new Diagnosis(sysfs, folder.resolve("proc"), SystemCalls.libc());
    Files.createDirectories(folder.resolve("sys/kernel/iommu_groups/7/devices"));
    for (String address : List.of(NVME, NET)) {
      Files.createDirectories(device(address));
      link(device(address).resolve("iommu_group"), "../../../../kernel/iommu_groups/7");
      link(
          folder.resolve("sys/kernel/iommu_groups/7/devices").resolve(address),
          device(address).toString());
    }
  }

  private Path device(String address) {
    return folder.resolve("sys/bus/pci/devices").resolve(address);
  }

  private static void link(Path from, String to) throws IOException {
    Files.deleteIfExists(from);
    Files.createSymbolicLink(from, Path.of(to));
  }

  private void bind(String address, String driver) throws IOException {
    link(device(address).resolve("driver"), "../../../../bus/pci/drivers/" + driver);
  }

  private static VfioException refusal(Errno errno, String call) {
    return (VfioException) KernelRefusal.of(errno.number(), call, "it");
  }

  @Test
  void shouldReadGroupAndDriver() throws IOException {
    bind(NVME, "nvme");
    assertThat(sysfs.groupOf(NVME)).hasValue(7);
    assertThat(sysfs.driver(NVME)).contains("nvme");
    assertThat(sysfs.driver(NET)).isEmpty();
    assertThat(sysfs.device("0000:00:03.0")).isEmpty();
    assertThat(sysfs.groupOf("0000:00:03.0")).isEmpty();
  }

  @Test
  void shouldTellTheDriverAndTheCommandThatBinds() throws IOException {
    bind(NVME, "nvme");
    VfioException told = diagnosis.unopened(refusal(Errno.ENOENT, "open"), 7, NVME);
    assertThat(told)
        .hasMessage(
            "0000:00:02.0 is bound to nvme; bind it to vfio-pci first: vfio bind 0000:00:02.0"
                + " (open: ENOENT)");
    assertThat(told.refusal().devices()).containsExactly(NVME);
  }

  @Test
  void shouldTellThatThereIsNoDriver() {
    assertThat(diagnosis.notGiven(refusal(Errno.ENODEV, "VFIO_GROUP_GET_DEVICE_FD"), 7, NVME))
        .hasMessage(
            "0000:00:02.0 has no driver; bind it to vfio-pci first: vfio bind 0000:00:02.0"
                + " (VFIO_GROUP_GET_DEVICE_FD: ENODEV)");
  }

  @Test
  void shouldNameAllMembersOfAGroupThatIsNotViable() throws IOException {
    bind(NVME, "vfio-pci");
    bind(NET, "e1000e");
    assertThat(diagnosis.notViable(7, NVME))
        .hasMessage(
            "IOMMU group 7 of 0000:00:02.0 is not viable: a driver of the host has one of"
                + " 0000:00:02.0 (vfio-pci), 0000:00:02.1 (e1000e); bind all of them to vfio-pci:"
                + " vfio bind 0000:00:02.0 (VFIO_GROUP_GET_STATUS: EPERM)");
    VfioException late =
        diagnosis.notAttached(refusal(Errno.EPERM, "VFIO_GROUP_SET_CONTAINER"), 7, NVME);
    assertThat(late).hasMessageContaining("0000:00:02.1 (e1000e)");
    assertThat(late.refusal().call()).isEqualTo("VFIO_GROUP_SET_CONTAINER");
  }

  @Test
  void shouldTellWhoHasTheGroup() throws IOException {
    Path descriptors = Files.createDirectories(folder.resolve("proc/4711/fd"));
    link(descriptors.resolve("12"), "/dev/vfio/7");
    Files.writeString(folder.resolve("proc/4711/comm"), "qemu-system-x86\n");
    Files.createDirectories(folder.resolve("proc/4712/fd"));
    assertThat(diagnosis.unopened(refusal(Errno.EBUSY, "open"), 7, NVME))
        .hasMessage(
            "IOMMU group 7 of 0000:00:02.0 is in use; one process can have a group open at a time;"
                + " held by process 4711 (qemu-system-x86) (open: EBUSY)");
  }

  @Test
  void shouldTellThatItIsThisProcess() throws IOException {
    Path own = folder.resolve("proc/" + ProcessHandle.current().pid());
    link(Files.createDirectories(own.resolve("fd")).resolve("12"), "/dev/vfio/7");
    assertThat(diagnosis.unopened(refusal(Errno.EBUSY, "open"), 7, NVME))
        .hasMessageContaining("it is this process: open both devices in one DmaSpace");
  }

  @Test
  void shouldTellWhatToDoWithoutInterruptRemapping() {
    VfioException told = diagnosis.notAttached(refusal(Errno.EPERM, "VFIO_SET_IOMMU"), 7, NVME);
    assertThat(told).hasMessageContaining("interrupt remapping").hasMessageContaining("unsafe");
    assertThat(told.reason()).isEqualTo(Reason.INTERRUPTS_NOT_ISOLATED);
  }

  @Test
  void shouldTellThatThereIsNoVfio() {
    assertThat(diagnosis.noVfio(new SystemCallException("open /dev/vfio/vfio", 2)))
        .hasMessage(
            "the kernel offers no VFIO here: modprobe vfio-pci, or a kernel with CONFIG_VFIO"
                + " (open: ENOENT)");
    SystemCallException other = new SystemCallException("open /dev/vfio/vfio", 24);
    assertThat(diagnosis.noVfio(other)).isSameAs(other);
  }

  @Test
  void shouldTellLimitAndNeedOfLockedMemory() throws IOException {
    Path self = Files.createDirectories(folder.resolve("proc/thread-self"));
    Files.writeString(self.resolve("status"), "CapEff:\t0000000000000000\nVmLck:\t      64 kB\n");
    LockedMemory memory = new LockedMemory(folder.resolve("proc"), SystemCalls.libc());
    assertThat(memory.bytes()).isEqualTo(65536);
    assertThat(memory.maySkipLimit()).isFalse();
    VfioException told =
        diagnosis.notMapped(
            refusal(Errno.ENOMEM, "VFIO_IOMMU_MAP_DMA"), NVME, 0x10000, Long.MAX_VALUE, List.of());
    assertThat(told.reason()).isEqualTo(Reason.LOCKED_MEMORY);
    assertThat(told)
        .hasMessageMatching(
            "mapping 0x7fffffffffffffff bytes at IOVA 0x10000 for 0000:00:02.0: RLIMIT_MEMLOCK"
                + " allows \\d+ bytes of locked memory, 65536 are locked, 9223372036854775807 more"
                + " are needed; raise it with .* \\(VFIO_IOMMU_MAP_DMA: ENOMEM\\)"
                + "|.*: the kernel has no memory for it .*");
    Files.writeString(self.resolve("status"), "CapEff:\t000001ffffffffff\n");
    assertThat(memory.maySkipLimit()).isTrue();
  }

  @Test
  void shouldTellWhatIsMissingBeforeAskingTheKernel() throws IOException {
    Files.createDirectories(device("0000:00:03.0"));
    assertThat(diagnosis.noDevice("0000:00:09.0"))
        .hasMessage("there is no PCI device 0000:00:09.0 here (ENODEV)");
    assertThat(diagnosis.noGroup("0000:00:03.0")).hasMessageContaining("intel_iommu=on");
  }

  @Test
  void shouldKnowAnAddress() {
    assertThat(PciDevice.fullAddress("0000:00:02.0")).isEqualTo("0000:00:02.0");
    assertThat(PciDevice.fullAddress("3a:1F.7")).isEqualTo("0000:3a:1f.7");
    assertThat(PciDevice.fullAddress("10000:01:00.0")).isEqualTo("10000:01:00.0");
    for (String wrong :
        List.of("", "0000:00:02", "00:20.0", "00:02.8", "../0000:00:02.0", "nvme")) {
      assertThatThrownBy(() -> PciDevice.fullAddress(wrong))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("not a PCI address such as 0000:00:02.0: address=" + wrong);
    }
  }
}
