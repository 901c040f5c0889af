// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.time.Duration;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.user.wire.DmaMap;

/** A {@link ProbeDevice} behind a server, and a client of it, over a real socket. */
abstract class Served extends LeakCheck {
  static final SystemCalls CALLS = SystemCalls.libc();
  static final Duration SOON = Duration.ofSeconds(20);
  static final int BOTH = DmaMap.READ | DmaMap.WRITE;
  static final long MIB = 1 << 20;
  static final int EINVAL = ErrnoNames.EINVAL;

  /** What a client asks, and what the device saw of it. */
  interface Body {
    void run(Client client, ProbeDevice device) throws Exception;
  }

  void served(Body body) throws Exception {
    Path path = folder.resolve("s");
    try (ProbeDevice device = new ProbeDevice();
        Server _ = Server.at(path).start(device)) {
      try (Client client = Client.connect(path)) {
        body.run(client, device);
      }
      assertThat(device.violation.get()).isEmpty();
    }
  }

  static void refused(int errno, ThrowingCallable call) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            ErrorReplyException.class, e -> assertThat(e.errno()).isEqualTo(errno));
  }
}
