// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.profile.KernelProfile;

/** Whose kernel answers. */
class OptionsTest {
  private static HostTopology host(Optional<String> kernel) {
    HostTopology host = new SmallHost().function("0000:01:00.0", 1, "igb").build();
    return new HostTopology(
        host.name(),
        host.origin(),
        kernel,
        host.partial(),
        host.functions(),
        host.groups(),
        host.mdevParents(),
        host.mdevs(),
        host.iommu(),
        host.roles());
  }

  @ParameterizedTest
  @CsvSource({
    "6.1.0-18-amd64, 6.1",
    "6.8.12-4-pve, 6.1",
    "6.12.48+deb13-amd64, 6.12",
    "5.10.0-32-amd64, 5.10",
    "5.15.0-91-generic, 5.10",
    "4.19.0-25-amd64, 5.3",
    "9.99, 7.2",
    "what, 6.1"
  })
  void shouldAnswerAsTheKernelThatTheHostRuns(String release, String profile) {
    assertThat(Options.DEFAULT.profileFor(host(Optional.of(release))).name()).isEqualTo(profile);
  }

  @Test
  void shouldAnswerAsTheKernelThatIsChosen() {
    Options options = new Options(KernelProfile.LINUX_6_12, false, Set.of());
    assertThat(options.profileFor(host(Optional.of("5.10")))).isEqualTo(KernelProfile.LINUX_6_12);
    assertThat(Options.DEFAULT.profileFor(host(Optional.empty()))).isEqualTo(KernelProfile.DEFAULT);
  }
}
