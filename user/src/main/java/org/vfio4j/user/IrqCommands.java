// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.DescriptorKind;
import org.vfio4j.user.device.DeviceSession;
import org.vfio4j.user.device.Irq;
import org.vfio4j.user.device.IrqSet;
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
  static int set(MessageReader reader, int at, int size, List<Irq> irqs, DeviceSession session) {
    SetIrqs set = SetIrqs.parse(reader.buffer(), at, size);
    checkRange(set, irqs);
    if (set.data() != SetIrqs.DATA_EVENTFD && reader.descriptors() > 0) {
      throw new MessageException("SET_IRQS with descriptors that its flags do not speak of");
    }
    int index = set.index();
    int start = set.start();
    int count = set.count();
    IrqSet.Action action = action(set);
    session.setIrqs(
        switch (set.data()) {
          case SetIrqs.DATA_EVENTFD ->
              new IrqSet.EventFds(index, start, action, eventFds(reader, count));
          case SetIrqs.DATA_BOOL -> new IrqSet.Chosen(index, start, count, action, set.chosen());
          default -> new IrqSet.Whole(index, start, count, action);
        });
    return 0;
  }

  private static IrqSet.Action action(SetIrqs set) {
    return switch (set.action()) {
      case SetIrqs.MASK -> IrqSet.Action.MASK;
      case SetIrqs.UNMASK -> IrqSet.Action.UNMASK;
      default -> IrqSet.Action.TRIGGER;
    };
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

  /** Either an eventfd for each, or none at all: then those that were set are taken away. */
  private static List<Optional<Descriptor>> eventFds(MessageReader reader, int count) {
    int given = reader.descriptors();
    if (given != 0 && given != count) {
      throw new MessageException(
          "SET_IRQS with another number of eventfds: count=%d, descriptors=%d"
              .formatted(count, given));
    }
    if (given == 0) {
      return Collections.nCopies(count, Optional.empty());
    }
    List<Optional<Descriptor>> eventFds = Commands.take(reader);
    boolean all = false;
    try {
      eventFds.forEach(fd -> fd.ifPresent(IrqCommands::check));
      all = true;
      return eventFds;
    } finally {
      if (!all) {
        eventFds.forEach(fd -> fd.ifPresent(reader::discard));
      }
    }
  }

  /** Writing to anything else could wait for ever, or do harm. */
  private static void check(Descriptor descriptor) {
    if (!DescriptorKind.isEventFd(descriptor)) {
      throw new MessageException(
          "an interrupt goes to an eventfd, not to " + DescriptorKind.link(descriptor));
    }
  }
}
