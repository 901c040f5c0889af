// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.time.Duration;
import java.util.Optional;

/**
 * What is known of a VM before it starts.
 *
 * @param name who its container belongs to, for messages
 * @param memory bytes of RAM: what may be pinned for the VM at most, and what must be there before
 *     it starts
 * @param timeout how long its QEMU waits for an answer ({@code x-msg-timeout}); empty: what its
 *     command line says, or QEMU's five seconds
 * @param trustMemory serve it although it cannot be seen whether it shares its memory with its
 *     devices: {@code /proc/PID/maps} of another user's process is not ours to read
 */
public record VmSettings(
    String name, long memory, Optional<Duration> timeout, boolean trustMemory) {
  /** Checks the bounds. */
  public VmSettings {
    if (name.isEmpty() || memory <= 0) {
      throw new IllegalArgumentException("no VM: name='%s', memory=%d".formatted(name, memory));
    }
  }

  /** A VM of which nothing else is known. */
  public static VmSettings of(String name, long memory) {
    return new VmSettings(name, memory, Optional.empty(), false);
  }
}
