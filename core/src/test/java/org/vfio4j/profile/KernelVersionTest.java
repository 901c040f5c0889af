// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.profile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.error.Errno;

/** Versions as people write them, and the profiles put together from what came when. */
class KernelVersionTest {
  @ParameterizedTest
  @CsvSource({
    "6.8, 6.8",
    "v6.8, 6.8",
    "Linux 6.8.12, 6.8",
    "6.1.0-18, 6.1",
    "6.18.0-rc7, 6.18",
    "5.10.70.mx64.403, 5.10",
    "6.12.48+deb13-amd64, 6.12",
    "6.6-rc1, 6.6",
    "4.19.0-25-amd64, 4.19"
  })
  void shouldReadVersionsAsPeopleWriteThem(String text, String version) {
    assertThat(KernelVersion.parse(text)).map(KernelVersion::toString).contains(version);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "6", "six.one", "6.", ".1", "99999.1", "6.12345678"})
  void shouldFindNoVersionWhereNoneIs(String text) {
    assertThat(KernelVersion.parse(text)).isEmpty();
  }

  @Test
  void shouldRefuseNegativeNumbers() {
    assertThatIllegalArgumentException().isThrownBy(() -> new KernelVersion(6, -1));
  }

  @Test
  void shouldOrderByNumbersAndNotByLetters() {
    assertThat(new KernelVersion(5, 9)).isLessThan(new KernelVersion(5, 10));
    assertThat(new KernelVersion(5, 19)).isLessThan(new KernelVersion(6, 1));
  }

  @Test
  void shouldComposeAProfileOfWhatCameUntilThen() {
    KernelProfile v515 = KernelProfile.of(new KernelVersion(5, 15));
    assertThat(v515.name()).isEqualTo("5.15");
    assertThat(v515.vaddrUpdate()).isTrue();
    assertThat(v515.ownership()).isFalse();
    KernelProfile v68 = KernelProfile.of(new KernelVersion(6, 8));
    assertThat(v68.ownership()).isTrue();
    assertThat(v68.rmrrRefusedAtClaim()).isTrue();
    assertThat(v68.foreignContainerFd()).isEqualTo(Errno.EBADFD);
    assertThat(v68.removalHidesDevice()).isFalse();
  }

  /** Every kernel that was tried is the composition of its version, by its name. */
  @Test
  void shouldComposeTheKernelsThatWereTried() {
    for (KernelProfile tried : KernelProfile.all()) {
      KernelVersion version = KernelVersion.parse(tried.name()).orElseThrow();
      assertThat(KernelProfile.of(version)).isEqualTo(tried);
    }
    assertThat(KernelProfile.LINUX_5_10.iovaRanges()).isTrue();
    assertThat(KernelProfile.LINUX_7_2.overflow()).isEqualTo(Errno.EOVERFLOW);
  }

  @Test
  void shouldAnswerAsTheOldestAndTheNewestThatAreKnown() {
    assertThat(KernelProfile.of(new KernelVersion(4, 19))).isEqualTo(KernelProfile.LINUX_5_3);
    assertThat(KernelProfile.of(new KernelVersion(9, 0))).isEqualTo(KernelProfile.LINUX_7_2);
  }
}
