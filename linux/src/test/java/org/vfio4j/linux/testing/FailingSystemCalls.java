// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.testing;

import java.util.Map;
import java.util.TreeMap;
import org.vfio4j.error.Errno;
import org.vfio4j.linux.uapi.Ioctls;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.WatchedSystemCalls;

/** Has every n-th call fail, with an errno that the kernel could give there. */
public final class FailingSystemCalls extends WatchedSystemCalls {
  private final Map<String, Integer> failed = new TreeMap<>();
  private int every;
  private long calls;

  /** Nothing fails until {@link #every} says so. */
  public FailingSystemCalls(SystemCalls calls) {
    super(calls);
  }

  /** Has every n-th call from now on fail; 0 for none. */
  public synchronized void every(int n) {
    every = n;
    calls = 0;
  }

  /** What was made to fail so far, by call and errno. */
  public synchronized Map<String, Integer> failed() {
    return new TreeMap<>(failed);
  }

  @Override
  protected synchronized int before(String call, int request) {
    if (every == 0 || ++calls % every != 0) {
      return 0;
    }
    Errno errno = errno(call, request);
    String name = call.equals("ioctl") ? "ioctl 0x%x".formatted(request) : call;
    failed.merge(name + " " + errno, 1, Integer::sum);
    return -errno.number();
  }

  private static Errno errno(String call, int request) {
    return switch (call) {
      case "open" -> Errno.EMFILE;
      case "close" -> Errno.EIO;
      case "mmap", "munmap" -> Errno.ENOMEM;
      case "ioctl" ->
          switch (request) {
            case Ioctls.VFIO_GROUP_SET_CONTAINER -> Errno.EPERM;
            case Ioctls.VFIO_GROUP_UNSET_CONTAINER -> Errno.EBUSY;
            case Ioctls.VFIO_SET_IOMMU -> Errno.EBUSY;
            case Ioctls.VFIO_GROUP_GET_DEVICE_FD -> Errno.EMFILE;
            case Ioctls.VFIO_IOMMU_MAP_DMA -> Errno.ENOMEM;
            case Ioctls.VFIO_IOMMU_UNMAP_DMA -> Errno.EFAULT;
            default -> Errno.EINVAL;
          };
      default -> Errno.EIO;
    };
  }
}
