// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.race;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Threads that start together, and a watchdog: whoever is not done in time is taken for deadlocked,
 * and all stacks are shown. Random choices come from one printed seed; how the threads interleave
 * does not.
 */
final class Threads {
  private static final long SECONDS = 20;

  private final long seed;
  private final List<Thread> threads = new ArrayList<>();
  private final List<Body> bodies = new ArrayList<>();
  private final AtomicReference<Throwable> failure = new AtomicReference<>();

  /** What a thread does. */
  @FunctionalInterface
  interface Body {
    /** Runs with random choices of the thread's own. */
    void run(Random random) throws Exception;
  }

  Threads(String test) {
    seed = Long.getLong("vfio4j.seed", System.nanoTime());
    System.out.printf("%s: seed %d (-Dvfio4j.seed=%d)%n", test, seed, seed);
  }

  Threads add(Body body) {
    bodies.add(body);
    return this;
  }

  /** Whether a thread has failed: the others may stop. */
  boolean failed() {
    return failure.get() != null;
  }

  /** Runs all of them to their ends. */
  void run() throws InterruptedException {
    CyclicBarrier start = new CyclicBarrier(bodies.size());
    for (int i = 0; i < bodies.size(); i++) {
      Body body = bodies.get(i);
      Random random = new Random(seed + 7919L * i);
      Runnable task =
          () -> {
            try {
              start.await();
              body.run(random);
            } catch (Throwable t) {
              failure.compareAndSet(null, t);
            }
          };
      threads.add(Thread.ofPlatform().daemon().name("race-" + i).start(task));
    }
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);
    for (Thread each : threads) {
      long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
      each.join(Math.max(1, left));
      if (each.isAlive()) {
        throw new AssertionError("stuck, seed " + seed + ":\n" + stacks());
      }
    }
    Throwable thrown = failure.get();
    if (thrown != null) {
      throw new AssertionError("seed " + seed + ": " + thrown, thrown);
    }
  }

  private String stacks() {
    StringBuilder out = new StringBuilder();
    for (Map.Entry<Thread, StackTraceElement[]> each : Thread.getAllStackTraces().entrySet()) {
      if (threads.contains(each.getKey())) {
        out.append(each.getKey().getName()).append(' ').append(each.getKey().getState());
        for (StackTraceElement frame : each.getValue()) {
          out.append("\n    at ").append(frame);
        }
        out.append('\n');
      }
    }
    return out.toString();
  }
}
