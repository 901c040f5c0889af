// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Copies to and from memory of this process that may vanish while it is copied, because somebody
 * else can shrink the file behind it. The kernel copies and answers EFAULT; an access by the JVM
 * would end in SIGBUS, which surfaces as an InternalError at some later point of the thread.
 * Thread-safe: each thread copies through a buffer of its own, so that none waits for another.
 * About a microsecond for each call.
 */
public final class CheckedMemory {
  /** Bytes that one call copies at most. */
  public static final int MAX = 1 << 16;

  private static final int PID = (int) ProcessHandle.current().pid();

  private static final ThreadLocal<Buffer> BUFFERS = ThreadLocal.withInitial(Buffer::new);

  private final SystemCalls calls;

  /** A thread's, and goes with it. */
  private static final class Buffer {
    private final Arena arena = Arena.ofAuto();
    final MemorySegment bounce = arena.allocate(MAX, Long.BYTES);
    final MemorySegment local = arena.allocate(16, Long.BYTES);
    final MemorySegment remote = arena.allocate(16, Long.BYTES);

    Buffer() {
      local.set(ValueLayout.JAVA_LONG, 0, bounce.address());
    }

    static Buffer of(long address, long count) {
      if (count < 1 || count > MAX) {
        throw new IllegalArgumentException("bytes: count=%d, at most %d".formatted(count, MAX));
      }
      Buffer buffer = BUFFERS.get();
      buffer.local.set(ValueLayout.JAVA_LONG, 8, count);
      buffer.remote.set(ValueLayout.JAVA_LONG, 0, address);
      buffer.remote.set(ValueLayout.JAVA_LONG, 8, count);
      return buffer;
    }
  }

  /** Copies by these calls. */
  public CheckedMemory(SystemCalls calls) {
    this.calls = calls;
  }

  /**
   * Reads memory at an address.
   *
   * @param target where the bytes go, from {@code offset} on
   * @param count bytes, 1 to {@link #MAX}
   * @throws SystemCallException EFAULT if a part of it is not there
   */
  public void read(long address, MemorySegment target, long offset, long count) {
    Buffer buffer = Buffer.of(address, count);
    check(calls.processVmRead(PID, buffer.local, buffer.remote), "read", address, count);
    MemorySegment.copy(buffer.bounce, 0, target, offset, count);
  }

  /**
   * Writes memory at an address.
   *
   * @param source where the bytes are, from {@code offset} on
   * @param count bytes, 1 to {@link #MAX}
   * @throws SystemCallException EFAULT if a part of it is not there; what is before it may be
   *     written
   */
  public void write(long address, MemorySegment source, long offset, long count) {
    Buffer buffer = Buffer.of(address, count);
    MemorySegment.copy(source, offset, buffer.bounce, 0, count);
    check(calls.processVmWrite(PID, buffer.local, buffer.remote), "write", address, count);
  }

  private static void check(long done, String what, long address, long count) {
    if (done != count) {
      throw new SystemCallException(
          "%s of %d bytes at 0x%x".formatted(what, count, address),
          done < 0 ? (int) -done : ErrnoNames.EFAULT);
    }
  }
}
