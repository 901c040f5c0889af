// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What {@code vfio explain} answers to messages of public reports. */
class ReportsTest {

  /** So many questions there are; a file that is not read would ask none. */
  private static final int LEAST = 25;

  static List<ExpectedReports.Ask> explained() {
    return ExpectedReports.asks("explain");
  }

  @Test
  void shouldReadTheQuestions() {
    assertThat(explained()).hasSizeGreaterThan(LEAST);
    assertThat(explained()).allSatisfy(a -> assertThat(a.says()).isNotEmpty());
  }

  @ParameterizedTest
  @MethodSource("explained")
  void shouldExplainTheReport(ExpectedReports.Ask ask) throws IOException {
    Ran asMessage = Ran.vfio("explain", "--", Files.readString(ask.input()));
    Ran asFile = Ran.vfio("explain", "--file", ask.input());
    for (Ran ran : List.of(asMessage, asFile)) {
      assertThat(ran.status()).as(ran.err()).isZero();
      assertThat(ask.missing(ran.out())).as("missing in: %s", ran.out()).isEmpty();
      assertThat(ask.wrong(ran.out())).as("wrong in: %s", ran.out()).isEmpty();
    }
  }
}
