// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.DescriptorKind;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.user.device.DeviceSession;
import org.vfio4j.user.device.DmaSource;
import org.vfio4j.user.wire.DmaMap;
import org.vfio4j.user.wire.DmaUnmap;
import org.vfio4j.user.wire.MessageException;

/**
 * DMA_MAP and DMA_UNMAP. A refusal is logged: QEMU sends both without waiting and goes on as if
 * they had been done, so that the log is where a lost mapping shows.
 */
final class DmaCommands {
  private static final Logger LOG = System.getLogger("org.vfio4j.user");

  /** Refusals of one client that are logged; a hostile one could fill a disk. */
  private static final int MAX_LOGGED = 1000;

  private final String name;
  private final DeviceSession session;
  private int logged;

  DmaCommands(String name, DeviceSession session) {
    this.name = name;
    this.session = session;
  }

  /** Maps; the reply has no payload. */
  int map(MessageReader reader, int at, int size) {
    MemorySegment in = reader.buffer();
    DmaMap.check(in, at, size);
    long iova = DmaMap.address(in, at);
    long bytes = DmaMap.size(in, at);
    try {
      int flags = DmaMap.flags(in, at);
      if (reader.descriptors() == 0) {
        session.dmaMap(iova, bytes, flags, DmaSource.MESSAGES);
      } else {
        mapFile(reader, iova, bytes, flags, DmaMap.offset(in, at));
      }
    } catch (VfioException | SystemCallException e) {
      log("DMA_MAP", iova, bytes, e);
      throw e;
    }
    return 0;
  }

  private void mapFile(MessageReader reader, long iova, long bytes, int flags, long offset) {
    Descriptor file = reader.take(0);
    try {
      if (!DescriptorKind.isMemory(file)) {
        throw new VfioException(
            Errno.EINVAL,
            Reason.BAD_DESCRIPTOR,
            "memory is mapped of memfd, tmpfs and hugetlbfs only: any other file could have this process wait for ever: file=%s"
                .formatted(DescriptorKind.link(file)));
      }
      session.dmaMap(iova, bytes, flags, new DmaSource.File(file, offset));
    } finally {
      reader.discard(file);
    }
  }

  /** Unmaps, as type1v2 does; the reply is what was asked for. */
  int unmap(MemorySegment in, int at, int size, MemorySegment reply, int replyAt) {
    DmaUnmap.check(in, at, size);
    long iova = DmaUnmap.address(in, at);
    long bytes = DmaUnmap.size(in, at);
    int flags = DmaUnmap.flags(in, at);
    if ((flags & DmaUnmap.GET_DIRTY_BITMAP) != 0) {
      throw new MessageException(Errno.EOPNOTSUPP, "dirty pages are not tracked");
    }
    try {
      session.dmaUnmap(iova, bytes, flags);
    } catch (VfioException | SystemCallException e) {
      log("DMA_UNMAP", iova, bytes, e);
      throw e;
    }
    MemorySegment.copy(in, at, reply, replyAt, DmaUnmap.SIZE);
    return DmaUnmap.SIZE;
  }

  private void log(String command, long iova, long bytes, RuntimeException why) {
    if (logged < MAX_LOGGED) {
      LOG.log(
          Level.WARNING,
          "%s: refused %s iova=0x%x size=0x%x: %s"
              .formatted(name, command, iova, bytes, why.getMessage()));
    } else if (logged == MAX_LOGGED) {
      LOG.log(Level.WARNING, name + ": further refusals of this client are not logged");
    }
    logged = Math.min(logged + 1, MAX_LOGGED + 1);
  }
}
