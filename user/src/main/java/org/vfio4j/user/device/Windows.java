// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import org.jspecify.annotations.Nullable;
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

  private final AddressSpace memory;
  private final Map<ClientFile.Key, ClientFile> files = new HashMap<>();

  /** By IOVA with its top bit flipped, so that the signed order of keys is the unsigned one. */
  private final ConcurrentSkipListMap<Long, Window> byIova = new ConcurrentSkipListMap<>();

  /** Files of windows that are gone, once for each, until {@link #release}. */
  private final ArrayDeque<ClientFile> unused = new ArrayDeque<>();

  /**
   * None.
   *
   * @param memory where files that may be accessed directly are placed
   */
  Windows(AddressSpace memory) {
    this.memory = memory;
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

  /** A file, mapped up to {@code end} at least, with one use more, for {@link #add} or back. */
  ClientFile use(Descriptor descriptor, FileStatus status, long end) {
    ClientFile known = files.get(ClientFile.Key.of(status));
    if (known != null && known.size() >= end && known.lasting == status.lasting()) {
      known.use();
      return known;
    }
    ClientFile fresh = ClientFile.map(descriptor, status);
    if (fresh.lasting) {
      memory.place(fresh.address(), fresh.segment(), status.writable());
    }
    files.put(fresh.key, fresh);
    fresh.use();
    return fresh;
  }

  /** Takes a use back. With the last one the memory goes: nobody may be inside any more. */
  void unuse(ClientFile file) {
    if (file.unuse()) {
      files.remove(file.key, file);
      memory.remove(file.address());
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
