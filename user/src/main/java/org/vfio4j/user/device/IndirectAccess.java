// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.DmaFault;
import org.vfio4j.iommu.DmaFaultException;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.posix.CheckedMemory;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.user.device.Windows.Window;

/**
 * Access to memory that the device's table does not hold, because the JVM must not touch it: a file
 * that its owner can shrink is copied by the kernel, memory without a descriptor is asked for by
 * message. Thread-safe.
 */
final class IndirectAccess {
  private final String device;
  private final Windows windows;
  private final Guard guard;
  private final RemoteMemory remote;
  private final Consumer<DmaFault> faults;

  private final CheckedMemory checked = new CheckedMemory(SystemCalls.libc());

  IndirectAccess(
      String device, Windows windows, Guard guard, RemoteMemory remote, Consumer<DmaFault> faults) {
    this.device = device;
    this.windows = windows;
    this.guard = guard;
    this.remote = remote;
    this.faults = faults;
  }

  /**
   * Reads as much of a range as one window holds.
   *
   * @return bytes read, at least 1
   * @throws DmaFaultException if none can be
   */
  long read(long iova, MemorySegment target, long offset, long count) {
    return access(iova, target, offset, count, Mapping.READ);
  }

  /**
   * Writes as much of a range as one window holds.
   *
   * @return bytes written, at least 1
   * @throws DmaFaultException if none can be
   */
  long write(long iova, MemorySegment source, long offset, long count) {
    return access(iova, source, offset, count, Mapping.WRITE);
  }

  private long access(long iova, MemorySegment segment, long offset, long count, int access) {
    @Nullable Window window = windows.at(iova);
    if (window == null) {
      throw fault(iova, count, access, DmaFault.Cause.NOT_MAPPED);
    }
    if ((window.prot() & access) == 0) {
      throw fault(iova, count, access, DmaFault.Cause.NO_PERMISSION);
    }
    if (window.direct()) {
      // Mapped since this access found nothing: it raced with the user, who cannot tell.
      throw fault(iova, count, access, DmaFault.Cause.NOT_MAPPED);
    }
    long left = window.size() - (iova - window.iova());
    long some = Long.compareUnsigned(left, count) < 0 ? left : count;
    try {
      if (window.file() == null) {
        ask(window, iova, segment, offset, some, access);
      } else {
        copyChecked(window, iova, segment, offset, some, access);
      }
      return some;
    } catch (VfioException | SystemCallException e) {
      throw fault(iova, some, access, DmaFault.Cause.MEMORY_GONE);
    }
  }

  private void ask(
      Window window, long iova, MemorySegment segment, long offset, long count, int access) {
    if (access == Mapping.READ) {
      remote.read(iova, segment, offset, count);
    } else {
      remote.write(iova, segment, offset, count);
    }
    if (!windows.has(window)) {
      throw fault(iova, count, access, DmaFault.Cause.NOT_MAPPED);
    }
  }

  private void copyChecked(
      Window window, long iova, MemorySegment segment, long offset, long count, int access) {
    int inside = guard.enter();
    try {
      VarHandle.fullFence();
      if (!windows.has(window)) {
        throw fault(iova, count, access, DmaFault.Cause.NOT_MAPPED);
      }
      long address = window.address() + (iova - window.iova());
      if (access == Mapping.READ) {
        checked.read(address, segment, offset, count);
      } else {
        checked.write(address, segment, offset, count);
      }
    } finally {
      guard.leave(inside);
    }
  }

  private DmaFaultException fault(long iova, long count, int access, DmaFault.Cause cause) {
    DmaFault fault = new DmaFault(device, iova, count, access, cause);
    faults.accept(fault);
    return new DmaFaultException(fault);
  }
}
