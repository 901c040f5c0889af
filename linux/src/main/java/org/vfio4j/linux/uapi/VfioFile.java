// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

import java.lang.foreign.MemorySegment;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.SystemCalls;

/**
 * What the three kinds of descriptors have in common. Each call is a use of the descriptor, so that
 * it reaches this file or none while another thread closes it. An ioctl of VFIO that a signal
 * interrupts has changed nothing, so it is made again.
 */
abstract class VfioFile implements AutoCloseable {
  private final Descriptor descriptor;

  VfioFile(Descriptor descriptor) {
    this.descriptor = descriptor;
  }

  /** The descriptor; this object closes it. */
  public final Descriptor descriptor() {
    return descriptor;
  }

  /** The system calls that it uses. */
  final SystemCalls calls() {
    return descriptor.calls();
  }

  /**
   * The raw result of an ioctl, {@code -errno} below zero, never {@code -EINTR}. {@code -EBADF}
   * once the descriptor is closed, whoever has its number by then.
   */
  final int raw(int request, long argument) {
    int fd = descriptor.enter();
    if (fd < 0) {
      return fd;
    }
    try {
      int result;
      do {
        result = calls().ioctl(fd, request, argument);
      } while (result == -ErrnoNames.EINTR);
      return result;
    } finally {
      descriptor.leave();
    }
  }

  final int ioctl(String call, int request, long argument) {
    return KernelRefusal.check(raw(request, argument), call, descriptor.name());
  }

  final int ioctl(String call, int request, MemorySegment argument) {
    return ioctl(call, request, argument.address());
  }

  /**
   * Closes the descriptor, with the end of the calls that other threads are in; further calls are
   * refused with EBADF. What the kernel then gives back depends on what else is open.
   */
  @Override
  public void close() {
    descriptor.close();
  }
}
