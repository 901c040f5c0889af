// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * What gives back what clients brought: one thread for a user, and nobody waits for it for ever.
 */
@Timeout(60)
class DisposalTest {
  /** Of nobody who connects, so that what other tests give back is not in the way. */
  private final Disposal disposal = Disposal.of(-7);

  private static long soon() {
    return System.nanoTime() + TimeUnit.SECONDS.toNanos(50);
  }

  @Test
  void shouldBeginNoThreadForEachThatLeaves() {
    List<Thread> by = new CopyOnWriteArrayList<>();
    for (int n = 0; n < 3; n++) {
      disposal.later("one", () -> by.add(Thread.currentThread()));
      assertThat(disposal.awaitDone(soon())).isTrue();
    }
    assertThat(by).hasSize(3).containsOnly(by.getFirst());
  }

  @Test
  void shouldNotBeDoneWhileItIsAtTheLast() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    List<String> done = new CopyOnWriteArrayList<>();
    disposal.later(
        "the last",
        () -> {
          begun.countDown();
          try {
            goOn.await();
          } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
          }
          done.add("the last");
        });
    begun.await();
    assertThat(disposal.now()).isEqualTo("the last");
    assertThat(disposal.awaitDone(System.nanoTime() + 1_000_000)).isFalse();
    goOn.countDown();
    assertThat(disposal.awaitDone(soon())).isTrue();
    assertThat(done).containsExactly("the last");
    assertThat(disposal.now()).isEqualTo("nothing");
  }

  @Test
  void shouldGoOnAfterSomethingThatFails() {
    List<String> done = new CopyOnWriteArrayList<>();
    try (HostileVictim.Log log = new HostileVictim.Log()) {
      disposal.later(
          "a failure",
          () -> {
            throw new IllegalStateException("as a device may");
          });
      disposal.later("the next", () -> done.add("the next"));
      assertThat(disposal.awaitDone(soon())).isTrue();
      assertThat(log.first()).contains("failed at a failure");
    }
    assertThat(done).containsExactly("the next");
  }
}
