// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.WatchedSystemCalls;

/**
 * The real system calls, of which one fails without being made. Calls that give something back
 * ({@code close}, {@code munmap}) are not among those that fail: their answer changes nothing.
 * Counts what is mapped.
 */
final class OneFailingCall extends WatchedSystemCalls {
  private final int failing;
  private final int errno;
  private int made;
  private String failed = "nothing";
  private int mappings;

  /**
   * The calls.
   *
   * @param failing which one fails, from 1; 0 for none
   * @param errno what it answers, positive
   */
  OneFailingCall(int failing, int errno) {
    super(SystemCalls.libc());
    this.failing = failing;
    this.errno = errno;
  }

  /** How many calls there were that could have failed. */
  int made() {
    return made;
  }

  /** The call that failed. */
  String failed() {
    return failed;
  }

  /** How many mappings of memory there are. */
  int mappings() {
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
