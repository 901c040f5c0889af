// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.event;

/**
 * Told of what happens in containers, after it has happened, on the thread that did it and with no
 * lock of the container held. What it throws reaches that thread's caller, so it should throw
 * nothing; and it should not wait. Calls of several containers come at the same time.
 *
 * <p>Times are in nanoseconds, with what was waited for a container's lock. Only calls that
 * succeeded are told; a refused one is known to its caller.
 */
public interface Events {
  /** Told of everything, tells nobody. */
  Events NONE = new Events() {};

  /**
   * A VFIO group was attached to a container.
   *
   * @param container its name
   * @param group the group's number
   * @param nanos how long it took, with the replay of what is mapped
   */
  default void attached(String container, int group, long nanos) {}

  /**
   * A VFIO group left a container. A group that was not there is told too.
   *
   * @param container its name
   * @param group the group's number
   * @param nanos how long it took
   */
  default void detached(String container, int group, long nanos) {}

  /**
   * Memory was mapped.
   *
   * @param container its name
   * @param iova first address, unsigned
   * @param bytes how many, unsigned
   * @param nanos how long it took, with the pinning
   */
  default void mapped(String container, long iova, long bytes, long nanos) {}

  /**
   * A range was unmapped, or its addresses were invalidated.
   *
   * @param container its name
   * @param iova first address of the range, unsigned
   * @param bytes how many were mapped there, unsigned
   * @param nanos how long it took
   * @param waited how long of that drivers took to give up what they had pinned
   */
  default void unmapped(String container, long iova, long bytes, long nanos, long waited) {}

  /**
   * A device that no IOMMU serves did DMA that faulted.
   *
   * @param device its name
   * @param iova first address, unsigned
   * @param bytes how many
   * @param access 1 for reading, 2 for writing
   */
  default void faulted(String device, long iova, long bytes, int access) {}
}
