// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;

/** What a server makes of mistakes that are its own or its device's. */
class MistakesTest extends LeakCheck {
  /** B10: an index of our own that is out of bounds is no message of the client's that is wrong. */
  @Test
  void shouldTellLoudlyOfAnIndexOutOfBounds() {
    Path path = folder.resolve("s");
    try (HostileVictim.Log log = new HostileVictim.Log();
        Server _ =
            Server.at(path)
                .start(
                    _ ->
                        new BareSession() {
                          @Override
                          public void read(int bar, long at, MemorySegment to, long n, int count) {
                            Objects.checkIndex(5, 5);
                          }
                        });
        Client client = Client.connect(path)) {
      Served.refused(Errno.EIO.number(), () -> client.read32(0, 0));
      client.write32(0, 0, 1);
      assertThat(log.first()).contains("s: the device failed at REGION_READ").contains("Index 5");
    }
  }
}
