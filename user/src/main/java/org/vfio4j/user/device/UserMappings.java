// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.user.device.Windows.Window;

/**
 * The user's side of a {@link UserMemory}: what it maps is entered into the container's table and
 * among the windows, and what it unmaps is taken out of both before the accesses inside are waited
 * for and the memory goes. One lock covers all of it; accesses of the device never take it.
 */
final class UserMappings implements AutoCloseable {
  private static final long[] NO_BITMAP = {};
  private static final long PAGE = AddressSpace.PAGE;

  private final String device;
  private final Container container;
  private final AddressSpace memory;
  private final Windows windows;
  private final Guard guard;
  private final Optional<Peer> peer;
  private final ReentrantLock lock = new ReentrantLock();

  /** Where the kernel tells of a file; the lock covers it. */
  private final MemorySegment statusBuffer =
      Arena.ofAuto().allocate(FileStatus.BUFFER_SIZE, Long.BYTES);

  private boolean closed;

  /**
   * No mappings.
   *
   * @param device its name, for messages
   * @param container which checks each call and keeps the device's table
   * @param memory where files that may be accessed directly are placed
   * @param windows where the memory behind each mapping is
   * @param guard which every access is inside of
   * @param peer the client, if there is one to disconnect
   */
  UserMappings(
      String device,
      Container container,
      AddressSpace memory,
      Windows windows,
      Guard guard,
      Optional<Peer> peer) {
    this.device = device;
    this.container = container;
    this.memory = memory;
    this.windows = windows;
    this.guard = guard;
    this.peer = peer;
  }

  /** As {@link UserMemory#map}. */
  void map(long iova, long size, int prot, Optional<Descriptor> file, long offset) {
    lock.lock();
    try {
      checkOpen();
      if (file.isEmpty()) {
        // Nothing lies at address 0: the engine checks the call and lets the device fault there.
        container.map(memory, 0, iova, size, prot);
        windows.add(new Window(iova, size, prot, null, 0));
      } else {
        checkRange(size, offset);
        mapFile(iova, size, prot, file.get(), offset);
      }
    } finally {
      lock.unlock();
    }
  }

  private void checkOpen() {
    if (closed) {
      throw new VfioException(
          Errno.ENODEV, Reason.CONTAINER_STATE, "the user of " + device + " has gone");
    }
  }

  /** What no file can be asked for; all that is left of the arguments the engine checks. */
  private static void checkRange(long size, long offset) {
    if (size == 0 || ((size | offset) & (PAGE - 1)) != 0) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.BAD_ARGUMENT,
          "not whole pages of a file: size=0x%x, offset=0x%x".formatted(size, offset));
    }
    if (size < 0 || offset < 0 || size + offset < 0) {
      throw beyond(size, offset, "no file is as long");
    }
  }

  private static VfioException beyond(long size, long offset, String end) {
    return new VfioException(
        Errno.EFAULT,
        Reason.BAD_ADDRESS,
        "0x%x bytes at 0x%x are beyond the end of the file: %s".formatted(size, offset, end));
  }

  private void mapFile(long iova, long size, int prot, Descriptor descriptor, long offset) {
    FileStatus status = FileStatus.of(descriptor, statusBuffer);
    if ((prot & UserMemory.WRITE) != 0 && !status.writable()) {
      throw new VfioException(
          Errno.EACCES, Reason.BAD_DESCRIPTOR, "the device may write, the descriptor may not");
    }
    if (Long.compareUnsigned(offset + size, ClientFile.pages(status.length())) > 0) {
      throw beyond(size, offset, "0x%x".formatted(status.length()));
    }
    ClientFile file = windows.use(descriptor, status, offset, size);
    long address = file.addressOf(offset);
    boolean done = false;
    try {
      // What is not lasting is not placed: the table then holds only what may be accessed directly.
      container.map(memory, file.lasting ? address : 0, iova, size, prot);
      windows.add(new Window(iova, size, prot, file, address));
      done = true;
    } finally {
      if (!done) {
        windows.unuse(file);
      }
    }
  }

  /** As {@link UserMemory#unmap}. */
  long unmap(long iova, long size, int flags) {
    if ((flags & ~Container.UNMAP_ALL) != 0) {
      throw new VfioException(
          Errno.EINVAL, Reason.BAD_ARGUMENT, "unknown flags of an unmap: 0x%x".formatted(flags));
    }
    lock.lock();
    try {
      checkOpen();
      long bytes = container.unmap(memory, iova, size, flags, NO_BITMAP, 0);
      if (bytes != 0) {
        boolean all = flags == Container.UNMAP_ALL;
        forget(all ? 0 : iova, all ? -1L : iova + size - 1);
      }
      return bytes;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Drops what the container has unmapped.
   *
   * @throws VfioException EIO if an access does not leave: the space is of no use any more then
   */
  private void forget(long first, long last) {
    windows.remove(first, last);
    if (guard.await(UserMemory.PATIENCE.toNanos())) {
      windows.release();
    } else {
      poison();
      throw new VfioException(
          Errno.EIO,
          Reason.CONTAINER_STATE,
          "an access to unmapped memory has not ended within %s".formatted(UserMemory.PATIENCE));
    }
  }

  /**
   * An access does not end, for whatever reason, so its memory has to stay mapped here; but the
   * device finds none of it, and the client must not go on as if it were free.
   */
  private void poison() {
    if (!closed) {
      closed = true;
      container.close();
    }
    windows.remove(0, -1L);
    String what = "memory of " + device + " that an access does not leave";
    peer.ifPresent(p -> p.disconnect(what));
    Runnable release = this::releaseLater;
    peer.ifPresentOrElse(
        p -> p.later(what, release), () -> Thread.ofPlatform().daemon().start(release));
  }

  private void releaseLater() {
    guard.await(Long.MAX_VALUE / 2);
    lock.lock();
    try {
      windows.release();
    } finally {
      lock.unlock();
    }
  }

  /** Live mappings. */
  int count() {
    return windows.count();
  }

  /** Mappings that can still be added. */
  long available() {
    return container.info().entries();
  }

  /** As {@link UserMemory#close}. */
  @Override
  public void close() {
    lock.lock();
    try {
      if (!closed) {
        closed = true;
        container.close();
        windows.remove(0, -1L);
        if (guard.await(UserMemory.PATIENCE.toNanos())) {
          windows.release();
        } else {
          poison();
        }
      }
    } finally {
      lock.unlock();
    }
  }
}
