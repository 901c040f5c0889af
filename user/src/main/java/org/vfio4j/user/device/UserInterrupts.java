// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.DescriptorKind;
import org.vfio4j.posix.EventFd;

/**
 * The interrupts of a device towards its user: what {@code VFIO_DEVICE_SET_IRQS} sets up, and what
 * the device signals. Thread-safe; each vector has a lock of its own. {@link #signal} and {@link
 * #level} allocate nothing.
 *
 * <p>An interrupt that is signalled while it is held back, or has no eventfd although its index is
 * {@link #live}, is pending: it is delivered when that ends, once. What is signalled while its
 * index is not live goes nowhere.
 */
public final class UserInterrupts implements AutoCloseable {
  private final Kind[] kinds;

  /** Told of each vector that holds something back, or is held, and of each that no longer does. */
  interface Noted {
    /** Nobody is told. */
    Noted NOWHERE = (index, vector, flags) -> {};

    /**
     * A vector is not as it was; its lock is held.
     *
     * @param flags for {@link UserInterrupts#restore}
     */
    void changed(int index, int vector, int flags);
  }

  private static final int PENDING = 1;
  private static final int MASKED = 2;

  /** What the device's own registers say of an index of messages, MSI or MSI-X. */
  public enum Messages {
    /** Its enable bit is clear, or the user has never touched it. */
    OFF,

    /** It is enabled, and the function mask holds all of its vectors back. */
    HELD,

    /** It is enabled. */
    ON
  }

  /** All vectors of an index. Its own lock covers it, and is taken before a vector's. */
  private static final class Kind {
    private final Irq irq;
    private final Vector[] vectors;
    private Messages messages = Messages.OFF;
    private boolean connected;

    /** What the device asks for most. */
    private volatile boolean live;

    Kind(int index, Irq irq, Noted noted) {
      this.irq = irq;
      vectors = new Vector[irq.count()];
      for (int n = 0; n < irq.count(); n++) {
        int vector = n;
        vectors[n] =
            new Vector(
                (irq.flags() & Irq.AUTOMASKED) != 0, flags -> noted.changed(index, vector, flags));
      }
    }

    synchronized void connect(int start, List<Optional<Descriptor>> eventFds) {
      for (int n = 0; n < eventFds.size(); n++) {
        Optional<Descriptor> fd = eventFds.get(n);
        vectors[start + n].connect(fd.isPresent() ? EventFd.of(fd.get()) : null);
      }
      connected = Arrays.stream(vectors).anyMatch(Vector::connected);
      enliven();
    }

    synchronized void disconnect() {
      for (Vector vector : vectors) {
        vector.disconnect();
      }
      connected = false;
      enliven();
    }

    synchronized void messages(Messages next) {
      if (next == messages) {
        return;
      }
      messages = next;
      for (Vector vector : vectors) {
        vector.messages(next);
      }
      enliven();
    }

    /** Vectors come to life before the device finds their index live. */
    private void enliven() {
      boolean next = connected || messages != Messages.OFF;
      if (next == live) {
        return;
      }
      live = false;
      for (Vector vector : vectors) {
        vector.enliven(next);
      }
      live = next;
    }

    void forget() {
      for (Vector vector : vectors) {
        vector.forget();
      }
    }
  }

  /** One vector; its own lock covers it. */
  private static final class Vector {
    private final boolean automasked;
    private @Nullable EventFd eventFd;
    private boolean live;
    private boolean held;
    private boolean masked;
    private boolean pending;
    private boolean asserted;
    private final IntConsumer noted;
    private int flags;

    Vector(boolean automasked, IntConsumer noted) {
      this.automasked = automasked;
      this.noted = noted;
    }

    /** After it was delivered: what is delivered twice is less than what is lost. */
    private void note() {
      int now = (pending ? PENDING : 0) | (masked ? MASKED : 0);
      if (now != flags) {
        flags = now;
        noted.accept(now);
      }
    }

    synchronized void restore(int was) {
      flags = was;
      pending = (was & PENDING) != 0;
      masked = (was & MASKED) != 0;
    }

    synchronized void connect(@Nullable EventFd next) {
      if (eventFd != null) {
        eventFd.close();
      }
      eventFd = next;
      deliver();
    }

    synchronized void disconnect() {
      connect(null);
      masked = false;
      note();
    }

    synchronized void enliven(boolean on) {
      live = on;
      pending &= on;
      note();
    }

    synchronized void messages(Messages next) {
      held = next == Messages.HELD;
      pending &= next != Messages.OFF;
      deliver();
    }

    synchronized void forget() {
      pending = false;
      note();
    }

    synchronized void mask(boolean on) {
      masked = on;
      deliver();
    }

    synchronized void signal() {
      pending = live || eventFd != null;
      deliver();
    }

    synchronized void level(boolean on) {
      asserted = on;
      pending &= on;
      deliver();
    }

    /**
     * Signals inside the lock: that never waits, whatever the user does; see {@link
     * EventFd#signal}.
     */
    private void deliver() {
      EventFd to = eventFd;
      if (to != null && !held && !masked && (pending || asserted)) {
        pending = false;
        masked = automasked;
        to.signal();
      }
      note();
    }

    synchronized boolean pending() {
      return pending;
    }

    synchronized boolean connected() {
      return eventFd != null;
    }
  }

  /** Those of a device, none of them set up. */
  public UserInterrupts(List<Irq> irqs) {
    this(irqs, Noted.NOWHERE);
  }

  /** The same, with somebody who is told what is held back. */
  UserInterrupts(List<Irq> irqs, Noted noted) {
    kinds = new Kind[irqs.size()];
    for (int index = 0; index < kinds.length; index++) {
      kinds[index] = new Kind(index, irqs.get(index), noted);
    }
  }

  /** A vector is as {@link Noted} was told last, before it has an eventfd. */
  void restore(int index, int vector, int flags) {
    kinds[index].vectors[vector].restore(flags);
  }

  /**
   * {@code VFIO_IRQ_SET_DATA_EVENTFD} with {@code ACTION_TRIGGER}: delivers vectors to eventfds
   * from now on. An empty element takes a vector's eventfd away.
   *
   * @param eventFds taken over, also if the call fails; what a vector had before is closed
   * @throws VfioException EINVAL if the device has no such vectors, or one is no eventfd; nothing
   *     has changed then
   */
  public void connect(int index, int start, List<Optional<Descriptor>> eventFds) {
    boolean taken = false;
    try {
      check(index, start, eventFds.size());
      eventFds.forEach(fd -> fd.ifPresent(UserInterrupts::checkEventFd));
      taken = true;
    } finally {
      if (!taken) {
        eventFds.forEach(fd -> fd.ifPresent(Descriptor::close));
      }
    }
    kinds[index].connect(start, eventFds);
  }

  /**
   * {@code VFIO_IRQ_SET_DATA_NONE} with {@code ACTION_TRIGGER} and count 0: delivers nothing of
   * this index any more. What is pending stays so while {@link #messages} are enabled: QEMU, for
   * one, disconnects all vectors to add one.
   *
   * @throws VfioException EINVAL if the device has no such index
   */
  public void disconnect(int index) {
    check(index, 0, 0);
    kinds[index].disconnect();
  }

  /**
   * The user has written the registers that enable messages of an index. While they are enabled,
   * what cannot be delivered is pending, whether or not any vector has an eventfd: QEMU brings a
   * vector's when it is unmasked for the first time. When they are disabled nothing is pending any
   * more. A user who only connects eventfds is served without this.
   *
   * @throws IndexOutOfBoundsException if the device has no such index
   */
  public void messages(int index, Messages state) {
    kinds[index].messages(state);
  }

  /** The device was reset: nothing is pending any more. Eventfds and masks are the user's. */
  public void forget() {
    for (Kind kind : kinds) {
      kind.forget();
    }
  }

  /**
   * {@code ACTION_MASK}: holds vectors back.
   *
   * @throws VfioException EINVAL if the device has no such vectors or cannot mask them
   */
  public void mask(int index, int start, int count) {
    mask(index, start, count, true);
  }

  /**
   * {@code ACTION_UNMASK}: delivers them again, and what is pending or still asserted at once.
   *
   * @throws VfioException EINVAL if the device has no such vectors or cannot mask them
   */
  public void unmask(int index, int start, int count) {
    mask(index, start, count, false);
  }

  private void mask(int index, int start, int count, boolean on) {
    check(index, start, count);
    if ((kinds[index].irq.flags() & Irq.MASKABLE) == 0) {
      throw refused("interrupt %d cannot be masked".formatted(index));
    }
    for (int n = start; n < start + count; n++) {
      kinds[index].vectors[n].mask(on);
    }
  }

  /**
   * {@code ACTION_TRIGGER} with {@code DATA_NONE} or {@code DATA_BOOL}: the user tries its own
   * vectors.
   *
   * @throws VfioException EINVAL if the device has no such vectors
   */
  public void trigger(int index, int start, int count) {
    check(index, start, count);
    for (int n = start; n < start + count; n++) {
      kinds[index].vectors[n].signal();
    }
  }

  /**
   * The device signals an edge: MSI or MSI-X.
   *
   * @throws IndexOutOfBoundsException if the device has no such vector
   */
  public void signal(int index, int vector) {
    kinds[index].vectors[vector].signal();
  }

  /**
   * The device asserts or takes back a level: INTx. While it is asserted, every unmask by the user
   * delivers it again.
   *
   * @throws IndexOutOfBoundsException if the device has no such vector
   */
  public void level(int index, int vector, boolean asserted) {
    kinds[index].vectors[vector].level(asserted);
  }

  /** Whether a vector was signalled and could not be delivered yet: its pending bit. */
  public boolean pending(int index, int vector) {
    return kinds[index].vectors[vector].pending();
  }

  /**
   * Whether what is signalled reaches the user, at once or later: a vector of the index has an
   * eventfd, or its {@link #messages} are enabled.
   */
  public boolean live(int index) {
    return kinds[index].live;
  }

  /** Closes all eventfds; what is signalled later goes nowhere. */
  @Override
  public void close() {
    for (Kind kind : kinds) {
      kind.messages(Messages.OFF);
      kind.disconnect();
    }
  }

  private void check(int index, int start, int count) {
    if (index < 0 || index >= kinds.length) {
      throw refused("no interrupt %d: the device has %d".formatted(index, kinds.length));
    }
    int there = kinds[index].vectors.length;
    if (start < 0 || count < 0 || start > there || count > there - start) {
      throw refused(
          "interrupt %d has %d vectors: start=%d, count=%d".formatted(index, there, start, count));
    }
  }

  /** Writing to anything else could block, or do harm. */
  private static void checkEventFd(Descriptor descriptor) {
    if (!DescriptorKind.isEventFd(descriptor)) {
      throw refused("an interrupt goes to an eventfd, not to " + DescriptorKind.link(descriptor));
    }
  }

  private static VfioException refused(String message) {
    return new VfioException(Errno.EINVAL, Reason.BAD_ARGUMENT, message);
  }
}
