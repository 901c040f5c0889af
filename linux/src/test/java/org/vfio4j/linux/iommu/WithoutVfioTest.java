// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.sysfs.Sysfs;
import org.vfio4j.linux.testing.CountingSystemCalls;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.OpenDescriptors;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/** A group that sysfs shows and VFIO does not: what is refused, by which call, and what remains. */
class WithoutVfioTest {
  /** No machine has so many groups. */
  private static final int GROUP = 987_654;

  private static final String DEVICE = "0000:01:00.0";

  @TempDir Path root;

  @Test
  void shouldNameTheCallThatTheKernelRefused() throws IOException {
    Path group = root.resolve("kernel/iommu_groups/" + GROUP);
    Files.createDirectories(group.resolve("devices"));
    Path device = Files.createDirectories(root.resolve("bus/pci/devices").resolve(DEVICE));
    Files.createSymbolicLink(device.resolve("iommu_group"), group);
    Files.createSymbolicLink(group.resolve("devices").resolve(DEVICE), device);
    CountingSystemCalls calls = new CountingSystemCalls(SystemCalls.libc());
    LinuxIommu iommu = new LinuxIommu(calls, new Sysfs(root));
    Set<String> before = OpenDescriptors.now();
    try (Container container =
        new Container("vm", iommu, KernelProfile.DEFAULT, Type1.V2, new Type1Parameters())) {
      VfioException refused =
          catchThrowableOfType(
              VfioException.class, () -> container.attach(iommu.groupOf(DEVICE).orElseThrow()));
      assertThat(refused.errno()).isEqualTo(Errno.ENOENT);
      assertThat(refused.reason()).isEqualTo(Reason.NO_GROUP);
      assertThat(refused.refusal().call()).isEqualTo("open");
      assertThat(refused.refusal().devices()).containsExactly(DEVICE);
      assertThat(container.groups()).isEmpty();
    }
    assertThat(calls.sinceLast()).isEqualTo(Map.of("open", 1));
    assertThat(OpenDescriptors.now()).isEqualTo(before);
  }
}
