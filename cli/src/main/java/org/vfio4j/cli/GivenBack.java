// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * What a command takes from the machine, given back when it ends, by itself or by a signal. However
 * early the signal comes: what is being taken then is given back too, and nothing is taken after
 * it. The last that was taken goes first.
 */
final class GivenBack implements AutoCloseable {
  private final Thread hook;
  private final Deque<AutoCloseable> taken = new ArrayDeque<>();
  private boolean ended;

  private GivenBack(String name) {
    hook = new Thread(this::end, name);
  }

  /** What is given back when it is closed, whatever signals come. */
  static GivenBack untilClosed() {
    return new GivenBack("none");
  }

  /**
   * From now on signals are heeded.
   *
   * @param name of the thread that gives back
   */
  static GivenBack atTheEnd(String name) {
    GivenBack all = new GivenBack(name);
    try {
      Runtime.getRuntime().addShutdownHook(all.hook);
    } catch (IllegalStateException _) {
      // The process is ending already.
      all.end();
    }
    return all;
  }

  /**
   * Takes something.
   *
   * @param take what fails takes nothing
   * @return nothing if this has ended already, and nothing is to be begun any more
   */
  synchronized <R extends AutoCloseable> Optional<R> take(Supplier<R> take) {
    if (ended) {
      return Optional.empty();
    }
    R resource = take.get();
    taken.push(resource);
    return Optional.of(resource);
  }

  /** Gives something back before the others; nothing happens if that is done. */
  synchronized void giveBack(AutoCloseable resource) {
    if (taken.remove(resource)) {
      close(resource);
    }
  }

  /** Gives everything back. Waits for what is just being taken. */
  synchronized void end() {
    ended = true;
    RuntimeException first = null;
    while (!taken.isEmpty()) {
      try {
        close(taken.pop());
      } catch (RuntimeException e) {
        first = first == null ? e : first;
      }
    }
    if (first != null) {
      throw first;
    }
  }

  private static void close(AutoCloseable resource) {
    try {
      resource.close();
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException _) {
      // It is running: that is why the command ends.
    }
    end();
  }
}
