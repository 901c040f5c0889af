// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Memory from {@code mmap(2)}. The segment is of the global scope: access to it is as quick as to
 * any memory, and nothing stops a use after {@link #close}. Who closes it must know that nobody
 * uses it any more.
 */
public final class MappedMemory implements AutoCloseable {
  private final SystemCalls calls;
  private final MemorySegment segment;
  private final AtomicBoolean closed = new AtomicBoolean();

  private MappedMemory(SystemCalls calls, MemorySegment segment) {
    this.calls = calls;
    this.segment = segment;
  }

  /**
   * Maps part of a file, shared.
   *
   * @param offset bytes into the file, a multiple of the page size
   * @param length bytes, above 0
   * @param protection {@link Constants#PROT_READ}, {@link Constants#PROT_WRITE} or both
   * @throws SystemCallException if the kernel refuses; EBADF if the file is closed
   */
  public static MappedMemory ofFile(Descriptor file, long offset, long length, int protection) {
    return ofFile(file.calls(), file, offset, length, protection);
  }

  /**
   * Maps part of a file that came by other calls: the memory is of the process that these reach.
   *
   * @see #ofFile(Descriptor, long, long, int)
   */
  public static MappedMemory ofFile(
      SystemCalls calls, Descriptor file, long offset, long length, int protection) {
    checkLength(length);
    long address;
    try (Descriptor.Use use = file.use()) {
      address = calls.mmap(0, length, protection, Constants.MAP_SHARED, use.number(), offset);
    }
    if (address < 0) {
      throw new SystemCallException(
          "mmap of 0x%x bytes of %s at 0x%x".formatted(length, file.name(), offset),
          (int) -address);
    }
    return new MappedMemory(calls, segment(address, length, protection));
  }

  /**
   * Fresh, page aligned, zeroed memory, private to this process.
   *
   * @param length bytes, above 0
   * @throws SystemCallException ENOMEM
   */
  public static MappedMemory anonymous(SystemCalls calls, long length) {
    checkLength(length);
    int protection = Constants.PROT_READ | Constants.PROT_WRITE;
    int flags = Constants.MAP_PRIVATE | Constants.MAP_ANONYMOUS;
    long address = calls.mmap(0, length, protection, flags, -1, 0);
    if (address < 0) {
      throw new SystemCallException("mmap of 0x%x bytes".formatted(length), (int) -address);
    }
    return new MappedMemory(calls, segment(address, length, protection));
  }

  private static void checkLength(long length) {
    if (length <= 0) {
      throw new IllegalArgumentException("nothing to map: length=" + length);
    }
  }

  @SuppressWarnings("restricted")
  private static MemorySegment segment(long address, long length, int protection) {
    MemorySegment segment = MemorySegment.ofAddress(address).reinterpret(length);
    return (protection & Constants.PROT_WRITE) != 0 ? segment : segment.asReadOnly();
  }

  /** All of it; read-only if it was mapped so. */
  public MemorySegment segment() {
    return segment;
  }

  /** Its address in this process. */
  public long address() {
    return segment.address();
  }

  /**
   * Keeps it out of core dumps of this process ({@code MADV_DONTDUMP}): memory that is somebody
   * else's must not be written to a disk because this process has crashed.
   *
   * @throws SystemCallException if the kernel refuses
   */
  public void dontDump() {
    int result = calls.madvise(segment.address(), segment.byteSize(), Constants.MADV_DONTDUMP);
    SystemCallException.check(result, "madvise MADV_DONTDUMP");
  }

  /** Unmaps it. Any use of the segment from now on is undefined: the process may die. */
  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      calls.munmap(segment.address(), segment.byteSize());
    }
  }
}
