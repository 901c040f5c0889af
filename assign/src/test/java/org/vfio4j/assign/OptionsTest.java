// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.profile.KernelVersion;

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
    "6.8.12-4-pve, 6.8",
    "6.12.48+deb13-amd64, 6.12",
    "5.10.0-32-amd64, 5.10",
    "5.15.0-91-generic, 5.15",
    "4.19.0-25-amd64, 5.3",
    "9.99, 7.2",
    "what, 6.1"
  })
  void shouldAnswerAsTheKernelThatTheHostRuns(String release, String profile) {
    assertThat(Options.DEFAULT.kernelFor(host(Optional.of(release))).profile().name())
        .isEqualTo(profile);
  }

  @Test
  void shouldAnswerAsTheKernelThatIsChosen() {
    Options options = new Options(KernelProfile.LINUX_6_12, false, Set.of());
    assertThat(options.kernelFor(host(Optional.of("5.10"))).profile())
        .isEqualTo(KernelProfile.LINUX_6_12);
    assertThat(Options.DEFAULT.kernelFor(host(Optional.empty())).profile())
        .isEqualTo(KernelProfile.DEFAULT);
  }

  @Test
  void shouldSayWhichKernelAnswersAndWhy() {
    assertThat(Options.DEFAULT.kernelFor(host(Optional.of("6.18.0-rc7"))).sentence())
        .isEqualTo("Linux 6.18, as the host runs 6.18.0-rc7");
    assertThat(Options.DEFAULT.kernelFor(host(Optional.of("4.19.0-25"))).sentence())
        .isEqualTo("Linux 5.3, as the host runs 4.19.0-25; nothing is known of an older one");
    assertThat(Options.DEFAULT.kernelFor(host(Optional.of("9.0.1"))).sentence())
        .isEqualTo("Linux 7.2, as the host runs 9.0.1; no difference of a newer one is known");
    assertThat(
            Options.DEFAULT
                .asKernel(new KernelVersion(6, 1), "6.1.0-18")
                .kernelFor(host(Optional.of("5.10")))
                .sentence())
        .isEqualTo("Linux 6.1, as 6.1.0-18 was asked for");
    assertThat(Options.DEFAULT.kernelFor(host(Optional.empty())).sentence())
        .isEqualTo("Linux 6.1, as the source does not say what the host runs");
  }

  @Test
  void shouldRefuseToForceWhatIsNoAddress() {
    assertThatExceptionOfType(IllegalArgumentException.class)
        .isThrownBy(() -> Options.DEFAULT.forcing(Set.of("junk")))
        .withMessageContaining("junk");
  }
}
