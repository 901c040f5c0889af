// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.user.device.Irq;
import org.vfio4j.user.device.UserInterrupts;
import org.vfio4j.user.wire.MessageException;
import org.vfio4j.user.wire.SetIrqs;

/** SET_IRQS, as {@code vfio_pci_set_irqs_ioctl} takes it. */
final class IrqCommands {
  private IrqCommands() {}

  /**
   * Does what the message says.
   *
   * @return bytes of the reply's payload: none
   */
  static int set(
      MessageReader reader, int at, int size, List<Irq> irqs, UserInterrupts interrupts) {
    SetIrqs set = SetIrqs.parse(reader.buffer(), at, size);
    checkRange(set, irqs);
    if (set.data() != SetIrqs.DATA_EVENTFD && reader.descriptors() > 0) {
      throw new MessageException("SET_IRQS with descriptors that its flags do not speak of");
    }
    switch (set.data()) {
      case SetIrqs.DATA_EVENTFD -> connect(reader, set, interrupts);
      case SetIrqs.DATA_BOOL ->
          set.chosen().stream().forEach(i -> act(set, set.start() + i, 1, interrupts));
      default -> all(set, interrupts);
    }
    return 0;
  }

  private static void checkRange(SetIrqs set, List<Irq> irqs) {
    int index = set.index();
    int start = set.start();
    int count = set.count();
    int there = Integer.compareUnsigned(index, irqs.size()) < 0 ? irqs.get(index).count() : 0;
    if (start < 0 || start >= there || count < 0 || count > there - start) {
      throw new MessageException(
          "no such interrupts: index=%d with %d of them, start=%d, count=%d"
              .formatted(
                  Integer.toUnsignedLong(index),
                  there,
                  Integer.toUnsignedLong(start),
                  Integer.toUnsignedLong(count)));
    }
  }

  private static void all(SetIrqs set, UserInterrupts interrupts) {
    if (set.count() == 0 && set.action() == SetIrqs.TRIGGER) {
      interrupts.disconnect(set.index());
    } else {
      act(set, set.start(), set.count(), interrupts);
    }
  }

  private static void act(SetIrqs set, int start, int count, UserInterrupts interrupts) {
    switch (set.action()) {
      case SetIrqs.MASK -> interrupts.mask(set.index(), start, count);
      case SetIrqs.UNMASK -> interrupts.unmask(set.index(), start, count);
      default -> interrupts.trigger(set.index(), start, count);
    }
  }

  /** Either an eventfd for each, or none at all: then those that were set are taken away. */
  private static void connect(MessageReader reader, SetIrqs set, UserInterrupts interrupts) {
    if (set.action() != SetIrqs.TRIGGER) {
      throw new MessageException(
          Errno.EOPNOTSUPP, "an eventfd cannot mask or unmask an interrupt here");
    }
    int given = reader.descriptors();
    if (given != 0 && given != set.count()) {
      throw new MessageException(
          "SET_IRQS with another number of eventfds: count=%d, descriptors=%d"
              .formatted(set.count(), given));
    }
    List<Optional<Descriptor>> eventFds =
        given == 0
            ? new ArrayList<>(Collections.nCopies(set.count(), Optional.<Descriptor>empty()))
            : Commands.take(reader);
    interrupts.connect(set.index(), set.start(), eventFds);
  }
}
