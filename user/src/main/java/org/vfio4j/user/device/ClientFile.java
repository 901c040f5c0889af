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
 * A file of the user's, mapped as a whole, once for all DMA mappings of it: a user behind a virtual
 * IOMMU maps its memory page by page, and the kernel allows a process 65,530 mappings in all. The
 * lock of the DMA space covers the count of uses.
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
  private int uses;

  private ClientFile(Key key, boolean lasting, MappedMemory memory) {
    this.key = key;
    this.lasting = lasting;
    this.memory = memory;
  }

  /**
   * Maps all of it.
   *
   * @throws VfioException EACCES if it cannot be read, ENOMEM, EINVAL if it is no file to map
   */
  static ClientFile map(Descriptor file, FileStatus status) {
    int protection = Constants.PROT_READ | (status.writable() ? Constants.PROT_WRITE : 0);
    try {
      MappedMemory memory = MappedMemory.ofFile(file, 0, pages(status.length()), protection);
      return new ClientFile(Key.of(status), status.lasting(), memory);
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

  /** The length rounded up to pages, as {@code mmap} does. */
  static long pages(long length) {
    return (length + PAGE - 1) & -PAGE;
  }

  /** All of it. */
  MemorySegment segment() {
    return memory.segment();
  }

  /** Where it is, which is also its address in the {@code AddressSpace}. */
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
