// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * Events for whoever wants to read them: each reader gets them in their order, from those on that
 * are kept. One who reads too slowly loses some, and is told how many.
 */
final class EventFeed implements Consumer<String> {
  /** Those that are kept for who comes. */
  private static final int KEPT = 256;

  private static final int MOST_WAITING = 1024;

  private final Deque<String> last = new ArrayDeque<>();
  private final Set<Reader> readers = ConcurrentHashMap.newKeySet();

  /** One who reads. */
  final class Reader implements AutoCloseable {
    private final BlockingQueue<String> waiting = new LinkedBlockingQueue<>(MOST_WAITING);
    private long lost;

    /** The next event; empty if none comes so long. */
    Optional<String> next(Duration most) throws InterruptedException {
      String event = waiting.poll(most.toMillis(), TimeUnit.MILLISECONDS);
      synchronized (EventFeed.this) {
        if (lost > 0 && waiting.size() < MOST_WAITING - 1) {
          long count = lost;
          lost = 0;
          String text = "%d events were lost: they were read too slowly".formatted(count);
          offer(
              Json.line(
                  g -> {
                    Json.put(g, "event", "lost");
                    g.writeNumberProperty("count", count);
                    Json.put(g, "text", text);
                  }));
        }
      }
      return Optional.ofNullable(event);
    }

    private void offer(String event) {
      if (!waiting.offer(event)) {
        lost++;
      }
    }

    @Override
    public void close() {
      readers.remove(this);
    }
  }

  @Override
  public synchronized void accept(String event) {
    last.add(event);
    if (last.size() > KEPT) {
      last.remove();
    }
    readers.forEach(reader -> reader.offer(event));
  }

  /**
   * Begins to read.
   *
   * @param before whether those come first that are kept
   */
  synchronized Reader read(boolean before) {
    Reader reader = new Reader();
    if (before) {
      last.forEach(reader::offer);
    }
    readers.add(reader);
    return reader;
  }
}
