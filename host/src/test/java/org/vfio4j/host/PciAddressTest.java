// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PciAddressTest {

  @Test
  void shouldReadShortAndFullForms() {
    assertThat(PciAddress.parse("01:00.0")).isEqualTo(PciAddress.parse("0000:01:00.0"));
    assertThat(PciAddress.parse("10000:E1:1f.7"))
        .isEqualTo(new PciAddress(0x10000, 0xe1, 0x1f, 7))
        .hasToString("10000:e1:1f.7");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "1:00.0",
        "01:00",
        "01:00.8",
        "01:20.0",
        "01.00.0",
        "000:01:00.0",
        "0000:01:00.0 ",
        "0000-01:00.0",
        "g000:01:00.0",
        "fffffffff:01:00.0",
        "80000000:01:00.0",
        "0000:01:00.00"
      })
  void shouldRejectWhatIsNoAddress(String text) {
    assertThat(PciAddress.tryParse(text)).isEmpty();
    assertThatThrownBy(() -> PciAddress.parse(text)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void shouldOrderByDomainBusDeviceFunction() {
    assertThat(PciAddress.parse("0001:00:00.0")).isGreaterThan(PciAddress.parse("0000:ff:1f.7"));
    assertThat(PciAddress.parse("00:02.0")).isGreaterThan(PciAddress.parse("00:01.7"));
  }
}
