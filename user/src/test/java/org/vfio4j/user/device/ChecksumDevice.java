// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

// @start region=example
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.zip.CRC32C;
import org.vfio4j.iommu.DmaFaultException;

/**
 * Computes the CRC-32C of memory. Registers: 0x00 address, 0x08 length in bytes, at most 64 KiB;
 * writing it begins; 0x10 result; 0x14 status: 0 idle, 1 busy, 2 done, 3 failed. Interrupts when
 * done.
 */
public final class ChecksumDevice implements PciModel {
  static final int MAX = 1 << 16;

  private final MemorySegment buffer = Arena.ofAuto().allocate(MAX, 8);
  private Optional<Attached> attached = Optional.empty();

  /** Goes up with each reset: what has begun before is of no interest any more. */
  private int resets;

  private long address;
  private int result;
  private int status;

  private record Attached(DeviceBus bus, ExecutorService worker) {}

  /** The device, to be served. */
  public static EmulatedDevice create() {
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
    } else if (offset == 0x08 && status != 1 && attached.isPresent()) {
      status = 1;
      DeviceBus bus = attached.get().bus();
      long start = address;
      int begun = resets;
      attached.get().worker().execute(() -> compute(bus, start, Math.clamp(value, 0, MAX), begun));
    }
  }

  private void compute(DeviceBus bus, long start, int length, int begun) {
    CRC32C checksum = new CRC32C();
    int outcome = 2;
    try {
      bus.read(start, buffer, 0, length);
      checksum.update(buffer.asSlice(0, length).asByteBuffer());
    } catch (DmaFaultException e) {
      outcome = 3;
    }
    synchronized (this) {
      if (resets != begun) {
        return;
      }
      result = (int) checksum.getValue();
      status = outcome;
    }
    bus.signal(0);
  }

  @Override
  public synchronized void attached(DeviceBus to) {
    attached = Optional.of(new Attached(to, Executors.newSingleThreadExecutor()));
  }

  /** A computation that is under way is given up: it sets no register and does not interrupt. */
  @Override
  public synchronized void reset() {
    resets++;
    address = 0;
    result = 0;
    status = 0;
  }

  @Override
  public void detached() {
    Optional<Attached> last;
    synchronized (this) {
      last = attached;
      attached = Optional.empty();
    }
    last.ifPresent(a -> a.worker().close());
    reset();
  }
}
// @end
