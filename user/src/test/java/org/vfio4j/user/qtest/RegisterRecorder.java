// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.vfio4j.user.device.DeviceBus;
import org.vfio4j.user.device.EmulatedDevice;
import org.vfio4j.user.device.PciModel;
import org.vfio4j.user.device.Region;

/** A device that notes what is done to its registers; they read as their offset. */
final class RegisterRecorder implements PciModel {
  static final int BAR_SIZE = 0x1000;

  final Queue<String> accesses = new ConcurrentLinkedQueue<>();

  /** It, with a BAR that can lie above 4 GiB. */
  EmulatedDevice create() {
    return EmulatedDevice.builder(0x1234, 0x0001)
        .bar(0, Region.registers(BAR_SIZE), true)
        .express()
        .build(this);
  }

  @Override
  public long read(int bar, long offset, int size) {
    accesses.add("read 0x%x %d".formatted(offset, size));
    return offset;
  }

  @Override
  public void write(int bar, long offset, int size, long value) {
    accesses.add("write 0x%x %d 0x%x".formatted(offset, size, value));
  }

  @Override
  public void attached(DeviceBus bus) {}

  @Override
  public void reset() {}

  @Override
  public void detached() {}
}
