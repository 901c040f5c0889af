// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FunctionSignTest {

  private static final String LISTED = "01:00.0 0300: 1af4:0201";

  private static Set<FunctionSign> signs(String text) {
    return Samples.only(text).functions().getFirst().signs();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        LISTED + " (rev ff)\n",
        LISTED + " (rev a1)\n\t!!! Unknown header type 7f\n",
        LISTED
            + "\n"
            + "[   87.412759] nvidia 0000:01:00.0: Unable to change power state from D3cold to D0,"
            + " device inaccessible\n",
        LISTED
            + "\n[  191.100000] vfio-pci 0000:01:00.0: not ready 65535ms after bus reset; giving"
            + " up\n",
      })
  void shouldTellOfAFunctionThatDoesNotAnswer(String text) {
    assertThat(signs(text)).containsExactly(FunctionSign.NO_ANSWER);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[   44.702115] vfio-pci 0000:01:00.0: BAR 0: can't reserve [mem 0xd0000000-0xdfffffff]\n",
        "[   44.702115] vfio-pci 0000:01:00.0: BAR 1 [mem 0xe0000000-0xefffffff]: can't reserve\n",
      })
  void shouldTellOfABarThatTheHostHolds(String line) {
    assertThat(signs(LISTED + "\n" + line)).containsExactly(FunctionSign.BAR_HELD);
  }

  @Test
  void shouldSayNothingOfAFunctionOfWhichNothingIsSaid() {
    assertThat(signs(LISTED + " (rev a1)\n")).isEmpty();
  }
}
