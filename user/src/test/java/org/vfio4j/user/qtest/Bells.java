// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

import java.util.Optional;
import org.vfio4j.user.device.DeviceBus;
import org.vfio4j.user.device.EmulatedDevice;
import org.vfio4j.user.device.PciModel;

/** A device that signals a vector when its number is written to BAR 0, and does nothing else. */
final class Bells implements PciModel {
  static final int VECTORS = 3;
  static final int TABLE = 0x2000;
  static final int PENDING = 0x3000;

  private Optional<DeviceBus> bus = Optional.empty();

  private Bells() {}

  static EmulatedDevice create() {
    return EmulatedDevice.builder(0x1234, 0x5678)
        .bar(0, 0x4000)
        .msix(VECTORS, 0, TABLE, PENDING)
        .express()
        .build(new Bells());
  }

  @Override
  public long read(int bar, long offset, int size) {
    return 0;
  }

  @Override
  public void write(int bar, long offset, int size, long value) {
    bus.ifPresent(b -> b.signal((int) value));
  }

  @Override
  public void attached(DeviceBus to) {
    bus = Optional.of(to);
  }

  @Override
  public void reset() {
    // It has no state.
  }

  @Override
  public void detached() {
    bus = Optional.empty();
  }
}
