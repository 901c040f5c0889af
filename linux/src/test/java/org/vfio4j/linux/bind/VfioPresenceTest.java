// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.bind;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class VfioPresenceTest {
  @TempDir Path root = Path.of("");

  @Test
  void shouldSayWhatToEnableStepByStep() throws Exception {
    VfioPresence presence = new VfioPresence(root);
    assertThat(presence.missing()).hasValueSatisfying(m -> assertThat(m).contains("VT-d"));
    Files.createDirectories(root.resolve("sys/kernel/iommu_groups"));
    assertThat(presence.missingIommu()).hasValueSatisfying(m -> assertThat(m).contains("VT-d"));
    Files.createDirectories(root.resolve("sys/kernel/iommu_groups/0"));
    assertThat(presence.missingIommu()).isEmpty();
    assertThat(presence.missing())
        .hasValueSatisfying(m -> assertThat(m).contains("modprobe vfio-pci"));
    Files.createDirectories(root.resolve("dev/vfio"));
    Files.createFile(root.resolve("dev/vfio/vfio"));
    assertThat(presence.missing()).isEmpty();
  }
}
