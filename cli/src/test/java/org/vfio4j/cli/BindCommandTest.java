// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.linux.bind.VfioPresence;

/** On a machine without IOMMU; with one, kernel-bench binds real devices. */
class BindCommandTest {
  @Test
  void shouldSayWhatToEnableWhereThereIsNoIommu() {
    assumeTrue(VfioPresence.ofThisMachine().missingIommu().isPresent());
    for (String command : new String[] {"bind", "release"}) {
      Ran ran = Ran.vfio(command, "0000:00:01.0");
      assertThat(ran.status()).isEqualTo(Main.BAD_INPUT);
      assertThat(ran.out()).isEmpty();
      assertThat(ran.err())
          .hasLineCount(1)
          .contains("this machine has no IOMMU groups: enable VT-d or AMD-Vi");
    }
  }

  @Test
  void shouldSayItToWhoChecksAgainstThisMachineToo(@TempDir Path folder) throws Exception {
    assumeTrue(VfioPresence.ofThisMachine().missingIommu().isPresent());
    Path request = folder.resolve("vms.yaml");
    Files.writeString(request, "host: linux\nvms: {a: {devices: [0000:00:01.0]}}\n");
    Ran ran = Ran.vfio("check", request);
    assertThat(ran.status()).isEqualTo(Main.BAD_INPUT);
    assertThat(ran.err()).hasLineCount(1).contains("enable VT-d or AMD-Vi");
  }
}
