// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

import static org.vfio4j.linux.uapi.VfioConstants.VFIO_IRQ_SET_ACTION_MASK;
import static org.vfio4j.linux.uapi.VfioConstants.VFIO_IRQ_SET_ACTION_TRIGGER;
import static org.vfio4j.linux.uapi.VfioConstants.VFIO_IRQ_SET_ACTION_UNMASK;
import static org.vfio4j.linux.uapi.VfioConstants.VFIO_IRQ_SET_DATA_BOOL;
import static org.vfio4j.linux.uapi.VfioConstants.VFIO_IRQ_SET_DATA_EVENTFD;
import static org.vfio4j.linux.uapi.VfioConstants.VFIO_IRQ_SET_DATA_NONE;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.LongToIntFunction;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.Uses;
import org.vfio4j.vfio.Vfio;

/**
 * The calls of a device. Refusals are {@link org.vfio4j.error.VfioException}s with the kernel's
 * errno. Thread-safe.
 */
public final class DeviceCalls extends VfioFile {
  private static final int HOT_RESET_HEADER =
      Math.toIntExact(Layouts.VFIO_PCI_HOT_RESET_INFO.byteSize());
  private static final int ENOSPC = 28;

  /** Takes a descriptor over. */
  public DeviceCalls(Descriptor descriptor) {
    super(descriptor);
  }

  /** VFIO_DEVICE_GET_INFO. */
  public Vfio.DeviceInfo info() {
    try (Arena arena = Arena.ofConfined()) {
      Struct s = Struct.of(arena, Layouts.VFIO_DEVICE_INFO);
      s.u32("argsz", s.size());
      ioctl("VFIO_DEVICE_GET_INFO", Ioctls.VFIO_DEVICE_GET_INFO, s.memory());
      return new Vfio.DeviceInfo(s.u32("flags"), s.u32("num_regions"), s.u32("num_irqs"));
    }
  }

  /**
   * VFIO_DEVICE_GET_REGION_INFO with its capability chain. EINVAL for an index there is not, and
   * for VGA on a function without it.
   */
  public VfioRegionInfo region(int index) {
    int size = Math.toIntExact(Layouts.VFIO_REGION_INFO.byteSize());
    while (true) {
      try (Arena arena = Arena.ofConfined()) {
        Struct s = new Struct(Layouts.VFIO_REGION_INFO, arena.allocate(size, 8));
        s.u32("argsz", size).u32("index", index);
        ioctl("VFIO_DEVICE_GET_REGION_INFO", Ioctls.VFIO_DEVICE_GET_REGION_INFO, s.memory());
        int needed = s.u32("argsz");
        if (needed <= size) {
          return VfioRegionInfo.of(s);
        }
        size = needed;
      }
    }
  }

  /** VFIO_DEVICE_GET_IRQ_INFO. EINVAL for an index there is not. */
  public VfioIrqInfo interrupts(int index) {
    try (Arena arena = Arena.ofConfined()) {
      Struct s = Struct.of(arena, Layouts.VFIO_IRQ_INFO);
      s.u32("argsz", s.size()).u32("index", index);
      ioctl("VFIO_DEVICE_GET_IRQ_INFO", Ioctls.VFIO_DEVICE_GET_IRQ_INFO, s.memory());
      return new VfioIrqInfo(index, s.u32("flags"), s.u32("count"));
    }
  }

  /**
   * Has interrupts signal eventfds. EINVAL if there are not so many.
   *
   * @param index {@code VFIO_PCI_MSIX_IRQ_INDEX} and so on
   * @param start the first interrupt of the index
   * @param eventFds one each; empty for one that is to signal nothing
   * @return 0, or, with nothing done, how many vectors the host could give instead
   * @throws org.vfio4j.posix.SystemCallException EBADF if one of the eventfds is closed
   */
  public int trigger(int index, int start, List<Optional<Descriptor>> eventFds) {
    return setIrqs(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, start, eventFds);
  }

  private int setIrqs(int flags, int index, int start, List<Optional<Descriptor>> eventFds) {
    try (Uses uses = Uses.ofPresent(eventFds)) {
      MemorySegment numbers = MemorySegment.ofArray(uses.numbers());
      return setIrqs(flags, index, start, eventFds.size(), numbers);
    }
  }

  /** Switches all interrupts of an index off, which gives its vectors back. */
  public void disable(int index) {
    setIrqs(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 0, nothing());
  }

  /** Signals what the interrupts would signal, as if the device had: a test of the way there. */
  public void loopback(int index, int start, int count) {
    setIrqs(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, start, count, nothing());
  }

  /** The same for those whose element is true. */
  public void loopback(int index, int start, boolean[] which) {
    byte[] bools = new byte[which.length];
    for (int i = 0; i < which.length; i++) {
      bools[i] = (byte) (which[i] ? 1 : 0);
    }
    setIrqs(
        VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER,
        index,
        start,
        which.length,
        MemorySegment.ofArray(bools));
  }

  /** Masks interrupts of an index that is maskable. */
  public void mask(int index, int start, int count) {
    setIrqs(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, index, start, count, nothing());
  }

  /** Unmasks them, which an interrupt that masks itself needs each time. */
  public void unmask(int index, int start, int count) {
    setIrqs(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, index, start, count, nothing());
  }

  /** Has an eventfd unmask the interrupt, without a call. */
  public void unmaskOn(int index, Descriptor eventFd) {
    setIrqs(
        VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK,
        index,
        0,
        List.of(Optional.of(eventFd)));
  }

  /** Has no eventfd unmask it any more. */
  public void noUnmask(int index) {
    setIrqs(
        VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK,
        index,
        0,
        List.of(Optional.empty()));
  }

  private static MemorySegment nothing() {
    return MemorySegment.ofArray(new byte[0]);
  }

  /**
   * VFIO_DEVICE_SET_IRQS as it is.
   *
   * @param flags {@code VFIO_IRQ_SET_DATA_} and {@code VFIO_IRQ_SET_ACTION_}
   * @param data what the flags say, for each of {@code count} interrupts
   * @return 0, or, with nothing done, how many vectors the host could give instead ({@code
   *     vfio_msi_enable} passes on what {@code pci_alloc_irq_vectors} has)
   */
  public int setIrqs(int flags, int index, int start, int count, MemorySegment data) {
    try (Arena arena = Arena.ofConfined()) {
      Struct s = Struct.of(arena, Layouts.VFIO_IRQ_SET, data.byteSize());
      s.u32("argsz", s.size()).u32("flags", flags);
      s.u32("index", index).u32("start", start).u32("count", count);
      s.memory().asSlice(s.layout().byteSize()).copyFrom(data);
      return ioctl("VFIO_DEVICE_SET_IRQS", Ioctls.VFIO_DEVICE_SET_IRQS, s.memory());
    }
  }

  /** VFIO_DEVICE_RESET. EINVAL if the device has no way to be reset. */
  public void reset() {
    ioctl("VFIO_DEVICE_RESET", Ioctls.VFIO_DEVICE_RESET, 0);
  }

  /**
   * VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: what a reset of its slot or bus would reset with it. ENODEV
   * where neither can be reset.
   */
  public List<Vfio.Dependent> hotResetInfo() {
    int request = Ioctls.VFIO_DEVICE_GET_PCI_HOT_RESET_INFO;
    return hotResetInfo(address -> raw(request, address), descriptor().name());
  }

  /**
   * The same, with as much room as it takes.
   *
   * @param ask the ioctl of a device's descriptor: takes the struct's address, answers as the
   *     kernel
   * @param about the device, for the message
   */
  public static List<Vfio.Dependent> hotResetInfo(LongToIntFunction ask, String about) {
    int count = 0;
    while (true) {
      try (Arena arena = Arena.ofConfined()) {
        long devices = count * Layouts.VFIO_PCI_DEPENDENT_DEVICE.byteSize();
        Struct s = Struct.of(arena, Layouts.VFIO_PCI_HOT_RESET_INFO, devices);
        s.u32("argsz", s.size());
        int result = ask.applyAsInt(s.memory().address());
        int there = s.u32("count");
        if (result == -ENOSPC && there > count) {
          count = there;
          continue;
        }
        KernelRefusal.check(result, "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", about);
        return dependents(s, Math.min(there, count));
      }
    }
  }

  /** The devices that follow a {@code struct vfio_pci_hot_reset_info}. */
  private static List<Vfio.Dependent> dependents(Struct info, int count) {
    List<Vfio.Dependent> all = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      long at = HOT_RESET_HEADER + i * Layouts.VFIO_PCI_DEPENDENT_DEVICE.byteSize();
      Struct device = info.at(at, Layouts.VFIO_PCI_DEPENDENT_DEVICE);
      int function = device.u8("devfn");
      all.add(
          new Vfio.Dependent(
              device.u32("group_id"),
              "%04x:%02x:%02x.%x"
                  .formatted(
                      device.u16("segment"), device.u8("bus"), function >> 3, function & 7)));
    }
    return all;
  }

  /**
   * VFIO_DEVICE_PCI_HOT_RESET: resets the slot or bus. EPERM or EINVAL unless the groups of all
   * devices that it resets are given.
   */
  public void hotReset(List<GroupCalls> groups) {
    List<Descriptor> files = groups.stream().map(GroupCalls::descriptor).toList();
    try (Uses uses = Uses.of(files);
        Arena arena = Arena.ofConfined()) {
      long fds = (long) groups.size() * Integer.BYTES;
      Struct s = Struct.of(arena, Layouts.VFIO_PCI_HOT_RESET, fds);
      s.u32("argsz", s.size()).u32("count", groups.size());
      s.memory().asSlice(s.layout().byteSize()).copyFrom(MemorySegment.ofArray(uses.numbers()));
      ioctl("VFIO_DEVICE_PCI_HOT_RESET", Ioctls.VFIO_DEVICE_PCI_HOT_RESET, s.memory());
    }
  }

  /**
   * VFIO_DEVICE_FEATURE. ENOTTY if device or kernel has it not, EINVAL for flags it cannot.
   *
   * @param flags the feature's number with {@code VFIO_DEVICE_FEATURE_GET}, {@code _SET} or {@code
   *     _PROBE}
   * @param data what is set, or where it is got; may be empty
   */
  public void feature(int flags, MemorySegment data) {
    try (Arena arena = Arena.ofConfined()) {
      Struct s = Struct.of(arena, Layouts.VFIO_DEVICE_FEATURE, data.byteSize());
      s.u32("argsz", s.size()).u32("flags", flags);
      MemorySegment payload = s.memory().asSlice(s.layout().byteSize());
      payload.copyFrom(data);
      ioctl("VFIO_DEVICE_FEATURE", Ioctls.VFIO_DEVICE_FEATURE, s.memory());
      if ((flags & VfioConstants.VFIO_DEVICE_FEATURE_GET) != 0) {
        data.copyFrom(payload);
      }
    }
  }

  /**
   * Reads part of a region. EINVAL past its end, EIO where the device does not answer.
   *
   * @param offset bytes into the region
   * @param to off-heap; is filled
   */
  public void read(VfioRegionInfo region, long offset, MemorySegment to) {
    int fd = enter("pread", region);
    try {
      long done = 0;
      while (done < to.byteSize()) {
        long at = region.offset() + offset + done;
        long got = calls().pread(fd, to.asSlice(done), to.byteSize() - done, at);
        done += progress(got, "pread", region);
      }
    } finally {
      descriptor().leave();
    }
  }

  private int enter(String call, VfioRegionInfo region) {
    int fd = descriptor().enter();
    if (fd < 0) {
      throw KernelRefusal.of(-fd, call, about(region));
    }
    return fd;
  }

  private String about(VfioRegionInfo region) {
    return "region %d of %s".formatted(region.index(), descriptor().name());
  }

  /**
   * Writes part of a region. EINVAL past its end.
   *
   * @param offset bytes into the region
   * @param from off-heap; all of it is written
   */
  public void write(VfioRegionInfo region, long offset, MemorySegment from) {
    int fd = enter("pwrite", region);
    try {
      long done = 0;
      while (done < from.byteSize()) {
        long at = region.offset() + offset + done;
        long put = calls().pwrite(fd, from.asSlice(done), from.byteSize() - done, at);
        done += progress(put, "pwrite", region);
      }
    } finally {
      descriptor().leave();
    }
  }

  private long progress(long result, String call, VfioRegionInfo region) {
    if (result == -ErrnoNames.EINTR) {
      return 0;
    }
    if (result < 0) {
      throw KernelRefusal.of((int) -result, call, about(region));
    }
    if (result == 0) {
      throw KernelRefusal.of(ErrnoNames.EINVAL, call, about(region) + ", past its end");
    }
    return result;
  }

  /** Four bytes of a region, little endian. */
  public int readInt(VfioRegionInfo region, long offset) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment four = arena.allocate(ValueLayout.JAVA_INT);
      read(region, offset, four);
      return four.get(ValueLayout.JAVA_INT, 0);
    }
  }

  /** Writes four bytes of a region, little endian. */
  public void writeInt(VfioRegionInfo region, long offset, int value) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment four = arena.allocate(ValueLayout.JAVA_INT);
      four.set(ValueLayout.JAVA_INT, 0, value);
      write(region, offset, four);
    }
  }
}
