// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import org.vfio4j.posix.Descriptor;

/**
 * What {@code VFIO_DEVICE_SET_IRQS} asks for, {@code struct vfio_irq_set}: one action on a range of
 * the interrupts of one index. The range lies within what {@link DeviceSession#irqs} tells of.
 */
public sealed interface IrqSet {
  /** What is done to each interrupt of the range. */
  enum Action {
    /** {@code VFIO_IRQ_SET_ACTION_MASK}. */
    MASK,

    /** {@code VFIO_IRQ_SET_ACTION_UNMASK}. */
    UNMASK,

    /** {@code VFIO_IRQ_SET_ACTION_TRIGGER}. */
    TRIGGER
  }

  /** Which kind of interrupt. */
  int index();

  /** The first of the range. */
  int start();

  /** How many. */
  int count();

  /** What is done. */
  Action action();

  /**
   * {@code VFIO_IRQ_SET_DATA_NONE}: now, to the whole range. With count 0 and {@link
   * Action#TRIGGER} the whole index is switched off.
   */
  record Whole(int index, int start, int count, Action action) implements IrqSet {}

  /**
   * {@code VFIO_IRQ_SET_DATA_BOOL}: now, to some of the range.
   *
   * @param chosen which, counted from the first of the range
   */
  record Chosen(int index, int start, int count, Action action, BitSet chosen) implements IrqSet {
    /** Copies the set. */
    public Chosen {
      chosen = (BitSet) chosen.clone();
    }

    @Override
    public BitSet chosen() {
      return (BitSet) chosen.clone();
    }
  }

  /**
   * {@code VFIO_IRQ_SET_DATA_EVENTFD}: from now on, when an eventfd is signalled; with {@link
   * Action#TRIGGER} the device signals it.
   *
   * @param eventFds one for each interrupt of the range; empty takes away what was set before
   *     ({@code -1} in the kernel's struct). All of them are eventfds. The session takes them over,
   *     also if it throws.
   */
  record EventFds(int index, int start, Action action, List<Optional<Descriptor>> eventFds)
      implements IrqSet {
    /** Copies the list. */
    public EventFds {
      eventFds = List.copyOf(eventFds);
    }

    @Override
    public int count() {
      return eventFds.size();
    }
  }
}
