// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class GivenBackTest {
  private final List<String> closed = new ArrayList<>();

  private AutoCloseable named(String name) {
    return () -> closed.add(name);
  }

  @Test
  void shouldGiveBackInReverse() {
    try (GivenBack all = GivenBack.atTheEnd("test")) {
      assertThat(all.take(() -> named("first"))).isPresent();
      assertThat(all.take(() -> named("second"))).isPresent();
    }
    assertThat(closed).containsExactly("second", "first");
  }

  @Test
  void shouldTakeNothingOnceASignalHasCome() {
    GivenBack all = GivenBack.atTheEnd("test");
    all.end();
    AtomicBoolean asked = new AtomicBoolean();
    assertThat(
            all.take(
                () -> {
                  asked.set(true);
                  return named("late");
                }))
        .isEmpty();
    assertThat(asked).isFalse();
    all.close();
    assertThat(closed).isEmpty();
  }

  @Test
  void shouldGiveBackWhatIsBeingTakenWhenTheSignalComes() throws Exception {
    GivenBack all = GivenBack.atTheEnd("test");
    CountDownLatch taking = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    Thread taker =
        Thread.ofPlatform()
            .start(
                () ->
                    all.take(
                        () -> {
                          taking.countDown();
                          awaited(go);
                          return named("the socket");
                        }));
    taking.await();
    Thread signal = Thread.ofPlatform().start(all::end);
    while (signal.getState() != Thread.State.BLOCKED) {
      Thread.onSpinWait();
    }
    assertThat(closed).isEmpty();
    go.countDown();
    taker.join();
    signal.join();
    assertThat(closed).containsExactly("the socket");
    all.close();
  }

  @Test
  void shouldGiveBackTheRestWhereOneFails() {
    GivenBack all = GivenBack.atTheEnd("test");
    all.take(() -> named("first"));
    all.take(
        () ->
            () -> {
              throw new IllegalStateException("stuck");
            });
    assertThatThrownBy(all::close).hasMessage("stuck");
    assertThat(closed).containsExactly("first");
  }

  private static void awaited(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
