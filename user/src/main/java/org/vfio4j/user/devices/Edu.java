// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.devices;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.vfio4j.iommu.DmaFaultException;
import org.vfio4j.user.device.DeviceBus;
import org.vfio4j.user.device.EmulatedDevice;
import org.vfio4j.user.device.LastingModel;

/**
 * QEMU's educational device (1234:11e8) with the registers of its {@code docs/specs/edu.rst}:
 * liveness, a factorial, interrupts to raise and acknowledge, and DMA between memory and a buffer
 * of 4 KiB in the device. As there, DMA addresses have 28 bits, registers below 0x80 are accessed
 * by four bytes and those from 0x80 on by four or eight; anything else reads as ones and writes
 * nothing. DMA is done at once, not after 100 ms, and DMA outside the buffer does nothing.
 *
 * <p>Another process can go on with it: a factorial or DMA that was begun is done, again if it must
 * be, and its interrupt comes.
 */
public final class Edu implements LastingModel {
  /** Bytes of BAR 0. */
  public static final int BAR_SIZE = 1 << 20;

  /** Where the buffer is, as DMA addresses it. */
  public static final long BUFFER = 0x40000;

  /** Bytes of the buffer. */
  public static final int BUFFER_SIZE = 4096;

  private static final long IDENTIFICATION = 0x010000edL;
  private static final int ID = 0x00;
  private static final int LIVENESS = 0x04;
  private static final int FACTORIAL = 0x08;
  private static final int STATUS = 0x20;
  private static final int INTERRUPTS = 0x24;
  private static final int RAISE = 0x60;
  private static final int ACKNOWLEDGE = 0x64;
  private static final int DMA_SOURCE = 0x80;
  private static final int DMA_TARGET = 0x88;
  private static final int DMA_COUNT = 0x90;
  private static final int DMA_COMMAND = 0x98;

  private static final int STATUS_COMPUTING = 0x01;
  private static final int STATUS_INTERRUPT = 0x80;
  private static final int FACTORIAL_INTERRUPT = 0x001;
  private static final int DMA_INTERRUPT = 0x100;

  private static final int COMMAND_RUN = 1;
  private static final int COMMAND_TO_MEMORY = 2;
  private static final int COMMAND_INTERRUPT = 4;

  /** Of what is written down. */
  private static final int WORDS = 9;

  private static final long ADDRESS_MASK = (1L << 28) - 1;
  private static final long ONES = -1L;

  /** The worker's alone while DMA runs, so only the worker touches it. */
  private final byte[] buffer = new byte[BUFFER_SIZE];

  private Optional<DeviceBus> bus = Optional.empty();
  private Optional<ExecutorService> worker = Optional.empty();

  /** Counts resets: what was begun before one changes nothing after it. */
  private int life;

  private int liveness;
  private int factorial;
  private int status;
  private int interrupts;
  private long source;
  private long target;
  private long count;
  private long command;

  /** An interrupt that is written down, and may not have been signalled. */
  private boolean owed;

  private Edu() {}

  /** A new device, to be served. */
  public static EmulatedDevice create() {
    return EmulatedDevice.builder(0x1234, 0x11e8)
        .revision(0x10)
        .classCode(0x00ff00)
        .subsystem(0x1af4, 0x1100)
        .bar(0, BAR_SIZE)
        .intx(1)
        .express()
        .msi(1)
        .build(new Edu());
  }

  private static boolean answers(long offset, int size) {
    return size == 4 || (size == 8 && offset >= DMA_SOURCE);
  }

  @Override
  public synchronized long read(int bar, long offset, int size) {
    if (!answers(offset, size)) {
      return ONES;
    }
    return switch ((int) offset) {
      case ID -> IDENTIFICATION;
      case LIVENESS -> liveness;
      case FACTORIAL -> factorial;
      case STATUS -> status;
      case INTERRUPTS -> interrupts;
      case DMA_SOURCE -> source;
      case DMA_TARGET -> target;
      case DMA_COUNT -> count;
      case DMA_COMMAND -> command;
      default -> ONES;
    };
  }

  @Override
  public synchronized void write(int bar, long offset, int size, long value) {
    if (!answers(offset, size)) {
      return;
    }
    switch ((int) offset) {
      case LIVENESS -> {
        liveness = ~(int) value;
        writeDown();
      }
      case FACTORIAL -> compute((int) value);
      case STATUS -> {
        status = status & ~STATUS_INTERRUPT | (int) value & STATUS_INTERRUPT;
        writeDown();
      }
      case RAISE -> raise((int) value);
      case ACKNOWLEDGE -> acknowledge((int) value);
      default -> writeDma((int) offset, value);
    }
  }

  /** DMA's registers cannot be written while it runs. */
  private void writeDma(int offset, long value) {
    if ((command & COMMAND_RUN) != 0) {
      return;
    }
    switch (offset) {
      case DMA_SOURCE -> source = value;
      case DMA_TARGET -> target = value;
      case DMA_COUNT -> count = value;
      case DMA_COMMAND -> {
        if ((value & COMMAND_RUN) != 0) {
          command = value;
        }
      }
      default -> {
        // No such register.
      }
    }
    writeDown();
    if ((command & COMMAND_RUN) != 0) {
      beginTransfer();
    }
  }

  private void beginTransfer() {
    int now = life;
    worker.ifPresent(w -> w.execute(() -> transfer(now)));
  }

  private void compute(int value) {
    if ((status & STATUS_COMPUTING) == 0) {
      status |= STATUS_COMPUTING;
      factorial = value;
      writeDown();
      beginFactorial();
    }
  }

  private void beginFactorial() {
    int now = life;
    int value = factorial;
    worker.ifPresent(w -> w.execute(() -> multiply(now, value)));
  }

  private void multiply(int begun, int value) {
    int product = 1;
    // Beyond 34 it is zero in 32 bits.
    for (int n = Integer.compareUnsigned(value, 34) > 0 ? 34 : value; n > 0; n--) {
      product *= n;
    }
    synchronized (this) {
      if (begun != life) {
        return;
      }
      factorial = product;
      status &= ~STATUS_COMPUTING;
      if ((status & STATUS_INTERRUPT) != 0) {
        raise(FACTORIAL_INTERRUPT);
      } else {
        writeDown();
      }
    }
  }

  /** Writes down what has happened, and that its interrupt is to come, before it does. */
  private void raise(int bits) {
    interrupts |= bits;
    owed = interrupts != 0;
    writeDown();
    signal();
  }

  private void signal() {
    if (owed) {
      bus.ifPresent(
          b -> {
            b.intx(true);
            b.signal(0);
          });
      owed = false;
      writeDown();
    }
  }

  private void acknowledge(int bits) {
    interrupts &= ~bits;
    writeDown();
    if (interrupts == 0) {
      bus.ifPresent(b -> b.intx(false));
    }
  }

  private void transfer(int begun) {
    DeviceBus to;
    boolean toMemory;
    long memory;
    long at;
    long bytes;
    synchronized (this) {
      if (begun != life || bus.isEmpty()) {
        return;
      }
      to = bus.get();
      toMemory = (command & COMMAND_TO_MEMORY) != 0;
      memory = (toMemory ? target : source) & ADDRESS_MASK;
      at = (toMemory ? source : target) - BUFFER;
      bytes = count;
    }
    if (at >= 0 && bytes > 0 && bytes <= BUFFER_SIZE && at <= BUFFER_SIZE - bytes) {
      move(to, toMemory, memory, at, bytes);
    }
    synchronized (this) {
      if (begun == life) {
        command &= ~COMMAND_RUN;
        if ((command & COMMAND_INTERRUPT) != 0) {
          raise(DMA_INTERRUPT);
        } else {
          writeDown();
        }
      }
    }
  }

  private void move(DeviceBus to, boolean toMemory, long memory, long at, long bytes) {
    try {
      if (toMemory) {
        to.write(memory, MemorySegment.ofArray(buffer), at, bytes);
      } else {
        to.read(memory, MemorySegment.ofArray(buffer), at, bytes);
      }
    } catch (DmaFaultException _) {
      // The device has no register for it: the IOMMU has noted it.
    }
    if (!toMemory) {
      to.state().writeMemory(buffer, (int) at, (int) bytes);
    }
  }

  @Override
  public int version() {
    return 1;
  }

  @Override
  public int words() {
    return WORDS;
  }

  @Override
  public int memory() {
    return BUFFER_SIZE;
  }

  private void writeDown() {
    bus.ifPresent(
        b ->
            b.state()
                .write(
                    liveness,
                    factorial,
                    status,
                    interrupts,
                    source,
                    target,
                    count,
                    command,
                    owed ? 1 : 0));
  }

  @Override
  public synchronized void resumed(DeviceBus to) {
    long[] words = to.state().read();
    liveness = (int) words[0];
    factorial = (int) words[1];
    status = (int) words[2];
    interrupts = (int) words[3];
    source = words[4];
    target = words[5];
    count = words[6];
    command = words[7];
    owed = words[8] != 0;
    to.state().readMemory(buffer);
    attached(to);
    if (interrupts == 0) {
      to.intx(false);
    }
    signal();
    if ((status & STATUS_COMPUTING) != 0) {
      beginFactorial();
    }
    if ((command & COMMAND_RUN) != 0) {
      beginTransfer();
    }
  }

  @Override
  public synchronized void attached(DeviceBus to) {
    bus = Optional.of(to);
    worker =
        Optional.of(
            Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name("edu").factory()));
  }

  @Override
  public synchronized void reset() {
    life++;
    liveness = 0;
    factorial = 0;
    status = 0;
    interrupts = 0;
    source = 0;
    target = 0;
    count = 0;
    command = 0;
    owed = false;
    writeDown();
  }

  @Override
  public void detached() {
    Optional<ExecutorService> ending;
    synchronized (this) {
      ending = worker;
      worker = Optional.empty();
    }
    try {
      synchronized (this) {
        reset();
        bus = Optional.empty();
      }
    } finally {
      // Waits for what is under way; nothing that is still queued does anything.
      ending.ifPresent(ExecutorService::close);
    }
  }
}
