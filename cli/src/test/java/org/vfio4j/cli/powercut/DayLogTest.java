// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.powercut;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

/** What has to be there after a cut, and what may be. */
class DayLogTest {
  private static List<String> differences(String log, String found) {
    DayLog known = new DayLog();
    known.read(log);
    return known.differences(DayOperation.vms(found.split(" ", -1)));
  }

  @Test
  void shouldExpectWhatWasAcknowledged() {
    String log = "settled a=1 b=2\nbegin 1 attach a 3\nacked 1\nbegin 2 down b\nacked 2\n";
    assertThat(differences(log, "a=1,3")).isEmpty();
    assertThat(differences(log, "a=1")).singleElement().asString().contains("a=1,3");
    assertThat(differences(log, "a=1,3 b=2")).singleElement().asString().contains("b=2");
    assertThat(differences(log, "")).hasSize(1);
  }

  @Test
  void shouldAllowWhatIsUnderWayToBeDoneOrNotAndNotHalf() {
    String log = "settled c=\nbegin 1 up a=1 b=2\nbegin 2 detach c 9\nacked ";
    assertThat(differences(log, "c=")).isEmpty();
    assertThat(differences(log, "a=1 b=2 c=")).isEmpty();
    assertThat(differences(log, "a=1 c=")).singleElement().asString().contains("neither");
    assertThat(differences(log, "a=1 b= c=")).singleElement().asString().contains("neither");
  }

  @Test
  void shouldExpectNothingOfWhatWasRefusedAndGoOnFromWhatWasFound() {
    assertThat(differences("begin 1 up a=1\nrefused 1 why so\n", "")).isEmpty();
    assertThat(differences("begin 1 up a=1\nsettled a=1\nbegin 1 detach a 1\nacked 1\n", "a="))
        .isEmpty();
  }
}
