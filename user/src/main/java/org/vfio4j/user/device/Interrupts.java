// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.jspecify.annotations.Nullable;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.posix.Descriptor;
import org.vfio4j.linux.posix.EventFd;

/**
 * The interrupts of a device towards its user: what {@code VFIO_DEVICE_SET_IRQS} sets up, and what
 * the device signals. Thread-safe; each vector has a lock of its own. {@link #signal} and {@link
 * #level} allocate nothing.
 *
 * <p>An interrupt that is signalled while it is masked, or while others of its index have an
 * eventfd and it has none, is pending: it is delivered when that ends, once.
 */
public final class Interrupts implements AutoCloseable {
  private final List<Irq> irqs;
  private final Vector[][] vectors;

  /** For each index 1 if any vector has an eventfd, else 0: what the device asks for most. */
  private final AtomicIntegerArray connected;

  /** One vector; its own lock covers it. */
  private static final class Vector {
    private final boolean automasked;
    private @Nullable EventFd eventFd;
    private boolean masked;
    private boolean pending;
    private boolean asserted;

    Vector(boolean automasked) {
      this.automasked = automasked;
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
      pending = false;
    }

    synchronized void mask(boolean on) {
      masked = on;
      deliver();
    }

    synchronized void signal() {
      pending = true;
      deliver();
    }

    synchronized void level(boolean on) {
      asserted = on;
      pending &= on;
      deliver();
    }

    private void deliver() {
      EventFd to = eventFd;
      if (to == null || masked || !(pending || asserted)) {
        return;
      }
      pending = false;
      masked = automasked;
      to.signal();
    }

    synchronized boolean pending() {
      return pending;
    }

    synchronized boolean connected() {
      return eventFd != null;
    }
  }

  /** Those of a device, none of them set up. */
  public Interrupts(List<Irq> irqs) {
    this.irqs = List.copyOf(irqs);
    vectors = new Vector[irqs.size()][];
    connected = new AtomicIntegerArray(irqs.size());
    for (int index = 0; index < vectors.length; index++) {
      Irq irq = this.irqs.get(index);
      vectors[index] = new Vector[irq.count()];
      for (int vector = 0; vector < irq.count(); vector++) {
        vectors[index][vector] = new Vector((irq.flags() & Irq.AUTOMASKED) != 0);
      }
    }
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
      eventFds.forEach(fd -> fd.ifPresent(Interrupts::checkEventFd));
      taken = true;
    } finally {
      if (!taken) {
        eventFds.forEach(fd -> fd.ifPresent(Descriptor::close));
      }
    }
    for (int n = 0; n < eventFds.size(); n++) {
      Optional<Descriptor> fd = eventFds.get(n);
      vectors[index][start + n].connect(fd.isPresent() ? EventFd.of(fd.get()) : null);
    }
    boolean any = Arrays.stream(vectors[index]).anyMatch(Vector::connected);
    connected.set(index, any ? 1 : 0);
  }

  /**
   * {@code VFIO_IRQ_SET_DATA_NONE} with {@code ACTION_TRIGGER} and count 0: delivers nothing of
   * this index any more.
   *
   * @throws VfioException EINVAL if the device has no such index
   */
  public void disconnect(int index) {
    check(index, 0, 0);
    connected.set(index, 0);
    for (Vector vector : vectors[index]) {
      vector.disconnect();
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
    if ((irqs.get(index).flags() & Irq.MASKABLE) == 0) {
      throw refused("interrupt %d cannot be masked".formatted(index));
    }
    for (int n = start; n < start + count; n++) {
      vectors[index][n].mask(on);
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
      vectors[index][n].signal();
    }
  }

  /**
   * The device signals an edge: MSI or MSI-X.
   *
   * @throws IndexOutOfBoundsException if the device has no such vector
   */
  public void signal(int index, int vector) {
    vectors[index][vector].signal();
  }

  /**
   * The device asserts or takes back a level: INTx. While it is asserted, every unmask by the user
   * delivers it again.
   *
   * @throws IndexOutOfBoundsException if the device has no such vector
   */
  public void level(int index, int vector, boolean asserted) {
    vectors[index][vector].level(asserted);
  }

  /** Whether a vector was signalled and could not be delivered yet: its pending bit. */
  public boolean pending(int index, int vector) {
    return vectors[index][vector].pending();
  }

  /** Whether any vector of the index has an eventfd. */
  public boolean connected(int index) {
    return connected.get(index) != 0;
  }

  /** Closes all eventfds; what is signalled later goes nowhere. */
  @Override
  public void close() {
    for (int index = 0; index < vectors.length; index++) {
      disconnect(index);
    }
  }

  private void check(int index, int start, int count) {
    if (index < 0 || index >= vectors.length) {
      throw refused("no interrupt %d: the device has %d".formatted(index, vectors.length));
    }
    int there = vectors[index].length;
    if (start < 0 || count < 0 || start > there || count > there - start) {
      throw refused(
          "interrupt %d has %d vectors: start=%d, count=%d".formatted(index, there, start, count));
    }
  }

  /** Writing to anything else could block, or do harm. */
  private static void checkEventFd(Descriptor descriptor) {
    int fd = descriptor.number();
    try {
      String target = Files.readSymbolicLink(Path.of("/proc/self/fd/" + fd)).toString();
      if (!target.equals("anon_inode:[eventfd]")) {
        throw refused("an interrupt goes to an eventfd, not to " + target);
      }
    } catch (IOException e) {
      throw refused("/proc does not tell what the descriptor of an interrupt is: " + e);
    }
  }

  private static VfioException refused(String message) {
    return new VfioException(Errno.EINVAL, Reason.BAD_ARGUMENT, message);
  }
}
