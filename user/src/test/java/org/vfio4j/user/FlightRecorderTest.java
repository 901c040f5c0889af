// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;

/** What a server writes to Flight Recorder. */
class FlightRecorderTest extends LeakCheck {
  @Test
  void shouldRecordWhoComesAndGoesAndWhatTakesLong() throws Exception {
    Path file = folder.resolve("r.jfr");
    try (Recording recording = new Recording()) {
      recording.enable("org.vfio4j.user.Client");
      recording.enable("org.vfio4j.user.Command").withThreshold(Duration.ZERO);
      recording.start();
      try (Server _ = Server.at(folder.resolve("s")).start(_ -> new BareSession());
          Client client = Client.connect(folder.resolve("s"))) {
        client.reset();
        client.read32(0, 0);
      }
      recording.stop();
      recording.dump(file);
    }
    List<String> seen = new ArrayList<>();
    for (RecordedEvent event : RecordingFile.readAllEvents(file)) {
      assertThat(event.getString("device")).isEqualTo("s");
      assertThat(event.getInt("pid")).isEqualTo((int) ProcessHandle.current().pid());
      seen.add(
          event.getEventType().getName().endsWith(".Client")
              ? event.getString("what")
              : event.getString("command"));
    }
    assertThat(seen).containsExactlyInAnyOrder("connected", "RESET", "REGION_READ", "disconnected");
  }

  @Test
  void shouldRecordNoCommandBelowTheThreshold() throws Exception {
    Path file = folder.resolve("r.jfr");
    try (Recording recording = new Recording()) {
      recording.disable("org.vfio4j.user.Client");
      recording.enable("org.vfio4j.user.Command").withThreshold(Duration.ofHours(1));
      recording.start();
      try (Server _ = Server.at(folder.resolve("s")).start(_ -> new BareSession());
          Client client = Client.connect(folder.resolve("s"))) {
        client.reset();
      }
      recording.stop();
      recording.dump(file);
    }
    assertThat(RecordingFile.readAllEvents(file)).isEmpty();
  }
}
