// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.testing;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.vfio4j.linux.uapi.Layouts;
import org.vfio4j.linux.uapi.Struct;
import org.vfio4j.linux.uapi.VfioConstants;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.SystemCalls;

/**
 * Registers and interrupts of an open device of a {@link FakeKernel}, as {@code vfio-pci} shows
 * those of QEMU's edu: one BAR of 1 MiB that can be mapped, configuration space, INTx and one MSI.
 * Registers are memory without a device behind it.
 */
final class FakeDevice {
  /** Where a region begins in the descriptor: {@code VFIO_PCI_OFFSET_SHIFT}. */
  static final int REGION_SHIFT = 40;

  static final long BAR_SIZE = 1 << 20;
  static final long CONFIG_SIZE = 256;

  private static final int READ_WRITE =
      VfioConstants.VFIO_REGION_INFO_FLAG_READ | VfioConstants.VFIO_REGION_INFO_FLAG_WRITE;
  private static final int IRQ_SET_HEADER = 20;
  private static final int REGION_INFO = 32;
  private static final int IRQ_INFO = 16;

  /** Vectors of MSI. */
  private static final int MSI = 4;

  private static final int DATA_MASK = 7;
  private static final int ACTION_MASK = 0x38;

  private final SystemCalls host;
  private final String name;

  /** Duplicates of the eventfds of each index, which is how the kernel keeps them. */
  private final List<List<Integer>> triggers = new ArrayList<>();

  FakeDevice(SystemCalls host, String name) {
    this.host = host;
    this.name = name;
    for (int i = 0; i < 5; i++) {
      triggers.add(new ArrayList<>());
    }
  }

  /** The descriptor's file: memory as large as the regions reach, with the device's name in it. */
  static int file(SystemCalls host, int vendorAndDevice) {
    try (Arena arena = Arena.ofConfined()) {
      int fd = host.memfdCreate(arena.allocateFrom("fake vfio device"), Constants.MFD_CLOEXEC);
      if (fd < 0) {
        return fd;
      }
      long config = (long) VfioConstants.VFIO_PCI_CONFIG_REGION_INDEX << REGION_SHIFT;
      MemorySegment word = arena.allocateFrom(ValueLayout.JAVA_INT, vendorAndDevice);
      long written = host.ftruncate(fd, config + CONFIG_SIZE);
      written = written < 0 ? written : host.pwrite(fd, word, Integer.BYTES, config);
      if (written < 0) {
        host.close(fd);
        return (int) written;
      }
      return fd;
    }
  }

  /** Whether it was opened by that name. */
  boolean is(String asked) {
    return name.equals(asked);
  }

  /** VFIO_DEVICE_GET_REGION_INFO. */
  int regionInfo(Struct s) {
    int index = s.u32("index");
    if (Integer.compareUnsigned(s.u32("argsz"), REGION_INFO) < 0
        || index < 0
        || index >= VfioConstants.VFIO_PCI_VGA_REGION_INDEX) {
      return -ErrnoNames.EINVAL;
    }
    long size =
        switch (index) {
          case VfioConstants.VFIO_PCI_BAR0_REGION_INDEX -> BAR_SIZE;
          case VfioConstants.VFIO_PCI_CONFIG_REGION_INDEX -> CONFIG_SIZE;
          default -> 0;
        };
    boolean bar = index == VfioConstants.VFIO_PCI_BAR0_REGION_INDEX;
    int flags = bar ? READ_WRITE | VfioConstants.VFIO_REGION_INFO_FLAG_MMAP : READ_WRITE;
    s.u32("argsz", REGION_INFO).u32("flags", size == 0 ? 0 : flags).u32("cap_offset", 0);
    s.u64("size", size).u64("offset", (long) index << REGION_SHIFT);
    return 0;
  }

  /** VFIO_DEVICE_GET_IRQ_INFO. */
  int irqInfo(Struct s) {
    int index = s.u32("index");
    if (Integer.compareUnsigned(s.u32("argsz"), IRQ_INFO) < 0 || index < 0 || index > 4) {
      return -ErrnoNames.EINVAL;
    }
    int flags =
        VfioConstants.VFIO_IRQ_INFO_EVENTFD
            | (index == VfioConstants.VFIO_PCI_INTX_IRQ_INDEX
                ? VfioConstants.VFIO_IRQ_INFO_MASKABLE | VfioConstants.VFIO_IRQ_INFO_AUTOMASKED
                : VfioConstants.VFIO_IRQ_INFO_NORESIZE);
    s.u32("flags", flags).u32("count", count(index));
    return 0;
  }

  private static int count(int index) {
    return switch (index) {
      case VfioConstants.VFIO_PCI_INTX_IRQ_INDEX, VfioConstants.VFIO_PCI_REQ_IRQ_INDEX -> 1;
      case VfioConstants.VFIO_PCI_MSI_IRQ_INDEX -> MSI;
      default -> 0;
    };
  }

  /** VFIO_DEVICE_SET_IRQS: {@code vfio_set_irqs_validate_and_prepare}, then what it is to do. */
  int setIrqs(Struct header) {
    int argsz = header.u32("argsz");
    int flags = header.u32("flags");
    int index = header.u32("index");
    int start = header.u32("start");
    int count = header.u32("count");
    if (Integer.compareUnsigned(argsz, IRQ_SET_HEADER) < 0 || index < 0 || index > 4) {
      return -ErrnoNames.EINVAL;
    }
    int data = flags & DATA_MASK;
    int action = flags & ACTION_MASK;
    boolean one = Integer.bitCount(data) == 1 && Integer.bitCount(action) == 1;
    if ((flags & ~(DATA_MASK | ACTION_MASK)) != 0 || !one || start < 0 || count < 0) {
      return -ErrnoNames.EINVAL;
    }
    if ((long) start + count > count(index)) {
      return -ErrnoNames.EINVAL;
    }
    int each =
        switch (data) {
          case VfioConstants.VFIO_IRQ_SET_DATA_BOOL -> 1;
          case VfioConstants.VFIO_IRQ_SET_DATA_EVENTFD -> Integer.BYTES;
          default -> 0;
        };
    if (argsz - IRQ_SET_HEADER < count * each
        || (count == 0 && data != VfioConstants.VFIO_IRQ_SET_DATA_NONE)) {
      return -ErrnoNames.EINVAL;
    }
    if (action != VfioConstants.VFIO_IRQ_SET_ACTION_TRIGGER) {
      return 0;
    }
    if (data == VfioConstants.VFIO_IRQ_SET_DATA_EVENTFD) {
      MemorySegment fds = header.memory().asSlice(IRQ_SET_HEADER, (long) count * Integer.BYTES);
      return keep(index, start, fds.toArray(ValueLayout.JAVA_INT_UNALIGNED));
    }
    if (count == 0) {
      drop(index);
    } else {
      signal(index, start, count);
    }
    return 0;
  }

  /** As many as are switched on stay so: {@code vfio_pci_set_msi_trigger}. */
  private int keep(int index, int start, int[] eventFds) {
    List<Integer> before = triggers.get(index);
    boolean on = index == VfioConstants.VFIO_PCI_MSI_IRQ_INDEX && !before.isEmpty();
    if (on && start + eventFds.length > before.size()) {
      return -ErrnoNames.EINVAL;
    }
    if (on) {
      return replace(before, start, eventFds);
    }
    drop(index);
    for (int n = 0; n < start; n++) {
      before.add(-1);
    }
    for (int fd : eventFds) {
      int kept = fd < 0 ? -1 : host.fcntl(fd, Constants.F_DUPFD_CLOEXEC, 0);
      if (fd >= 0 && kept < 0) {
        drop(index);
        return kept;
      }
      triggers.get(index).add(kept);
    }
    return 0;
  }

  private int replace(List<Integer> before, int start, int[] eventFds) {
    for (int n = 0; n < eventFds.length; n++) {
      int fd = eventFds[n];
      int kept = fd < 0 ? -1 : host.fcntl(fd, Constants.F_DUPFD_CLOEXEC, 0);
      if (fd >= 0 && kept < 0) {
        return kept;
      }
      int old = before.set(start + n, kept);
      if (old >= 0) {
        host.close(old);
      }
    }
    return 0;
  }

  private void drop(int index) {
    triggers.get(index).stream().filter(fd -> fd >= 0).forEach(host::close);
    triggers.get(index).clear();
  }

  /** The device interrupts: what it signals is signalled. */
  void signal(int index, int start, int count) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment one = arena.allocateFrom(ValueLayout.JAVA_LONG, 1);
      triggers.get(index).stream()
          .skip(start)
          .limit(count)
          .filter(fd -> fd >= 0)
          .forEach(fd -> host.write(fd, one, Long.BYTES));
    }
  }

  /** The last descriptor is closed. */
  void close() {
    for (int i = 0; i < triggers.size(); i++) {
      drop(i);
    }
  }

  /** Header of {@code struct vfio_irq_set}, over all of its {@code argsz} bytes. */
  static Struct irqSet(MemorySegment memory) {
    return new Struct(Layouts.VFIO_IRQ_SET, memory);
  }
}
