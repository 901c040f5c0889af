// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;

/**
 * A reply that comes after its client has given up is taken for the beginning of something else:
 * late is an error in time, and never the reply.
 */
class LateAnswersTest extends LeakCheck {
  private static final int SLOW = 0x10;
  private static final int VALUE = 77;
  private static final Duration PATIENCE = Duration.ofMillis(300);

  /** Waits within a read of one register until it may go on. */
  private static final class SlowSession extends BareSession {
    final CountDownLatch goOn = new CountDownLatch(1);

    @Override
    public Optional<Duration> patience() {
      return Optional.of(PATIENCE);
    }

    @Override
    public void read(int region, long offset, MemorySegment target, long at, int count) {
      if (offset == SLOW) {
        try {
          goOn.await();
        } catch (InterruptedException e) {
          throw new IllegalStateException(e);
        }
      }
      target.set(ValueLayout.JAVA_INT_UNALIGNED, at, VALUE);
    }
  }

  @Test
  void shouldAnswerInTimeWithAnErrorAndNeverWithTheReply() {
    SlowSession session = new SlowSession();
    try (Server server = Server.at(folder.resolve("s")).start(peer -> session);
        Client client = Client.connect(server.path())) {
      assertThat(client.read32(0, 0)).isEqualTo(VALUE);
      Served.refused(Errno.ETIMEDOUT.number(), () -> client.read32(0, SLOW));
      session.goOn.countDown();
      try {
        client.read32(0, 4);
      } catch (ErrorReplyException stillBusy) {
        assertThat(stillBusy.errno()).isEqualTo(Errno.ETIMEDOUT.number());
      }
      // A second reply to the slow read would be in the way of these.
      for (int n = 0; n < 100; n++) {
        assertThat(client.read32(0, 4)).isEqualTo(VALUE);
      }
    }
  }

  /** The time of a command begins when it comes, however long its client was silent before. */
  @Test
  void shouldServeAClientThatWasSilentForLongerThanItWaits() {
    try (Server server = Server.at(folder.resolve("s")).start(peer -> new SlowSession());
        Client client = Client.connect(server.path())) {
      for (int n = 0; n < 2; n++) {
        passes(PATIENCE.multipliedBy(2));
        assertThat(client.read32(0, 4)).isEqualTo(VALUE);
      }
    }
  }

  private static void passes(Duration time) {
    long until = System.nanoTime() + time.toNanos();
    while (System.nanoTime() - until < 0) {
      Thread.onSpinWait();
    }
  }

  @Test
  void shouldAnswerWhatCameMeanwhileInItsTimeToo() {
    SlowSession session = new SlowSession();
    try (Server server = Server.at(folder.resolve("s")).start(peer -> session);
        Client client = Client.connect(server.path())) {
      Served.refused(Errno.ETIMEDOUT.number(), () -> client.read32(0, SLOW));
      CompletableFuture<Integer> meanwhile = new CompletableFuture<>();
      Thread other =
          Thread.ofPlatform()
              .start(
                  () -> {
                    try {
                      meanwhile.complete(client.read32(0, 4));
                    } catch (ErrorReplyException e) {
                      meanwhile.complete(-e.errno());
                    }
                  });
      while (other.getState() != Thread.State.TIMED_WAITING) {
        Thread.onSpinWait();
      }
      // The server may have looked for the slow read only a while after it came, and can then give
      // what followed it as much longer.
      passes(PATIENCE);
      session.goOn.countDown();
      assertThat(meanwhile.join()).isEqualTo(-Errno.ETIMEDOUT.number());
      // The next is answered again: errors do not follow each other for ever.
      assertThat(client.read32(0, 4)).isEqualTo(VALUE);
    }
  }
}
