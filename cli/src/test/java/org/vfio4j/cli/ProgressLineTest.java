// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class ProgressLineTest {
  private final ByteArrayOutputStream told = new ByteArrayOutputStream();
  private long now = 5;

  private ProgressLine line(boolean terminal) {
    PrintStream err = new PrintStream(told, false, StandardCharsets.UTF_8);
    return new ProgressLine(err, terminal, () -> now);
  }

  private String told() {
    return told.toString(StandardCharsets.UTF_8);
  }

  @Test
  void shouldTellNothingInTheFirstSecond() {
    try (ProgressLine line = line(true)) {
      now += 999_999_999;
      line.at("checking", 7, 10_000);
    }
    assertThat(told()).isEmpty();
  }

  @Test
  void shouldTellHowFarItIsFromThenOnAndWipeTheLine() {
    try (ProgressLine line = line(true)) {
      now += 1_000_000_000;
      line.at("checking", 9999, 10_000);
      line.at("checking", 10_000, 10_000);
      now += 200_000_000;
      line.at("checking", 1, 2);
    }
    assertThat(told())
        .isEqualTo(
            "\rchecking: 9999 of 10000 VMs\rchecking: 1 of 2 VMs       \r                    \r");
  }

  @Test
  void shouldTellNothingWhereNobodyLooks() {
    try (ProgressLine line = line(false)) {
      now += 5_000_000_000L;
      line.at("checking", 1, 2);
    }
    assertThat(told()).isEmpty();
  }
}
