// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.type1.Container.UnmapListener;

/**
 * How mappings leave a container: what drivers have pinned in a range is asked back first, then
 * each mapping goes, with its dirty bits. The container's lock covers it, and is left while drivers
 * are asked.
 */
final class Unmapping {
  /** How often drivers are asked before an unmap gives up on them. */
  private static final int ROUNDS = 10;

  private final DmaRules rules;
  private final Mappings mappings;
  private final DirtyTracking dirty;
  private final Consumer<Runnable> unlocked;
  private final Map<IommuGroup, UnmapListener> listeners = new LinkedHashMap<>();

  /**
   * Without drivers to ask.
   *
   * @param unlocked runs something with the container's lock left
   */
  Unmapping(DmaRules rules, Mappings mappings, DirtyTracking dirty, Consumer<Runnable> unlocked) {
    this.rules = rules;
    this.mappings = mappings;
    this.dirty = dirty;
    this.unlocked = unlocked;
  }

  /** The driver of this group is asked from now on. */
  void ask(IommuGroup group, UnmapListener listener) {
    listeners.put(group, listener);
  }

  /** The driver of this group has left. */
  void forget(IommuGroup group) {
    listeners.remove(group);
  }

  /** All have. */
  void forgetAll() {
    listeners.clear();
  }

  /** Whether there is a driver to ask. */
  boolean asksAnybody() {
    return !listeners.isEmpty();
  }

  /** {@link Container#unmap}, or the invalidation of its addresses. */
  long unmap(
      Watch.Unmap watched,
      AddressSpace mm,
      long iova,
      long size,
      int flags,
      long[] bitmap,
      long bitmapPageSize) {
    if ((flags & Container.UNMAP_VADDR) != 0) {
      return invalidate(rules.toUnmap(mm, iova, size, flags, bitmap, bitmapPageSize));
    }
    for (int round = 0; ; round++) {
      List<Dma> going = rules.toUnmap(mm, iova, size, flags, bitmap, bitmapPageSize);
      List<Dma> pinned = listeners.isEmpty() ? List.of() : pinned(going);
      if (pinned.isEmpty()) {
        return remove(going, iova, (flags & Container.UNMAP_DIRTY) != 0, bitmap);
      }
      if (round == ROUNDS) {
        throw new IllegalStateException(
            "a driver keeps pages pinned in a range that is being unmapped");
      }
      List<UnmapListener> asked = List.copyOf(listeners.values());
      // They unpin through the container.
      watched.waitFor(
          () ->
              unlocked.accept(
                  () -> pinned.forEach(d -> asked.forEach(l -> l.unmapping(d.iova, d.size)))));
    }
  }

  /** Those that a driver who can be told has pinned; what others have pinned goes with them. */
  private List<Dma> pinned(List<Dma> going) {
    return going.stream().filter(d -> d.pinnedBy(listeners.keySet())).toList();
  }

  private long remove(List<Dma> going, long base, boolean wantDirty, long[] bitmap) {
    long bytes = 0;
    List<VfioException> refusals = new ArrayList<>();
    for (Dma dma : going) {
      if (wantDirty) {
        dirty.copy(dma, base, bitmap);
      }
      try {
        mappings.remove(dma);
        bytes += dma.size;
      } catch (VfioException refused) {
        refusals.add(refused);
      }
    }
    if (!refusals.isEmpty()) {
      throw refusals.getFirst();
    }
    return bytes;
  }

  private long invalidate(List<Dma> going) {
    if (going.stream().anyMatch(d -> d.vaddrInvalid)) {
      throw new VfioException(
          Errno.EINVAL, Reason.VADDR_INVALID, "a mapping in the range was invalidated before");
    }
    going.forEach(mappings::invalidateVaddr);
    return going.stream().mapToLong(d -> d.size).sum();
  }
}
