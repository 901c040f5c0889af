// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Uses of several descriptors at once, for system calls that take a list of numbers. All of them
 * end with {@link #close}. For one thread.
 */
public final class Uses implements AutoCloseable {
  /** Of nothing. All threads may have it, and closing it does nothing. */
  public static final Uses NONE = new Uses(0);

  private final List<Descriptor> used = new ArrayList<>();
  private final int[] numbers;
  private boolean closed;

  private Uses(int count) {
    numbers = new int[count];
  }

  /**
   * Begins a use of each.
   *
   * @throws SystemCallException EBADF if one of them is closed; none is in use then
   */
  public static Uses of(List<Descriptor> descriptors) {
    return descriptors.isEmpty()
        ? NONE
        : ofPresent(descriptors.stream().map(Optional::of).toList());
  }

  /**
   * The same for a list with gaps.
   *
   * @param descriptors empty for what has no descriptor; its number is -1
   * @throws SystemCallException EBADF if one of them is closed; none is in use then
   */
  public static Uses ofPresent(List<Optional<Descriptor>> descriptors) {
    Uses uses = new Uses(descriptors.size());
    try {
      for (int i = 0; i < uses.numbers.length; i++) {
        uses.numbers[i] = descriptors.get(i).map(uses::begin).orElse(-1);
      }
      return uses;
    } catch (RuntimeException e) {
      uses.close();
      throw e;
    }
  }

  private int begin(Descriptor descriptor) {
    int number = SystemCallException.check(descriptor.enter(), descriptor.name());
    used.add(descriptor);
    return number;
  }

  /**
   * The numbers, in the order of the list, for as long as this is open. The array is shared.
   *
   * @throws IllegalStateException if the uses have ended
   */
  public int[] numbers() {
    if (closed) {
      throw new IllegalStateException("these uses have ended");
    }
    return numbers;
  }

  /** Ends the uses. A second call does nothing. */
  @Override
  public void close() {
    if (numbers.length > 0) {
      closed = true;
      used.forEach(Descriptor::leave);
      used.clear();
    }
  }
}
