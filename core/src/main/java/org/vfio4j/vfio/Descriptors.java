// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.List;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;

/** The descriptor table of a process. The machine's lock covers it. */
final class Descriptors {
  /** Below are standard input, output and error. */
  private static final int FIRST_FREE = 3;

  private static final int MAX = 1 << 20;

  private final TreeMap<Integer, OpenFile> files = new TreeMap<>();

  /** The lowest free number, as POSIX wants it. EMFILE if there is none. */
  int allocate(OpenFile file) {
    int fd = FIRST_FREE;
    for (int used : files.keySet()) {
      if (used != fd) {
        break;
      }
      fd++;
    }
    if (fd >= MAX) {
      throw new VfioException(Errno.EMFILE, Reason.NO_MEMORY, "no descriptor left");
    }
    files.put(fd, file);
    return fd;
  }

  /** Open descriptors, ascending. */
  List<Integer> numbers() {
    return List.copyOf(files.keySet());
  }

  /** What it refers to. EBADF if it is not open. */
  OpenFile get(int fd) {
    return open(fd, files.get(fd));
  }

  /** Closes it and tells what it referred to. EBADF if it is not open. */
  OpenFile remove(int fd) {
    return open(fd, files.remove(fd));
  }

  private static OpenFile open(int fd, @Nullable OpenFile file) {
    if (file == null) {
      throw new VfioException(
          Errno.EBADF, Reason.BAD_DESCRIPTOR, "descriptor %d is not open".formatted(fd));
    }
    return file;
  }

  /** The container it must be; another kind knows no such call. */
  VfioContainer container(int fd) {
    if (get(fd) instanceof OpenFile.OfContainer(VfioContainer container)) {
      return container;
    }
    throw unknownCall();
  }

  /** The group it must be. A container without an IOMMU refuses before it asks what the call is. */
  VfioGroup group(int fd) {
    return switch (get(fd)) {
      case OpenFile.OfGroup(VfioGroup group) -> group;
      case OpenFile.OfContainer(VfioContainer c) when c.iommu.isEmpty() -> throw noIommu();
      default -> throw unknownCall();
    };
  }

  /** The device it must be. */
  OpenFile.OfDevice device(int fd) {
    return switch (get(fd)) {
      case OpenFile.OfDevice device -> device;
      case OpenFile.OfContainer(VfioContainer c) when c.iommu.isEmpty() -> throw noIommu();
      default -> throw unknownCall();
    };
  }

  static VfioException noIommu() {
    return new VfioException(
        Errno.EINVAL, Reason.CONTAINER_STATE, "the container has no IOMMU: SET_IOMMU comes first");
  }

  static VfioException unknownCall() {
    return new VfioException(Errno.ENOTTY, Reason.UNKNOWN_CALL, "no such ioctl here");
  }
}
