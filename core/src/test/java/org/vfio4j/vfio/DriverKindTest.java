// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The one answer to "is this driver VFIO's" (B12, B13). */
class DriverKindTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "vfio-pci",
        "vfio-platform",
        "vfio-amba",
        "vfio-fsl-mc",
        "vfio-cdx",
        "vfio_ap",
        "vfio_ccw",
        "vfio_mdev",
        "mlx5_vfio_pci",
        "virtio_vfio_pci",
        "pds-vfio-pci",
        "hisi-acc-vfio-pci",
        "qat_vfio_pci",
        "nvgrace-gpu-vfio-pci",
        "xe-vfio-pci",
        "not-yet-written-vfio-pci"
      })
  void shouldKnowVfioAndItsVariants(String driver) {
    assertThat(DriverKind.of(driver, false)).isEqualTo(DriverKind.VFIO);
    assertThat(DriverKind.offers(driver)).isTrue();
    assertThat(DriverKind.of(driver, false).registersWithVfio()).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"pci-stub", "pcieport", "shpchp"})
  void shouldLeaveAGroupViableUnderAStub(String driver) {
    assertThat(DriverKind.of(driver, false)).isEqualTo(DriverKind.STUB);
    assertThat(DriverKind.offers(driver)).isFalse();
    assertThat(DriverKind.of(driver, false).registersWithVfio()).isFalse();
  }

  @ParameterizedTest
  @ValueSource(strings = {"igb", "nvme", "uio_pci_generic", "igb_uio", "vfiox", "xvfio-pci", ""})
  void shouldTakeEveryOtherDriverForOneOfTheHosts(String driver) {
    assertThat(DriverKind.of(driver, false)).isEqualTo(DriverKind.HOST);
    assertThat(DriverKind.of(driver, true)).isEqualTo(DriverKind.STUB);
    assertThat(DriverKind.offers(driver)).isFalse();
  }

  @Test
  void shouldTellWhatWrapsAFunctionFromWhatOffersIt() {
    assertThat(DriverKind.of(DriverKind.WRAPPER_NAME, false)).isEqualTo(DriverKind.WRAPPER);
    assertThat(DriverKind.offers(DriverKind.WRAPPER_NAME)).isFalse();
    assertThat(DriverKind.WRAPPER.registersWithVfio()).isTrue();
  }
}
