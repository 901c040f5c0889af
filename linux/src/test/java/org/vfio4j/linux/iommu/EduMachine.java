// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.linux.sysfs.LinuxDevice;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.mdev.MediatedGroup;
import org.vfio4j.profile.KernelProfile;

/**
 * The machine of kernel.md section 11, where these tests run: QEMU with edu devices, which exist
 * nowhere else, so that no real device is ever touched.
 */
final class EduMachine {
  /** Alone in their groups. */
  static final String A = "0000:00:02.0";

  static final String B = "0000:00:03.0";

  /** Two in one group, below a bridge. */
  static final String R1 = "0000:02:01.0";

  static final String R2 = "0000:02:02.0";

  static final List<String> ALL = List.of(A, B, R1, R2);

  private static final Path DEVICES = Path.of("/sys/bus/pci/devices");
  private static final AtomicInteger NEXT_GROUP = new AtomicInteger(1_000);

  private EduMachine() {}

  /** Skips the test on any other machine; gives the devices to vfio-pci on this one. */
  static void assumeHere() {
    assumeTrue(Files.isWritable(Path.of("/dev/vfio/vfio")), "no VFIO here: kernel-bench runs it");
    assumeTrue(
        ALL.stream().allMatch(EduMachine::isEdu), "not the machine of kernel-bench: no edu here");
    ALL.forEach(EduMachine::bind);
  }

  private static boolean isEdu(String device) {
    Path folder = DEVICES.resolve(device);
    return Files.exists(folder)
        && read(folder.resolve("vendor")).equals("0x1234")
        && read(folder.resolve("device")).equals("0x11e8");
  }

  private static void bind(String device) {
    Path folder = DEVICES.resolve(device);
    if (Files.exists(folder.resolve("driver"))) {
      return;
    }
    write(folder.resolve("driver_override"), "vfio-pci");
    write(Path.of("/sys/bus/pci/drivers_probe"), device);
    assertThat(folder.resolve("driver")).exists();
  }

  /** The VFIO group of a new wrapped device of a function: W(x). */
  static IommuGroup wrapped(String function) {
    LinuxDevice parent = LinuxDevice.pci(function);
    return new MediatedGroup(
        NEXT_GROUP.getAndIncrement(),
        new MediatedDevice(
            UUID.randomUUID().toString(), "backed", parent, new Isolation.Backed(parent)));
  }

  /** A line of {@code /proc/self/status}, in KiB: VmLck, VmSize. */
  static long statusKib(String name) {
    return read(Path.of("/proc/self/status"))
        .lines()
        .filter(line -> line.startsWith(name + ":"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")))
        .findFirst()
        .orElseThrow();
  }

  /** Whose answers the running kernel gives. */
  static KernelProfile profile() {
    try {
      return Kernels.profile(Kernels.release());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file).strip();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void write(Path file, String text) {
    try {
      Files.writeString(file, text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
