// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.assign.RunningVm;

/** What runs on a machine, from a folder that looks like one. */
class RunningVmsTest {
  @TempDir private Path root = Path.of("");

  private void process(int pid, String comm, String commandLine, String... open)
      throws IOException {
    Path process = Files.createDirectories(root.resolve("proc/" + pid));
    Files.writeString(process.resolve("comm"), comm + "\n");
    Files.writeString(process.resolve("cmdline"), commandLine.replace(' ', '\0'));
    Path descriptors = Files.createDirectories(process.resolve("fd"));
    for (int i = 0; i < open.length; i++) {
      Files.createSymbolicLink(descriptors.resolve(Integer.toString(i)), Path.of(open[i]));
    }
  }

  @Test
  void shouldFindTheProcessesThatHaveGroupsOpen() throws IOException {
    process(7, "systemd", "/sbin/init", "/dev/null", "socket:[1]");
    process(
        1001,
        "qemu-system-x86",
        "qemu-system-x86_64 -name guest=web,debug-threads=on -m 4096",
        "/dev/vfio/vfio",
        "/dev/vfio/12",
        "/dev/vfio/13",
        "anon_inode:[vfio-device]");
    process(1002, "qemu-system-x86", "qemu-system-x86_64 -name db", "/dev/vfio/14");
    process(98, "dpdk#app", "dpdk-testpmd", "/dev/vfio/15");
    process(1003, "dpdk#app", "dpdk-testpmd", "/dev/vfio/16");
    assertThat(RunningVms.of(root))
        .containsExactly(
            RunningVm.ofProcess("dpdk_app", 98, Set.of(15)),
            RunningVm.ofProcess("web", 1001, Set.of(12, 13)),
            RunningVm.ofProcess("db", 1002, Set.of(14)),
            RunningVm.ofProcess("dpdk_app-1003", 1003, Set.of(16)));
  }

  /** Whoever keeps descriptors for a process has its groups open as well. */
  @Test
  void shouldFindAGroupOnce() throws IOException {
    process(1, "systemd", "/sbin/init", "/dev/vfio/12");
    process(300, "java", "java keep", "/dev/vfio/14");
    process(301, "vfio", "java daemon", "/dev/vfio/12", "/dev/vfio/14");
    process(302, "qemu", "qemu -name db", "/dev/vfio/15");
    assertThat(RunningVms.of(root))
        .containsExactly(
            RunningVm.ofProcess("vfio", 301, Set.of(12, 14)),
            RunningVm.ofProcess("db", 302, Set.of(15)));
    assertThat(RunningVms.beside(root, 301))
        .containsExactly(RunningVm.ofProcess("db", 302, Set.of(15)));
  }

  @Test
  void shouldFindTheFunctionBehindADeviceOfItsOwn() throws IOException {
    Path function = root.resolve("sys/devices/pci0000:00/0000:00:05.0");
    Files.createDirectories(function);
    Path device = Files.createDirectories(root.resolve("sys/class/vfio-dev/vfio3"));
    Files.createSymbolicLink(device.resolve("device"), function);
    process(5, "crosvm", "crosvm run", "/dev/vfio/devices/vfio3", "/dev/iommu");
    assertThat(RunningVms.of(root))
        .containsExactly(
            new RunningVm("crosvm", OptionalLong.of(5), false, Set.of(), List.of("0000:00:05.0")));
  }

  @Test
  void shouldFindNothingWhereNothingRuns() {
    assertThat(RunningVms.of(root)).isEmpty();
  }
}
