// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;
import org.vfio4j.iommu.DmaFaultException;

// @start region=example
/**
 * Computes the CRC-32C of memory. Registers: 0x00 address, 0x08 length in bytes, at most 64 KiB;
 * writing it begins; 0x10 result; 0x14 status: 0 idle, 1 busy, 2 done, 3 failed. UserInterrupts
 * when done.
 */
final class ChecksumDevice implements PciModel {
  static final int MAX = 1 << 16;

  private final MemorySegment buffer = Arena.ofAuto().allocate(MAX, 8);
  private @Nullable DeviceBus bus;
  private @Nullable ExecutorService worker;
  private long address;
  private int result;
  private int status;

  static EmulatedDevice create() {
    return EmulatedDevice.builder(0x1234, 0xc0de)
        .classCode(0x120000)
        .bar(0, 0x1000)
        .msix(1, 0, 0x800, 0xc00)
        .express()
        .build(new ChecksumDevice());
  }

  @Override
  public synchronized long read(int bar, long offset, int size) {
    return switch ((int) offset) {
      case 0x00 -> address;
      case 0x10 -> result;
      case 0x14 -> status;
      default -> 0;
    };
  }

  @Override
  public synchronized void write(int bar, long offset, int size, long value) {
    if (offset == 0x00) {
      address = value;
    } else if (offset == 0x08 && status != 1 && worker != null && bus != null) {
      status = 1;
      DeviceBus from = bus;
      long start = address;
      worker.execute(() -> compute(from, start, Math.clamp(value, 0, MAX)));
    }
  }

  private void compute(DeviceBus from, long start, int length) {
    CRC32C checksum = new CRC32C();
    int outcome = 2;
    try {
      from.read(start, buffer, 0, length);
      checksum.update(buffer.asSlice(0, length).asByteBuffer());
    } catch (DmaFaultException e) {
      outcome = 3;
    }
    synchronized (this) {
      result = (int) checksum.getValue();
      status = outcome;
    }
    from.signal(0);
  }

  @Override
  public synchronized void attached(DeviceBus to) {
    bus = to;
    worker = Executors.newSingleThreadExecutor();
  }

  @Override
  public synchronized void reset() {
    address = 0;
    result = 0;
    status = 0;
  }

  @Override
  public void detached() {
    if (worker != null) {
      worker.close();
    }
    reset();
  }
}
// @end
