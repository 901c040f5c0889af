// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;
import org.junit.jupiter.api.Test;

class PciIdsTest {

  /** In the form of pci.ids; the names are imagined. */
  private static final String NAMES =
      """
      # A comment
      1af4  Imagined Corp.
      \t0201  Accelerator [A1]
      \t\t1af4 1100  A board
      # between
      \t0202  Accelerator [A2]
      1af5  Another Corp.
      \t0203  Disk
      C 02  Network controller
      \t0000  Ethernet controller
      """;

  private final PciIds names = PciIds.of(NAMES);

  private static PciFunction function(String id, Optional<String> description) {
    return PciFunction.builder(PciAddress.parse("01:00.0"))
        .id(Optional.of(PciId.parse(id)))
        .description(description)
        .build();
  }

  @Test
  void shouldNameADeviceOfItsVendorAlone() {
    assertThat(names.vendor(0x1af4)).contains("Imagined Corp.");
    assertThat(names.device(PciId.parse("1af4:0202"))).contains("Accelerator [A2]");
    assertThat(names.device(PciId.parse("1af5:0203"))).contains("Disk");
    assertThat(names.device(PciId.parse("1af4:0203"))).isEmpty();
    assertThat(names.device(PciId.parse("1af4:1af4"))).isEmpty();
    assertThat(names.device(PciId.parse("1af5:0000"))).isEmpty();
    assertThat(names.vendor(0xffff)).isEmpty();
  }

  @Test
  void shouldCallAFunctionAsItsSourceDoesAndElseByItsNumbers() {
    assertThat(names.name(function("1af4:0201", Optional.of("said")))).contains("said");
    assertThat(names.name(function("1af4:0201", Optional.empty())))
        .contains("Imagined Corp. Accelerator [A1]");
    assertThat(names.name(function("1af4:0999", Optional.empty())))
        .contains("Imagined Corp. Device 0999");
    assertThat(names.name(function("9999:0999", Optional.empty()))).isEmpty();
    assertThat(PciIds.NONE.name(function("1af4:0201", Optional.empty()))).isEmpty();
  }

  @Test
  void shouldTakeAFileThatIsCutOff() {
    for (int length = 0; length < NAMES.length(); length++) {
      PciIds cut = PciIds.of(NAMES.substring(0, length));
      assertThat(cut.device(PciId.parse("1af4:0203"))).isEmpty();
      cut.name(function("1af5:0203", Optional.empty()));
    }
  }
}
