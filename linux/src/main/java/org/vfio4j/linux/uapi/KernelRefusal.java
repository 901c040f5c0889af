// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.Refusal;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.SystemCallException;

/**
 * A refusal of the kernel in the words of the engine. The errno is the kernel's; the reason is what
 * that call means by it most often, since the kernel says no more.
 */
public final class KernelRefusal {
  private KernelRefusal() {}

  /**
   * Passes a result on.
   *
   * @param result what the kernel returned; below zero {@code -errno}
   * @param call the kernel's name of the call
   * @param about what it was about, for the message
   * @throws VfioException if the result is below zero
   */
  public static int check(int result, String call, String about) {
    if (result < 0) {
      throw of(-result, call, about);
    }
    return result;
  }

  /** The same for calls that answer with 64 bits. */
  public static long check(long result, String call, String about) {
    if (result < 0) {
      throw of((int) -result, call, about);
    }
    return result;
  }

  /**
   * The refusal as an exception; a {@link SystemCallException} for an errno that VFIO does not
   * have.
   */
  public static RuntimeException of(int number, String call, String about) {
    Optional<Errno> errno = Errno.of(number);
    if (errno.isEmpty()) {
      return new SystemCallException(call + " of " + about, number);
    }
    String message = "the kernel refuses %s: %s".formatted(about, ErrnoNames.describe(number));
    return new VfioException(
        new Refusal(
            errno.get(), reason(call, errno.get()), call, message, List.of(), Optional.empty()));
  }

  private static Reason reason(String call, Errno errno) {
    return switch (call) {
      case "open" -> ofOpen(errno);
      case "VFIO_SET_IOMMU" -> ofSetIommu(errno);
      case "VFIO_GROUP_SET_CONTAINER" -> ofSetContainer(errno);
      case "VFIO_GROUP_UNSET_CONTAINER" ->
          switch (errno) {
            case EBUSY -> Reason.USERS_REMAIN;
            case EINVAL -> Reason.GROUP_STATE;
            default -> general(errno);
          };
      case "VFIO_GROUP_GET_DEVICE_FD" ->
          switch (errno) {
            case ENODEV -> Reason.DEVICE_NOT_IN_GROUP;
            case EINVAL -> Reason.CONTAINER_STATE;
            case EACCES -> Reason.VF_TOKEN;
            default -> general(errno);
          };
      case "VFIO_IOMMU_MAP_DMA" -> ofMap(errno);
      case "mmap" -> errno == Errno.ENODEV ? Reason.NOT_SUPPORTED : general(errno);
      case "VFIO_DEVICE_RESET", "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO" ->
          switch (errno) {
            case EINVAL, ENODEV -> Reason.NOT_SUPPORTED;
            default -> general(errno);
          };
      default -> general(errno);
    };
  }

  private static Reason ofOpen(Errno errno) {
    return errno == Errno.EBUSY ? Reason.GROUP_OPEN : general(errno);
  }

  private static Reason ofSetIommu(Errno errno) {
    return switch (errno) {
      case EBUSY -> Reason.BACKING_GROUP_HELD;
      case EPERM -> Reason.INTERRUPTS_NOT_ISOLATED;
      case EINVAL -> Reason.CONTAINER_STATE;
      case EIO -> Reason.NO_DOMAIN;
      case ENODEV -> Reason.NOT_SUPPORTED;
      default -> general(errno);
    };
  }

  private static Reason ofSetContainer(Errno errno) {
    return switch (errno) {
      case EBUSY -> Reason.BACKING_GROUP_HELD;
      case EPERM -> Reason.GROUP_NOT_VIABLE;
      case EINVAL -> Reason.MULTIPLE_ADDRESS_SPACES;
      default -> general(errno);
    };
  }

  private static Reason ofMap(Errno errno) {
    return switch (errno) {
      case ENOMEM -> Reason.LOCKED_MEMORY;
      case ENOENT -> Reason.NO_MAPPING;
      default -> general(errno);
    };
  }

  private static Reason general(Errno errno) {
    return switch (errno) {
      case EPERM, EACCES -> Reason.NOT_PERMITTED;
      case ENOENT, ENODEV, ENXIO -> Reason.NO_GROUP;
      case EBADF, EBADFD -> Reason.BAD_DESCRIPTOR;
      case ENOMEM, EMFILE, ENFILE, EAGAIN -> Reason.NO_MEMORY;
      case EFAULT -> Reason.BAD_ADDRESS;
      case EBUSY -> Reason.DEVICE_BUSY;
      case EEXIST -> Reason.MAPPING_EXISTS;
      case ENOSPC -> Reason.ENTRY_LIMIT;
      case ENOTTY -> Reason.UNKNOWN_CALL;
      case EOPNOTSUPP, ENOSYS -> Reason.NOT_SUPPORTED;
      default -> Reason.BAD_ARGUMENT;
    };
  }
}
