// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;

/** RESET: the device as after power on. Neither command nor reply has a payload. */
public record DeviceReset() implements Message {

  /** Refuses a payload. */
  public static DeviceReset parse(MemorySegment from, long at, long size) {
    Fields.exactly(Command.RESET, size, 0);
    return new DeviceReset();
  }

  @Override
  public int command() {
    return Command.RESET;
  }

  @Override
  public int length() {
    return 0;
  }

  @Override
  public void encode(MemorySegment to, long at) {}
}
