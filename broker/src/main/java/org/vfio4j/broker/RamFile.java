// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.DescriptorKind;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;

/**
 * A file with RAM of a VM, in this process's memory once and whole, so that every mapping of it for
 * devices is an address: a map costs no call of its own, and huge pages stay whole. The memory of
 * the VM is never read or written here. The lock of {@link VmMemory} covers the count of uses.
 */
final class RamFile {
  /** What names a file while it is open. A descriptor that cannot write maps it differently. */
  record Key(long device, long inode, boolean writable) {
    static Key of(FileStatus status) {
      return new Key(status.device(), status.inode(), status.writable());
    }

    /** Whether two descriptors are of one file. */
    boolean sameFile(Key other) {
      return device == other.device && inode == other.inode;
    }
  }

  /**
   * Where something of it is to be mapped.
   *
   * @param iova the first address
   * @param size bytes
   * @param prot what devices may do there
   * @param offset bytes from the beginning of the file
   */
  record Range(long iova, long size, int prot, long offset) {}

  final Key key;

  private final Descriptor file;
  private final MappedMemory memory;
  private int uses;

  private RamFile(Key key, Descriptor file, MappedMemory memory) {
    this.key = key;
    this.file = file;
    this.memory = memory;
  }

  /**
   * What is known of a client's file, if it may be looked at.
   *
   * @throws VfioException EINVAL for anything but a memfd or a file of tmpfs or hugetlbfs: a call
   *     on another file may wait for the client for ever
   */
  static FileStatus look(Descriptor file) {
    if (!DescriptorKind.isMemory(file)) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.BAD_DESCRIPTOR,
          "memory of a VM is a memfd or a file of tmpfs or hugetlbfs, not "
              + DescriptorKind.link(file));
    }
    return FileStatus.of(file);
  }

  /**
   * Maps a file.
   *
   * @param calls of the process whose container gets it
   * @param file this object's from now on, if this returns
   * @throws VfioException EACCES if it cannot be read, ENOMEM, EINVAL
   */
  static RamFile map(SystemCalls calls, Descriptor file, FileStatus status) {
    if (status.length() == 0) {
      throw new VfioException(
          Errno.EINVAL, Reason.BAD_DESCRIPTOR, "the VM's memory is a file with nothing in it");
    }
    int write = status.writable() ? Constants.PROT_WRITE : 0;
    try {
      MappedMemory memory =
          MappedMemory.ofFile(calls, file, 0, pages(status.length()), Constants.PROT_READ | write);
      boolean done = false;
      try {
        // A crash of this process must not write the memory of its VMs to a disk.
        memory.dontDump();
        done = true;
        return new RamFile(Key.of(status), file, memory);
      } finally {
        if (!done) {
          memory.close();
        }
      }
    } catch (SystemCallException refused) {
      throw new VfioException(
          Errno.of(refused.errno()).orElse(Errno.EINVAL),
          Reason.BAD_DESCRIPTOR,
          "the VM's memory cannot be mapped: " + refused.getMessage());
    }
  }

  /** As many bytes as can be mapped. */
  static long pages(long length) {
    return length + 4095 & -4096;
  }

  /** Where an offset of the file is in this process. */
  long addressOf(long offset) {
    return memory.address() + offset;
  }

  void use() {
    uses++;
  }

  /** Takes one use back; true if it was the last. */
  boolean unuse() {
    return --uses == 0;
  }

  boolean unused() {
    return uses == 0;
  }

  /** Unmaps it: no device reaches it any more. */
  void close() {
    memory.close();
    file.close();
  }
}
