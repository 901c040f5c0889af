// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.function.BooleanSupplier;
import org.vfio4j.error.VfioException;
import org.vfio4j.event.AttachEvent;
import org.vfio4j.event.DetachEvent;
import org.vfio4j.event.DmaMapEvent;
import org.vfio4j.event.DmaUnmapEvent;
import org.vfio4j.event.Events;
import org.vfio4j.iommu.IommuGroup;

/**
 * The calls of one container as those who watch see them: Flight Recorder and {@link Events}. While
 * nobody watches, a call pays for two comparisons.
 */
final class Watch {
  private final String container;
  private final Events events;

  Watch(String container, Events events) {
    this.container = container;
    this.events = events;
  }

  /** When a call began; 0 while nobody asks. */
  private long now() {
    return events == Events.NONE ? 0 : System.nanoTime();
  }

  void attach(IommuGroup group, Runnable call) {
    long start = now();
    AttachEvent event = new AttachEvent();
    event.begin();
    try {
      call.run();
    } catch (VfioException refused) {
      event.refused = refused.errno().name();
      throw refused;
    } finally {
      if (event.shouldCommit()) {
        event.container = container;
        event.group = group.id();
        event.commit();
      }
    }
    if (events != Events.NONE) {
      events.attached(container, group.id(), now() - start);
    }
  }

  /**
   * A detach.
   *
   * @param call does it; false if the group was not here, which nobody is told of
   */
  void detach(IommuGroup group, BooleanSupplier call) {
    long start = now();
    DetachEvent event = new DetachEvent();
    event.begin();
    if (!call.getAsBoolean()) {
      return;
    }
    if (event.shouldCommit()) {
      event.container = container;
      event.group = group.id();
      event.commit();
    }
    if (events != Events.NONE) {
      events.detached(container, group.id(), now() - start);
    }
  }

  void map(long iova, long bytes, Runnable call) {
    long start = now();
    DmaMapEvent event = new DmaMapEvent();
    event.begin();
    call.run();
    if (event.shouldCommit()) {
      event.container = container;
      event.iova = iova;
      event.bytes = bytes;
      event.commit();
    }
    if (events != Events.NONE) {
      events.mapped(container, iova, bytes, now() - start);
    }
  }

  /** An unmap begins. */
  Unmap unmap() {
    return new Unmap();
  }

  /** An unmap under way. */
  final class Unmap {
    private final long start = now();
    private final DmaUnmapEvent event = new DmaUnmapEvent();
    private long waited;

    private Unmap() {
      event.begin();
    }

    /** Waits for drivers. */
    void waitFor(Runnable call) {
      long since = System.nanoTime();
      call.run();
      waited += System.nanoTime() - since;
    }

    /** It has succeeded. */
    void done(long iova, long bytes) {
      if (event.shouldCommit()) {
        event.container = container;
        event.iova = iova;
        event.bytes = bytes;
        event.waited = waited;
        event.commit();
      }
      if (events != Events.NONE) {
        events.unmapped(container, iova, bytes, now() - start, waited);
      }
    }
  }
}
