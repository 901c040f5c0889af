// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.VfioConstants;
import org.vfio4j.linux.uapi.VfioRegionInfo;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.vfio.Vfio;

/**
 * A PCI device in the hands of this program: its registers, memory that it can reach, its
 * interrupts.
 *
 * <p>All that it gave ends with it. {@link #close} stops the device's DMA, then closes interrupts,
 * buffers and BARs, the youngest first, then the device, and, if it was the last of its IOMMU group
 * here, gives the group back. No thread may be using any of them then. Closing a part earlier is
 * fine. Thread-safe.
 */
public final class PciDevice implements AutoCloseable {
  private static final Pattern ADDRESS =
      Pattern.compile("([0-9a-f]{4,8}:)?([0-9a-f]{2}:[01][0-9a-f]\\.[0-7])");
  private static final int COMMAND = 4;
  private static final int COMMAND_MASTER = 4;

  private final DmaSpace space;
  private final DeviceCalls calls;
  private final String address;
  private final Runnable leave;
  private final Runnable after;
  private final OpenParts parts;
  private final Registers config;
  private final boolean resettable;
  private final Map<Integer, Registers> bars = new HashMap<>();
  private Optional<Interrupts> interrupts = Optional.empty();
  private boolean master;

  /** Takes the descriptor over, unless it throws. */
  PciDevice(DmaSpace space, DeviceCalls calls, String address, Runnable leave, Runnable after) {
    Vfio.DeviceInfo info = calls.info();
    if ((info.flags() & VfioConstants.VFIO_DEVICE_FLAGS_PCI) == 0) {
      throw new VfioException(
          Errno.ENODEV, Reason.NOT_SUPPORTED, address + " is no PCI device", address);
    }
    this.space = space;
    this.calls = calls;
    this.address = address;
    this.leave = leave;
    this.after = after;
    this.parts = new OpenParts(address);
    this.resettable = (info.flags() & VfioConstants.VFIO_DEVICE_FLAGS_RESET) != 0;
    this.config =
        new CalledRegisters(
            address + " configuration space",
            calls,
            calls.region(VfioConstants.VFIO_PCI_CONFIG_REGION_INDEX));
  }

  /**
   * Opens a device in a {@link DmaSpace} of its own, which closes with it.
   *
   * @param address as in {@code 0000:00:02.0}; domain 0 may be left out
   * @throws VfioException as {@link DmaSpace#create} and {@link DmaSpace#open(String)}
   */
  public static PciDevice open(String address) {
    return openAlone(DmaSpace.create(), address);
  }

  static PciDevice openAlone(DmaSpace space, String address) {
    try {
      return space.open(address, space::close);
    } catch (RuntimeException e) {
      space.close();
      throw e;
    }
  }

  /** The address with its domain, in lower case. */
  static String fullAddress(String address) {
    Matcher matcher = ADDRESS.matcher(address.toLowerCase(Locale.ROOT));
    if (!matcher.matches()) {
      throw new IllegalArgumentException(
          "not a PCI address such as 0000:00:02.0: address=" + address);
    }
    return matcher.group(1) == null ? "0000:" + matcher.group(2) : matcher.group();
  }

  /** Its PCI address, with the domain. */
  public String address() {
    return address;
  }

  /** The address space it is in. */
  public DmaSpace space() {
    return space;
  }

  /**
   * A BAR. Memory is mapped if the kernel lets all of it be mapped; else, as with I/O ports, each
   * access is a call.
   *
   * @param index from 0 to 5; a 64-bit BAR has the lower of its two
   * @throws VfioException ENODEV if the device has not that BAR
   */
  public synchronized Registers bar(int index) {
    parts.check();
    if (index < 0 || index > VfioConstants.VFIO_PCI_BAR5_REGION_INDEX) {
      throw new IllegalArgumentException("a BAR is one of 0 to 5: index=" + index);
    }
    Registers bar = bars.get(index);
    if (bar == null) {
      bar = openBar(index, true);
      bars.put(index, bar);
    }
    return bar;
  }

  /** A BAR, mapped only if asked for. */
  Registers openBar(int index, boolean map) {
    VfioRegionInfo region = calls.region(index);
    String name = "BAR %d of %s".formatted(index, address);
    if (region.size() == 0) {
      throw new VfioException(
          Errno.ENODEV, Reason.NOT_SUPPORTED, address + " has no BAR " + index, address);
    }
    boolean whole = region.mappable().equals(List.of(new VfioRegionInfo.Area(0, region.size())));
    boolean both = region.readable() && region.writable();
    if (!map || !whole || !both) {
      return new CalledRegisters(name, calls, region);
    }
    ScopedMemory memory =
        new ScopedMemory(
            MappedMemory.ofFile(
                calls.descriptor(),
                region.offset(),
                region.size(),
                Constants.PROT_READ | Constants.PROT_WRITE));
    parts.add(memory, memory::close);
    return new MappedRegisters(name, memory.segment());
  }

  /**
   * Configuration space: 256 bytes, or 4096. The kernel shows a copy of some of it, and ignores
   * writes to what the host must keep, BARs and MSI among it.
   */
  public Registers config() {
    return config;
  }

  /**
   * Lets the device do DMA and send message signalled interrupts. It may not at first, and may not
   * any more after {@link #close}.
   */
  public synchronized void enableBusMaster() {
    parts.check();
    master = true;
    config.write16(COMMAND, config.read16(COMMAND) | COMMAND_MASTER);
  }

  /**
   * Resets the function. Mapped BARs, buffers and what {@link #enableBusMaster} and {@link #enable}
   * did stay; what the driver wrote into registers is, by the device, gone or not.
   *
   * @throws VfioException EINVAL if the device has no way to be reset alone
   */
  public void reset() {
    parts.check();
    if (!resettable) {
      throw new VfioException(
          Errno.EINVAL, Reason.NOT_SUPPORTED, address + " has no way to be reset alone", address);
    }
    calls.reset();
  }

  /** Whether {@link #reset} works. */
  public boolean resettable() {
    return resettable;
  }

  /** How many interrupts of a kind the device has; 0 for none. */
  public int vectors(InterruptKind kind) {
    return calls.interrupts(kind.index()).count();
  }

  /**
   * Switches interrupts on. One kind at a time; to have more of the same kind, close these first.
   *
   * @param count from 1 to {@link #vectors}
   * @throws VfioException EINVAL if the device has not so many, ENOSPC if the host gives not so
   *     many
   * @throws IllegalStateException if some are on
   */
  public synchronized Interrupts enable(InterruptKind kind, int count) {
    parts.check();
    interrupts
        .filter(Interrupts::isOpen)
        .ifPresent(
            on -> {
              throw new IllegalStateException(on + " are on; close them first");
            });
    int there = vectors(kind);
    if (count < 1 || count > there) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.BAD_ARGUMENT,
          "%s has %d %s interrupts, not %d".formatted(address, there, kind, count),
          address);
    }
    Interrupts on = Interrupts.enable(parts, calls, space.calls(), kind, count);
    interrupts = Optional.of(on);
    return parts.add(on, on::close);
  }

  /**
   * Memory that is zero, page aligned, and within reach of the devices of {@link #space}.
   *
   * @param bytes above 0; whole pages are mapped
   * @throws VfioException ENOSPC if there is no IOVA left, ENOMEM beyond RLIMIT_MEMLOCK (the
   *     message tells what is allowed, locked and needed)
   * @throws org.vfio4j.posix.SystemCallException ENOMEM if there is no memory
   */
  public DmaBuffer allocate(long bytes) {
    return allocate(bytes, IovaRange.ALL);
  }

  /**
   * The same for a device that cannot address everything.
   *
   * @param within what the device can address, as in {@code IovaRange.ofWidth(32)}. The IOVA is the
   *     first from 0x10000 on that is free, a multiple of the power of two that is not below the
   *     size, 2 MiB at most
   */
  public DmaBuffer allocate(long bytes, IovaRange within) {
    parts.check();
    if (bytes <= 0) {
      throw new IllegalArgumentException("nothing to allocate: bytes=" + bytes);
    }
    ScopedMemory memory =
        new ScopedMemory(MappedMemory.anonymous(space.calls(), space.wholePages(bytes)));
    try {
      MemorySegment segment = memory.segment().asSlice(0, bytes);
      return space.map(this, parts, segment, within, memory::close);
    } catch (RuntimeException e) {
      memory.close();
      throw e;
    }
  }

  /**
   * Lets the devices of {@link #space} reach memory that the caller has; see {@link DmaBuffer} for
   * what he owes until the buffer is closed. Devices may only read memory that is read-only.
   *
   * @param segment off-heap, address and size multiples of {@link DmaSpace#pageSize}
   * @throws VfioException as {@link #allocate(long)}
   */
  public DmaBuffer map(MemorySegment segment) {
    return map(segment, IovaRange.ALL);
  }

  /** The same for a device that cannot address everything. */
  public DmaBuffer map(MemorySegment segment, IovaRange within) {
    checkMappable(segment);
    return space.map(this, parts, segment, within, () -> {});
  }

  /**
   * The same at an IOVA of the caller's choice, as for a guest whose physical addresses are the
   * IOVAs.
   *
   * @param iova a multiple of the page size
   * @throws VfioException also EEXIST if a mapping is there, EINVAL if it is not within {@link
   *     DmaSpace#windows}
   */
  public DmaBuffer mapAt(long iova, MemorySegment segment) {
    checkMappable(segment);
    if ((iova & (space.pageSize() - 1)) != 0) {
      throw new IllegalArgumentException(
          "not a multiple of the page size 0x%x: iova=0x%x".formatted(space.pageSize(), iova));
    }
    return space.map(this, parts, segment, iova);
  }

  private void checkMappable(MemorySegment segment) {
    parts.check();
    if (!segment.isNative()) {
      throw new IllegalArgumentException("a device cannot reach the heap: " + segment);
    }
    long page = space.pageSize();
    if (segment.byteSize() == 0 || ((segment.address() | segment.byteSize()) & (page - 1)) != 0) {
      throw new IllegalArgumentException(
          "not whole pages of 0x%x bytes: address=0x%x, bytes=0x%x"
              .formatted(page, segment.address(), segment.byteSize()));
    }
  }

  /** Ends all that the device gave, and the device. A second call does nothing. */
  @Override
  public void close() {
    if (parts.end()) {
      OpenParts.inOrder(
          List.of(
              this::disableBusMaster,
              parts::close,
              calls::close,
              leave,
              () -> space.forget(this),
              after));
    }
  }

  private synchronized void disableBusMaster() {
    if (master) {
      config.write16(COMMAND, config.read16(COMMAND) & ~COMMAND_MASTER);
    }
  }

  @Override
  public String toString() {
    return address;
  }
}
