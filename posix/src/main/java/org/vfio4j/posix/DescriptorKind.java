// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What a descriptor that somebody else has opened refers to, as far as it is safe to use. It is
 * told without asking the file's own file system: that may be one that the other side serves itself
 * (FUSE), where {@code fstat}, {@code mmap}, {@code read} and even {@code close} wait for an answer
 * that need never come, in a way that no signal ends.
 */
public enum DescriptorKind {
  /** Memory only: a memfd, or a file of tmpfs or hugetlbfs. The kernel alone serves it. */
  MEMORY,

  /** An eventfd. */
  EVENTFD,

  /** Anything else. Every system call on it may wait for ever. */
  OTHER;

  private static final String EVENTFD_LINK = "anon_inode:[eventfd]";

  /** Looks at a descriptor. */
  public static DescriptorKind of(Descriptor descriptor) {
    if (isMemory(descriptor)) {
      return MEMORY;
    }
    return isEventFd(descriptor) ? EVENTFD : OTHER;
  }

  /** Whether it is {@link #MEMORY}: only such files answer {@code F_GET_SEALS}. */
  public static boolean isMemory(Descriptor descriptor) {
    try (Descriptor.Use use = descriptor.use()) {
      return descriptor.calls().fcntl(use.number(), Constants.F_GET_SEALS, 0) >= 0;
    }
  }

  /** Whether it is {@link #EVENTFD}: the kernel says so of the descriptor, not of a file. */
  public static boolean isEventFd(Descriptor descriptor) {
    return link(descriptor).equals(EVENTFD_LINK);
  }

  /** What {@code /proc} calls it, for messages. Empty if {@code /proc} does not tell. */
  public static String link(Descriptor descriptor) {
    try (Descriptor.Use use = descriptor.use()) {
      return Files.readSymbolicLink(Path.of("/proc/self/fd/" + use.number())).toString();
    } catch (IOException _) {
      return "";
    }
  }
}
