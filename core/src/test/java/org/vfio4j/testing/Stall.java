// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** A place where a call stays until the test lets it go on, while others are made elsewhere. */
public final class Stall {
  /** Longer than anything here takes on a busy machine. */
  private static final int SECONDS = 60;

  /** A thread for each call: the common pool may have but one, and calls wait here. */
  private static final Executor THREADS = call -> Thread.ofPlatform().daemon().start(call);

  private final CountDownLatch reached = new CountDownLatch(1);
  private final CountDownLatch end = new CountDownLatch(1);

  /** A call is here, and stays. */
  public void here() {
    reached.countDown();
    await(end);
  }

  /** Waits until a call is here. */
  public void awaitReached() {
    await(reached);
  }

  /** Lets the call that is here go on, and whichever comes later. */
  public void end() {
    end.countDown();
  }

  /** Makes a call in a thread of its own; the future fails if it takes too long. */
  public static <T> CompletableFuture<T> elsewhere(Supplier<T> call) {
    return CompletableFuture.supplyAsync(call, THREADS).orTimeout(SECONDS, TimeUnit.SECONDS);
  }

  /** The same, of a call that answers nothing: true once it is done. */
  public static CompletableFuture<Boolean> elsewhere(Runnable call) {
    return elsewhere(
        () -> {
          call.run();
          return true;
        });
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(SECONDS, TimeUnit.SECONDS)).as("still waiting").isTrue();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
