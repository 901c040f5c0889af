// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.MemorySegment;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCallException;

/**
 * A file of the user's, or a range of one, mapped once for all DMA mappings of it: a user behind a
 * virtual IOMMU maps its memory page by page, and the kernel allows a process 65,530 mappings in
 * all. The lock of the DMA space covers the count of uses.
 */
final class ClientFile {
  private static final long PAGE = 4096;

  /** What names a file while it is mapped. A descriptor that cannot write maps it differently. */
  record Key(long device, long inode, boolean writable) {
    static Key of(FileStatus status) {
      return new Key(status.device(), status.inode(), status.writable());
    }
  }

  final Key key;

  /** Whether an access to it cannot fail; see {@link FileStatus#lasting}. */
  final boolean lasting;

  private final MappedMemory memory;
  private final long from;
  private int uses;

  private ClientFile(Key key, boolean lasting, MappedMemory memory, long from) {
    this.key = key;
    this.lasting = lasting;
    this.memory = memory;
    this.from = from;
  }

  /**
   * Maps a range of it.
   *
   * @param from offset of the first byte, page aligned
   * @param length bytes, whole pages
   * @throws VfioException EACCES if it cannot be read, ENOMEM, EINVAL if it is no file to map
   */
  static ClientFile map(Descriptor file, FileStatus status, long from, long length) {
    int protection = Constants.PROT_READ | (status.writable() ? Constants.PROT_WRITE : 0);
    try {
      MappedMemory memory = mapped(file, from, length, protection);
      return new ClientFile(Key.of(status), status.lasting(), memory, from);
    } catch (SystemCallException e) {
      Errno errno =
          switch (e.errno()) {
            case 12 -> Errno.ENOMEM;
            case 13, 1 -> Errno.EACCES;
            default -> Errno.EINVAL;
          };
      throw new VfioException(
          errno, Reason.BAD_DESCRIPTOR, "the user's memory cannot be mapped: " + e.getMessage());
    }
  }

  private static MappedMemory mapped(Descriptor file, long from, long length, int protection) {
    MappedMemory memory = MappedMemory.ofFile(file, from, length, protection);
    boolean done = false;
    try {
      // Without it a crash of this process would write the memory of all its clients to a disk.
      memory.dontDump();
      done = true;
      return memory;
    } finally {
      if (!done) {
        memory.close();
      }
    }
  }

  /** The length rounded up to pages, as {@code mmap} does; unsigned, as it can be 2^63. */
  static long pages(long length) {
    return (length + PAGE - 1) & -PAGE;
  }

  /** All that is mapped. */
  MemorySegment segment() {
    return memory.segment();
  }

  /** Whether a range of the file is mapped; offset and size are below 2^63. */
  boolean holds(long offset, long bytes) {
    return offset >= from && offset - from <= size() - bytes;
  }

  /** Where an offset of the file is, which is also its address in the {@code AddressSpace}. */
  long addressOf(long offset) {
    return address() + (offset - from);
  }

  /** Where its first byte is. */
  long address() {
    return memory.address();
  }

  /** Bytes, whole pages. */
  long size() {
    return memory.segment().byteSize();
  }

  void use() {
    uses++;
  }

  /** Takes one use back; true if it was the last. */
  boolean unuse() {
    return --uses == 0;
  }

  /** Unmaps it. Nobody may be in an access. */
  void close() {
    memory.close();
  }
}
