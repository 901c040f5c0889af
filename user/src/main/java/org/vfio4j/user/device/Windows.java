// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import org.jspecify.annotations.Nullable;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.type1.AddressSpace;

/**
 * Where the memory behind a user's live mappings is: one window a mapping, and each file that any
 * of them is of, mapped once. The lock of the DMA space covers every change; {@link #at} and {@link
 * #has} may be called by anybody.
 */
final class Windows {
  /**
   * A live mapping.
   *
   * @param iova first address
   * @param size bytes
   * @param prot what the device may do
   * @param file what it is of; null for memory that came without a descriptor
   * @param address of its first byte in this process, if it is of a file
   */
  record Window(long iova, long size, int prot, @Nullable ClientFile file, long address) {
    boolean holds(long at) {
      return Long.compareUnsigned(at - iova, size) < 0;
    }

    /** Whether the device's table holds it, so that nobody need look here. */
    boolean direct() {
      return file != null && file.lasting;
    }
  }

  /** Ranges of files are mapped in multiples of this: the largest huge page there is. */
  private static final long GRANULE = 1L << 30;

  private final AddressSpace memory;
  private final Map<ClientFile.Key, List<ClientFile>> files = new HashMap<>();

  /** What the user may still have mapped. */
  private long addressSpaceLeft;

  private int mappingsLeft;

  /** By IOVA with its top bit flipped, so that the signed order of keys is the unsigned one. */
  private final ConcurrentSkipListMap<Long, Window> byIova = new ConcurrentSkipListMap<>();

  /** Files of windows that are gone, once for each, until {@link #release}. */
  private final ArrayDeque<ClientFile> unused = new ArrayDeque<>();

  /**
   * None.
   *
   * @param memory where files that may be accessed directly are placed
   * @param limits what the user may have mapped
   */
  Windows(AddressSpace memory, MemoryLimits limits) {
    this.memory = memory;
    addressSpaceLeft = limits.addressSpace();
    mappingsLeft = limits.mappings();
  }

  private static long key(long iova) {
    return iova ^ Long.MIN_VALUE;
  }

  /** How many there are. */
  int count() {
    return byIova.size();
  }

  /** The window that an address is in. */
  @Nullable Window at(long iova) {
    Map.Entry<Long, Window> found = byIova.floorEntry(key(iova));
    return found != null && found.getValue().holds(iova) ? found.getValue() : null;
  }

  /** Whether it is still there: this one, not another at its place. */
  boolean has(Window window) {
    return byIova.get(key(window.iova)) == window;
  }

  /**
   * A file, or a range of it, with one use more, for {@link #add} or back.
   *
   * @param offset of the first byte that must be mapped, in bytes
   * @param size bytes from there, all of them in the file
   * @throws VfioException ENOMEM if the user has no room left for it
   */
  ClientFile use(Descriptor descriptor, FileStatus status, long offset, long size) {
    ClientFile.Key key = ClientFile.Key.of(status);
    List<ClientFile> known = files.computeIfAbsent(key, _ -> new ArrayList<>(1));
    try {
      for (ClientFile part : known) {
        if (part.lasting == status.lasting() && part.holds(offset, size)) {
          part.use();
          return part;
        }
      }
      ClientFile fresh = map(descriptor, status, offset, size);
      if (fresh.lasting) {
        memory.place(fresh.address(), fresh.segment(), status.writable());
      }
      known.add(fresh);
      fresh.use();
      return fresh;
    } finally {
      if (known.isEmpty()) {
        files.remove(key);
      }
    }
  }

  /** All of the file if there is room for that; else the range, so that holes cost nothing. */
  private ClientFile map(Descriptor descriptor, FileStatus status, long offset, long size) {
    long end = ClientFile.pages(status.length());
    long from = 0;
    if (Long.compareUnsigned(end, addressSpaceLeft) > 0) {
      from = offset & -GRANULE;
      long last = offset + size + GRANULE - 1 & -GRANULE;
      end = Long.compareUnsigned(last, end) < 0 ? last : end;
    }
    long length = end - from;
    if (mappingsLeft == 0 || Long.compareUnsigned(length, addressSpaceLeft) > 0) {
      throw new VfioException(
          Errno.ENOMEM,
          Reason.NO_MEMORY,
          ("0x%x bytes of a file more than the client may have mapped here: 0x%x bytes and %d"
                  + " ranges are left of its limits")
              .formatted(length, addressSpaceLeft, mappingsLeft));
    }
    ClientFile fresh = ClientFile.map(descriptor, status, from, length);
    addressSpaceLeft -= length;
    mappingsLeft--;
    return fresh;
  }

  /** Takes a use back. With the last one the memory goes: nobody may be inside any more. */
  void unuse(ClientFile file) {
    if (file.unuse()) {
      List<ClientFile> parts = files.getOrDefault(file.key, new ArrayList<>(0));
      parts.remove(file);
      if (parts.isEmpty()) {
        files.remove(file.key);
      }
      memory.remove(file.address());
      addressSpaceLeft += file.size();
      mappingsLeft++;
      file.close();
    }
  }

  /** Adds one where none is; it has the use of its file from now on. */
  void add(Window window) {
    byIova.put(key(window.iova), window);
  }

  /** Removes those that begin in an inclusive range. Their files stay until {@link #release}. */
  void remove(long first, long last) {
    Long at = byIova.ceilingKey(key(first));
    while (at != null && at <= key(last)) {
      Window gone = byIova.remove(at);
      if (gone != null && gone.file != null) {
        unused.add(gone.file);
      }
      at = byIova.higherKey(at);
    }
  }

  /** Gives back the files of what was removed. Nobody may be inside any more. */
  void release() {
    while (!unused.isEmpty()) {
      unuse(unused.remove());
    }
  }
}
