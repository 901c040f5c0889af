// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.devices;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.vfio4j.iommu.DmaFaultException;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.user.device.DeviceBus;

/**
 * The one channel of {@link Ioat}: a chain of descriptors in the user's memory, copied by a thread
 * of the channel's own. Registers answer at once, whatever the thread is doing.
 *
 * <p>DMACOUNT counts descriptors since the chain's address was written, modulo 65,536; what it is
 * ahead of those done is what is left to do. A suspend or a reset takes effect between two
 * descriptors, and CHANSTS and CHANCMD say so only then.
 */
final class IoatChannel implements AutoCloseable {
  private static final int CHANCTRL = 0x00;
  private static final int CHANCMD = 0x04;
  private static final int DMACOUNT = 0x06;
  private static final int CHANSTS = 0x08;
  private static final int CHAINADDR = 0x10;
  private static final int CHANCMP = 0x18;
  private static final int CDAR = 0x20;
  private static final int CHANERR = 0x28;

  private static final int CONTROL_ERROR_COMPLETION = 0x04;
  private static final int CONTROL_ERROR_INTERRUPT = 0x10;

  private static final int COMMAND_SUSPEND = 0x04;
  private static final int COMMAND_RESUME = 0x10;
  private static final int COMMAND_RESET = 0x20;

  private static final int ACTIVE = 0;
  private static final int DONE = 1;
  private static final int SUSPENDED = 2;
  private static final int HALTED = 3;

  private static final int ERROR_NEXT_ADDRESS = 0x0004;
  private static final int ERROR_NEXT_ALIGNMENT = 0x0008;
  private static final int ERROR_READ = 0x0100;
  private static final int ERROR_WRITE = 0x0200;
  private static final int ERROR_CONTROL = 0x0400;
  private static final int ERROR_LENGTH = 0x0800;
  private static final int ERROR_COMPLETION_ADDRESS = 0x1000;

  private static final int DESCRIPTOR_SIZE = 64;
  private static final int DESCRIPTOR_INTERRUPT = 1;
  private static final int DESCRIPTOR_COMPLETION = 1 << 3;
  private static final int DESCRIPTOR_NULL = 1 << 5;
  private static final int OP_COPY = 0;

  private static final int SIZE = 0x80;
  private static final long RESET_WAIT_NANOS = 100_000_000;
  private static final long ADDRESS_MASK = -DESCRIPTOR_SIZE;

  private final DeviceBus bus;
  private final Runnable interrupt;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final RegisterFile registers = new RegisterFile(SIZE);
  private final Thread worker;

  /** Of the worker alone. */
  private final MemorySegment descriptor = Arena.ofAuto().allocate(DESCRIPTOR_SIZE, 8);

  /** The next descriptor's address. */
  private long next;

  /** Descriptors done since the chain's address was written, modulo 65,536. */
  private int done;

  private int state = HALTED;
  private boolean suspending;
  private boolean resetting;
  private boolean busy;
  private boolean closed;

  IoatChannel(DeviceBus bus, Runnable interrupt) {
    this.bus = bus;
    this.interrupt = interrupt;
    worker = Thread.ofPlatform().daemon().name("ioat").start(this::work);
  }

  long read(int at, int size) {
    lock.lock();
    try {
      registers.set(CHANCMD, 1, resetting ? COMMAND_RESET : 0);
      long completed = registers.get(CHANSTS, 8) & ADDRESS_MASK;
      registers.set(CHANSTS, 8, completed | state);
      return at + size <= SIZE ? registers.get(at, size) : 0;
    } finally {
      lock.unlock();
    }
  }

  void write(int at, int size, long value) {
    lock.lock();
    try {
      switch (at) {
        case CHANCTRL -> registers.set(at, Math.min(size, 2), value & 0xf33f);
        case CHANCMD -> command((int) value);
        case DMACOUNT -> count((int) value);
        case CHAINADDR, CHAINADDR + 4 -> {
          registers.set(at, size, value);
          next = registers.get(CHAINADDR, 8);
          done = 0;
          registers.set(DMACOUNT, 2, 0);
        }
        case CHANERR -> registers.set(at, 4, registers.get(at, 4) & ~value);
        default -> {
          if (at >= CHANCMP && at < CDAR || at > CHANERR && at + size <= SIZE) {
            registers.set(at, size, value);
          }
        }
      }
    } finally {
      lock.unlock();
    }
  }

  private void command(int value) {
    if ((value & COMMAND_RESET) != 0) {
      if (busy) {
        resetting = true;
      } else {
        halt();
      }
    } else if ((value & COMMAND_SUSPEND) != 0 && state != HALTED) {
      if (busy) {
        suspending = true;
      } else {
        state = SUSPENDED;
      }
    } else if ((value & COMMAND_RESUME) != 0 && state == SUSPENDED) {
      start();
    }
  }

  private void halt() {
    resetting = false;
    suspending = false;
    state = HALTED;
    done = 0;
    registers.set(DMACOUNT, 2, 0);
    registers.set(CHANSTS, 8, 0);
    changed.signalAll();
  }

  private void count(int value) {
    registers.set(DMACOUNT, 2, value);
    start();
  }

  private void start() {
    // An error that nobody has cleared keeps the channel halted.
    if (registers.get(CHANERR, 4) == 0 && !resetting) {
      state = left() == 0 ? DONE : ACTIVE;
      suspending = false;
      changed.signalAll();
    }
  }

  private int left() {
    return ((int) registers.get(DMACOUNT, 2) - done) & 0xffff;
  }

  /**
   * Back to how it was made, once the descriptor under way is done with. Should that one wait for
   * an answer from the user, which comes through the thread that is here, it goes on without; the
   * device is no bus master by then, so nothing more is written.
   */
  void powerOn() {
    lock.lock();
    try {
      resetting = busy;
      long nanos = RESET_WAIT_NANOS;
      while (busy && nanos > 0) {
        nanos = awaitChange(nanos);
      }
      boolean still = busy;
      halt();
      resetting = still;
      registers.clear();
      next = 0;
    } finally {
      lock.unlock();
    }
  }

  /** One wait, maybe for nothing: who calls asks again what it waits for. */
  @SuppressWarnings("WaitNotInLoop")
  private long awaitChange(long nanos) {
    try {
      return changed.awaitNanos(nanos);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return 0;
    }
  }

  /** Ends the worker. When this returns it uses the bus no more. */
  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    boolean interrupted = false;
    while (worker.isAlive()) {
      try {
        worker.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void work() {
    while (take()) {
      int error = execute();
      finish(error);
    }
  }

  /** Waits for a descriptor to do; false when the channel is closed. */
  private boolean take() {
    lock.lock();
    try {
      while (!closed && (state != ACTIVE || left() == 0)) {
        changed.awaitUninterruptibly();
      }
      busy = !closed;
      return !closed;
    } finally {
      lock.unlock();
    }
  }

  /** Does the descriptor at {@code next}; returns what goes into CHANERR. */
  private int execute() {
    if ((next & (DESCRIPTOR_SIZE - 1)) != 0) {
      return ERROR_NEXT_ALIGNMENT;
    }
    try {
      bus.read(next, descriptor, 0, DESCRIPTOR_SIZE);
    } catch (DmaFaultException e) {
      return ERROR_NEXT_ADDRESS;
    }
    long size = descriptor.get(ValueLayout.JAVA_INT, 0) & 0xffff_ffffL;
    int control = descriptor.get(ValueLayout.JAVA_INT, 4);
    if (size == 0 || size > 1L << Ioat.TRANSFER_BITS) {
      return ERROR_LENGTH;
    }
    if ((control & DESCRIPTOR_NULL) != 0) {
      return 0;
    }
    if (control >>> 24 != OP_COPY) {
      return ERROR_CONTROL;
    }
    try {
      bus.copy(
          descriptor.get(ValueLayout.JAVA_LONG, 8),
          descriptor.get(ValueLayout.JAVA_LONG, 16),
          size);
      return 0;
    } catch (DmaFaultException e) {
      return e.fault().access() == Mapping.READ ? ERROR_READ : ERROR_WRITE;
    }
  }

  /** Counts the descriptor, tells the user of it, and takes what was asked for meanwhile. */
  private void finish(int error) {
    long completion;
    boolean tell;
    boolean signal;
    lock.lock();
    try {
      if (resetting) {
        busy = false;
        halt();
        return;
      }
      int control = descriptor.get(ValueLayout.JAVA_INT, 4);
      int channelControl = (int) registers.get(CHANCTRL, 2);
      if (error == 0) {
        done = (done + 1) & 0xffff;
        registers.set(CHANSTS, 8, next & ADDRESS_MASK);
        next = descriptor.get(ValueLayout.JAVA_LONG, 24);
        tell = (control & DESCRIPTOR_COMPLETION) != 0;
        signal = (control & DESCRIPTOR_INTERRUPT) != 0;
      } else {
        tell = (channelControl & CONTROL_ERROR_COMPLETION) != 0;
        signal = (channelControl & CONTROL_ERROR_INTERRUPT) != 0;
      }
      int status = error != 0 ? HALTED : left() == 0 ? DONE : ACTIVE;
      completion = registers.get(CHANSTS, 8) & ADDRESS_MASK | status;
    } finally {
      lock.unlock();
    }
    int failed = tell ? complete(completion) : 0;
    settle(error | failed);
    if (signal) {
      interrupt.run();
    }
  }

  /** Writes the completion word: after the data, before the status register and the interrupt. */
  private int complete(long completion) {
    long address = registers.get(CHANCMP, 8) & -Long.BYTES;
    if (address == 0) {
      return 0;
    }
    try {
      bus.publish(address, completion);
      return 0;
    } catch (DmaFaultException e) {
      return ERROR_COMPLETION_ADDRESS;
    }
  }

  private void settle(int error) {
    lock.lock();
    try {
      busy = false;
      if (resetting) {
        halt();
      } else if (error != 0) {
        registers.set(CHANERR, 4, registers.get(CHANERR, 4) | error);
        state = HALTED;
        suspending = false;
      } else if (suspending) {
        suspending = false;
        state = SUSPENDED;
      } else if (state == ACTIVE && left() == 0) {
        state = DONE;
      }
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }
}
