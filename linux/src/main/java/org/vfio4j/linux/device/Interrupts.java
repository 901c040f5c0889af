// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLongArray;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;

/**
 * Interrupts of a device that are switched on: each vector counts in an eventfd until somebody
 * takes the count. One thread at a time may wait for a vector; different vectors may have different
 * threads. Who waits is woken by {@link #wake} and by {@link #close}, so that a driver's thread is
 *
 * <pre>{@code
 * while (interrupts.isOpen()) {
 *   if (interrupts.await(vector, timeout) > 0) {
 *     // The device has something to say.
 *   }
 * }
 * }</pre>
 */
public final class Interrupts implements AutoCloseable {
  private final OpenParts owner;
  private final DeviceCalls device;
  private final InterruptKind kind;
  private final List<EventFd> vectors;

  /** How many of the signals in each vector's eventfd are {@link #wake}'s. */
  private final AtomicLongArray wakes;

  private volatile boolean closed;

  private Interrupts(
      OpenParts owner, DeviceCalls device, InterruptKind kind, List<EventFd> vectors) {
    this.owner = owner;
    this.device = device;
    this.kind = kind;
    this.vectors = List.copyOf(vectors);
    this.wakes = new AtomicLongArray(vectors.size());
  }

  static Interrupts enable(
      OpenParts owner, DeviceCalls device, SystemCalls calls, InterruptKind kind, int count) {
    List<EventFd> vectors = new ArrayList<>();
    try {
      for (int i = 0; i < count; i++) {
        vectors.add(EventFd.create(calls));
      }
      int given =
          device.trigger(
              kind.index(), 0, vectors.stream().map(v -> Optional.of(v.descriptor())).toList());
      if (given > 0) {
        throw new VfioException(
            Errno.ENOSPC,
            Reason.NOT_SUPPORTED,
            "%s: the host gives %d of %d %s vectors; ask for no more"
                .formatted(device.descriptor().name(), given, count, kind),
            device.descriptor().name());
      }
      return new Interrupts(owner, device, kind, vectors);
    } catch (RuntimeException e) {
      vectors.forEach(EventFd::close);
      throw e;
    }
  }

  /** Their kind. */
  public InterruptKind kind() {
    return kind;
  }

  /** How many vectors there are. */
  public int count() {
    return vectors.size();
  }

  /**
   * Waits until a vector has interrupted, and takes its count.
   *
   * @param vector from 0, below {@link #count}
   * @param timeout how long at most
   * @return how often it has since the last time; 0 if the time was over first, if {@link #wake}
   *     was called, and once this is closed
   */
  public long await(int vector, Duration timeout) {
    EventFd eventFd = eventFd(vector);
    if (closed) {
      return 0;
    }
    try {
      long signals = eventFd.await(timeout);
      // A wake that is counted and not yet signalled takes a device's signal for its own; its own
      // then counts as the device's. Neither is lost.
      return closed ? 0 : Math.max(0, signals - takeWakes(vector, signals));
    } catch (SystemCallException e) {
      if (closed) {
        return 0;
      }
      throw e;
    }
  }

  /** Takes as many wakes as there were signals, at most. */
  private long takeWakes(int vector, long signals) {
    long before = wakes.getAndUpdate(vector, n -> n - Math.min(n, signals));
    return Math.min(before, signals);
  }

  /**
   * Has who waits for a vector, or waits for it next, return at once. What the device has counted
   * until then is returned as ever. Does nothing once this is closed.
   */
  public void wake(int vector) {
    EventFd eventFd = eventFd(vector);
    wakes.incrementAndGet(vector);
    try {
      eventFd.signal();
    } catch (SystemCallException e) {
      if (!closed) {
        throw e;
      }
    }
  }

  /**
   * Lets {@link InterruptKind#INTX} interrupt again. To be called after each interrupt, once the
   * driver has made the device take its request back; else it comes at once again. The other kinds
   * need it not, and it does nothing for them.
   */
  public void unmask() {
    if (kind == InterruptKind.INTX) {
      device.unmask(kind.index(), 0, 1);
    }
  }

  /** A vector's eventfd, to poll beside other descriptors; it stays this object's. */
  public EventFd eventFd(int vector) {
    if (vector < 0 || vector >= vectors.size()) {
      throw new IndexOutOfBoundsException(
          "%s has %d %s vectors on: vector=%d"
              .formatted(device.descriptor().name(), vectors.size(), kind, vector));
    }
    return vectors.get(vector);
  }

  /** Whether they are on; false from the moment that {@link #close} is called. */
  public boolean isOpen() {
    return !closed;
  }

  /**
   * Switches them off and wakes who waits, whose {@link #await} returns 0. Does not wait for them.
   * A second call does nothing.
   */
  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      owner.forget(this);
      List<Runnable> steps = new ArrayList<>();
      steps.add(() -> device.disable(kind.index()));
      vectors.forEach(
          v -> {
            steps.add(v::signal);
            steps.add(v::close);
          });
      OpenParts.inOrder(steps);
    }
  }

  @Override
  public String toString() {
    return "%d %s of %s".formatted(vectors.size(), kind, device.descriptor().name());
  }
}
