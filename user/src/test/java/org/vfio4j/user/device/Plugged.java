// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.SystemCalls;

/** A device in the hands of a user of its own, without a socket between. */
public final class Plugged implements AutoCloseable {
  /** Bytes of the user's memory, mapped at IOVA 0. */
  public static final long MEMORY = 1 << 20;

  private static final long DEADLINE_NANOS = 10_000_000_000L;

  public final EmulatedDevice device;
  public final ClientPages memory = ClientPages.sealed(MEMORY);
  public final UserMemory dma = new UserMemory("plugged");
  public final UserInterrupts interrupts;
  private final MemorySegment buffer = Arena.ofAuto().allocate(4096, 8);

  /** Attaches a device, maps the memory and makes the device a bus master. */
  public Plugged(EmulatedDevice device) {
    this.device = device;
    interrupts = new UserInterrupts(device.irqs());
    device.attached(dma, interrupts);
    dma.map(0, MEMORY, UserMemory.READ | UserMemory.WRITE, memory.file(), 0);
    write(Pci.CONFIG, EmulatedConfig.COMMAND, 2, 6);
  }

  /** Reads a register of up to 8 bytes. */
  public long read(int region, long offset, int size) {
    buffer.set(ValueLayout.JAVA_LONG, 0, 0);
    device.read(region, offset, buffer, 0, size);
    return buffer.get(ValueLayout.JAVA_LONG, 0);
  }

  /** Writes a register of up to 8 bytes. */
  public void write(int region, long offset, int size, long value) {
    buffer.set(ValueLayout.JAVA_LONG, 0, value);
    device.write(region, offset, buffer, 0, size);
  }

  /** Has a vector delivered; the caller closes the result. */
  public EventFd connect(int index, int vector) {
    EventFd mine = EventFd.create(SystemCalls.libc());
    interrupts.connect(index, vector, List.of(Optional.of(mine.descriptor().duplicate())));
    return mine;
  }

  /** Waits for a signal; throws AssertionError if none comes in ten seconds. */
  public static void await(EventFd vector) {
    if (vector.await(Duration.ofNanos(DEADLINE_NANOS)) == 0) {
      throw new AssertionError("no interrupt");
    }
  }

  /** Waits until something is so; throws AssertionError after ten seconds. */
  public static void await(String what, BooleanSupplier so) {
    long deadline = System.nanoTime() + DEADLINE_NANOS;
    while (!so.getAsBoolean()) {
      if (System.nanoTime() - deadline > 0) {
        throw new AssertionError("never: " + what);
      }
      Thread.onSpinWait();
    }
  }

  @Override
  public void close() {
    device.detached();
    interrupts.close();
    dma.close();
    memory.close();
  }
}
