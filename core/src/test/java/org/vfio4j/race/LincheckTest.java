// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.race;

import static org.assertj.core.api.Assertions.assertThat;

import org.jetbrains.lincheck.datastructures.ModelCheckingOptions;
import org.jetbrains.lincheck.datastructures.StressOptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Lincheck chooses the interleavings; each outcome must be that of some order of the calls. */
class LincheckTest {
  /**
   * Lincheck cannot follow the JDK's first use of a locale, or of events for Flight Recorder, so
   * that has to be over.
   */
  @BeforeAll
  static void warmUp() {
    assertThat("%d 0x%x".formatted(1, 1)).isEqualTo("1 0x1");
    TwoContainersModel model = new TwoContainersModel();
    assertThat(model.attach(0, 0)).isEqualTo("attached");
    assertThat(model.attach(1, 1)).isEqualTo("EBUSY");
    model.detach(0, 0);
  }

  @Test
  void twoContainersCompeteForOneGroup() {
    modelCheck(TwoContainersModel.class, 3, 40);
  }

  @Test
  void lookupsAgainstMapAndUnmap() {
    modelCheck(PageTableModel.class, 5, 200);
  }

  @Test
  void twoContainersUnderStress() {
    stress(TwoContainersModel.class);
  }

  @Test
  void lookupsUnderStress() {
    stress(PageTableModel.class);
  }

  private static void modelCheck(Class<?> model, int scenarios, int invocations) {
    new ModelCheckingOptions()
        .iterations(scenarios)
        .invocationsPerIteration(invocations)
        .threads(2)
        .actorsPerThread(2)
        .actorsBefore(1)
        .actorsAfter(1)
        .check(model);
  }

  private static void stress(Class<?> model) {
    new StressOptions()
        .iterations(10)
        .invocationsPerIteration(1000)
        .threads(3)
        .actorsPerThread(3)
        .actorsBefore(2)
        .actorsAfter(2)
        .check(model);
  }
}
