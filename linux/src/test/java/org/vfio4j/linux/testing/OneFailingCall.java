// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.testing;

import java.util.stream.Stream;
import org.vfio4j.linux.uapi.Ioctls;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.WatchedSystemCalls;

/**
 * System calls of which one fails without being made. Calls that give something back ({@code
 * close}, {@code munmap}) are not among those that fail: their answer changes nothing. Counts what
 * is mapped.
 */
public final class OneFailingCall extends WatchedSystemCalls {
  private final int failing;
  private final int errno;
  private int made;
  private String failed = "nothing";
  private int mappings;

  /**
   * The calls.
   *
   * @param calls those that do the work
   * @param failing which one fails, from 1; 0 for none
   * @param errno what it answers, positive
   */
  public OneFailingCall(SystemCalls calls, int failing, int errno) {
    super(calls);
    this.failing = failing;
    this.errno = errno;
  }

  /** How many calls there were that could have failed. */
  public int made() {
    return made;
  }

  /** The call that failed; {@code nothing} if none has. */
  public String failed() {
    return failed;
  }

  /**
   * Whether the call that failed takes something away from devices, which is tried again or got
   * round: UNMAP_DMA is made once more, and after UNSET_CONTAINER the group's file is closed.
   */
  public boolean gotRound() {
    return Stream.of(Ioctls.VFIO_IOMMU_UNMAP_DMA, Ioctls.VFIO_GROUP_UNSET_CONTAINER)
        .anyMatch(request -> failed.equals("ioctl 0x%x".formatted(request)));
  }

  /** How many mappings of memory there are. */
  public int mappings() {
    return mappings;
  }

  @Override
  protected int before(String call, int request) {
    if (call.equals("close") || call.equals("munmap")) {
      mappings -= call.equals("munmap") ? 1 : 0;
      return 0;
    }
    made++;
    if (made == failing) {
      failed = request == 0 ? call : "%s 0x%x".formatted(call, request);
      return -errno;
    }
    mappings += call.equals("mmap") ? 1 : 0;
    return 0;
  }
}
