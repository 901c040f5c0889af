// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Holder;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.event.Events;
import org.vfio4j.iommu.DmaFault;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.iommu.Ownership;
import org.vfio4j.profile.KernelProfile;

/**
 * One address space of the type1 driver ({@code struct vfio_iommu}): the groups attached to it and
 * the memory mapped for them. Thread-safe: one lock covers every call that changes something or
 * waits for the hardware. What is in the container, and what it can do, is told without that lock,
 * also while a map pins for seconds: it is what the last change left, and a change under way may be
 * told of already or not yet.
 *
 * <p>Attaches are tracked by backing group. The first user of a backing group attaches the
 * hardware; every further VFIO group with the same backing joins without touching it; another
 * container is refused with EBUSY; the hardware is detached when the last user leaves.
 */
public final class Container implements Ownership.Owner, AutoCloseable {
  /** VFIO_DMA_MAP_FLAG_READ: the device may read. */
  public static final int MAP_READ = Mapping.READ;

  /** VFIO_DMA_MAP_FLAG_WRITE: the device may write. */
  public static final int MAP_WRITE = Mapping.WRITE;

  /** VFIO_DMA_MAP_FLAG_VADDR: give an invalidated mapping its new address. */
  public static final int MAP_VADDR = 4;

  /** VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP. */
  public static final int UNMAP_DIRTY = 1;

  /** VFIO_DMA_UNMAP_FLAG_ALL. */
  public static final int UNMAP_ALL = 2;

  /** VFIO_DMA_UNMAP_FLAG_VADDR: invalidate the address, keep the mapping. */
  public static final int UNMAP_VADDR = 4;

  private final String name;
  private final Watch watch;
  private final Events events;
  private final Type1 type;
  private boolean closed;
  private final ReentrantLock lock = new ReentrantLock();
  private final Attachments attachments = new Attachments();
  private final Mappings mappings;
  private final DirtyTracking dirty;
  private final PinnedPages pins;
  private final IovaRoom room;
  private final Attaching attaching;
  private final DmaRules rules;
  private final Unmapping unmapping;

  /** Told before a mapping goes away under pages that a driver has pinned. */
  @FunctionalInterface
  public interface UnmapListener {
    /** The driver unpins what it has in the range, in bytes, before it returns. */
    void unmapping(long iova, long size);
  }

  /**
   * What a container can do and has left (VFIO_IOMMU_GET_INFO).
   *
   * @param pageSizes page sizes in bytes, one bit each
   * @param entries mappings that can still be added
   * @param ranges IOVAs that can be mapped; empty while nothing limits them
   */
  public record Info(long pageSizes, long entries, List<IovaRange> ranges) {}

  /**
   * What is in a container.
   *
   * @param groups attached VFIO groups, oldest first
   * @param domains how many domains back it
   * @param mappings live mappings
   * @param bytes how many bytes these are together, unsigned
   */
  public record Contents(List<IommuGroup> groups, int domains, int mappings, long bytes) {}

  /**
   * An empty container of the type1 driver.
   *
   * @param name who it belongs to, for error messages
   * @param iommu the hardware
   * @param profile whose answers to give
   * @param type the flavour SET_IOMMU asked for
   * @param parameters of the module; the entry limit is read now, the rest when needed
   */
  public Container(
      String name, Iommu iommu, KernelProfile profile, Type1 type, Type1Parameters parameters) {
    this(name, iommu, profile, type, parameters, Events.NONE);
  }

  /**
   * An empty container of the type1 driver that is watched.
   *
   * @param name who it belongs to, for error messages
   * @param iommu the hardware
   * @param profile whose answers to give
   * @param type the flavour SET_IOMMU asked for
   * @param parameters of the module; the entry limit is read now, the rest when needed
   * @param events told of what happens here
   */
  public Container(
      String name,
      Iommu iommu,
      KernelProfile profile,
      Type1 type,
      Type1Parameters parameters,
      Events events) {
    this.name = name;
    this.watch = new Watch(name, events);
    this.events = events;
    this.type = type;
    this.mappings = new Mappings(attachments, parameters.entryLimit());
    this.dirty = new DirtyTracking(mappings, attachments);
    this.pins = new PinnedPages(mappings, dirty);
    this.room = new IovaRoom(profile, attachments, mappings.tree());
    this.attaching =
        new Attaching(
            this, new Hardware(iommu, profile, type, parameters), attachments, mappings, room);
    this.rules = new DmaRules(profile, type, attachments, mappings, dirty, room);
    this.unmapping = new Unmapping(rules, mappings, dirty, this::unlocked);
  }

  /** Who it belongs to. */
  public String name() {
    return name;
  }

  /** The flavour. */
  public Type1 type() {
    return type;
  }

  @Override
  public Holder holder(IommuGroup group) {
    return new Holder(name, attachments.devices(group));
  }

  /**
   * Attaches a VFIO group ({@code vfio_iommu_type1_attach_group}).
   *
   * @throws VfioException EINVAL if it is attached here already, its members are on several buses,
   *     the wrapped function has no IOMMU group or is not viable (5.10), or an existing mapping
   *     lies in what it reserves or cannot address; EBUSY if another container has its backing
   *     group; EPERM without interrupt isolation, with firmware mappings, or in the wrong PASID
   *     mode; ENOMEM or EFAULT if existing mappings cannot be pinned for it; ENODEV if the device
   *     is unplugged meanwhile; EINVAL if the container is closed. Nothing has changed then.
   */
  public void attach(IommuGroup group) {
    watch.attach(
        group,
        () ->
            locked(
                () -> {
                  checkOpen();
                  attaching.attach(group);
                }));
  }

  /**
   * Detaches a VFIO group ({@code vfio_iommu_type1_detach_group}). Cannot fail, and a group that is
   * not here is no error. With the last group go all mappings; with the last that an IOMMU serves,
   * those of plain mediated devices stay.
   */
  public void detach(IommuGroup group) {
    watch.detach(
        group,
        () ->
            locked(
                () -> {
                  unmapping.forget(group);
                  return attaching.detach(group);
                }));
  }

  private void checkOpen() {
    if (closed) {
      throw new VfioException(Errno.EINVAL, Reason.CONTAINER_STATE, this + " is closed");
    }
  }

  /**
   * Detaches all groups and drops all mappings ({@code vfio_iommu_type1_release}). Nothing can be
   * attached or mapped after that; closing again does nothing.
   */
  @Override
  public void close() {
    locked(
        () -> {
          closed = true;
          unmapping.forgetAll();
        });
    // Nothing comes any more. Each group's leaving is told, and nobody is told under the lock.
    for (IommuGroup group : groups()) {
      watch.detach(group, () -> locked(() -> attaching.detach(group)));
    }
    locked(mappings::removeAll);
  }

  /**
   * How many VFIO groups here use a backing group: the seed's count, read off the list. An attach
   * under way is not counted yet, though others are refused the group already.
   */
  public int useCount(IommuGroup backing) {
    return attachments.useCount(backing);
  }

  /** Attached VFIO groups, oldest first. */
  public List<IommuGroup> groups() {
    return attachments.groups();
  }

  /** How many domains back the container. */
  public int domains() {
    return attachments.domainCount();
  }

  /** What is in the container. */
  public Contents snapshot() {
    return attachments.contents(mappings.count(), mappings.bytes());
  }

  /**
   * The number of the domain that the group is on, newest 0; -1 for one that no IOMMU serves.
   *
   * @throws IllegalArgumentException if the group is not attached here
   */
  public int domainIndex(IommuGroup group) {
    return entry(group).domain.map(attachments::indexOf).orElse(-1);
  }

  /** Whether a group is here that no IOMMU serves. */
  public boolean hasEmulated() {
    return attachments.hasExternal();
  }

  /**
   * Whether the DMA of all domains snoops the caches (VFIO_DMA_CC_IOMMU). True without a domain, as
   * {@code vfio_domains_have_iommu_cache} begins with that.
   */
  public boolean coherent() {
    return mappings.coherent();
  }

  /** What GET_INFO tells. */
  public Info info() {
    return new Info(mappings.pageSizes(), mappings.available(), room.ranges().ranges());
  }

  /** Where something is mapped, ascending. A map or unmap under way is waited for. */
  public List<IovaRange> mapped() {
    return locked(
        () ->
            mappings.tree().all().stream()
                .map(dma -> new IovaRange(dma.iova, dma.last()))
                .toList());
  }

  /** Live mappings. */
  public int mappings() {
    return mappings.count();
  }

  /**
   * Maps memory of a process ({@code vfio_dma_do_map}).
   *
   * @param mm whose memory it is, and who is charged for it
   * @param vaddr where it is in {@code mm}, in bytes, page aligned
   * @param iova where devices will find it, page aligned
   * @param size bytes, page aligned, not 0
   * @param flags {@link #MAP_READ} and {@link #MAP_WRITE}, or {@link #MAP_VADDR} alone
   * @throws VfioException EINVAL (misaligned, wraps, reserved, beyond the aperture), EEXIST, ENOSPC
   *     (entry limit), EFAULT (no such memory), ENOMEM (locked memory), ENOENT (VADDR without a
   *     mapping), EOVERFLOW (7.x, wraps), EINVAL if the container is closed. Nothing has changed
   *     then.
   */
  public void map(AddressSpace mm, long vaddr, long iova, long size, int flags) {
    watch.map(iova, size, () -> mapLocked(mm, vaddr, iova, size, flags));
  }

  private void mapLocked(AddressSpace mm, long vaddr, long iova, long size, int flags) {
    lock.lock();
    try {
      checkOpen();
      rules.map(mm, vaddr, iova, size, flags);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Unmaps ({@code vfio_dma_do_unmap}): v2 removes every mapping inside the range and refuses to
   * cut one; v1 removes every mapping whose first byte is inside. Holes are no error.
   *
   * @param mm who asks; 5.10 lets nobody unmap what another process mapped
   * @param iova first address, page aligned
   * @param size bytes, page aligned; 0 with {@link #UNMAP_ALL}
   * @param flags {@link #UNMAP_DIRTY}, {@link #UNMAP_ALL}, {@link #UNMAP_VADDR}
   * @param bitmap where dirty bits of what goes are put, from {@code iova} on, at least one bit for
   *     each page; not looked at without {@link #UNMAP_DIRTY}
   * @param bitmapPageSize bytes of a page in {@code bitmap}
   * @return bytes unmapped, or invalidated
   * @throws VfioException EINVAL, EBUSY (VADDR with mediated devices), EOVERFLOW (7.x, wraps).
   *     Nothing has changed then. What an IOMMU that is a kernel's answers if it refuses to unmap:
   *     those mappings stay, their memory must, and the others of the range are gone.
   */
  public long unmap(
      AddressSpace mm, long iova, long size, int flags, long[] bitmap, long bitmapPageSize) {
    Watch.Unmap watched = watch.unmap();
    long bytes;
    lock.lock();
    try {
      bytes = unmapping.unmap(watched, mm, iova, size, flags, bitmap, bitmapPageSize);
    } finally {
      lock.unlock();
    }
    watched.done(iova, bytes);
    return bytes;
  }

  /** Unmaps a range, without dirty bits. */
  public long unmap(AddressSpace mm, long iova, long size) {
    return unmap(mm, iova, size, 0, new long[0], 0);
  }

  /**
   * Starts dirty page tracking; again is fine.
   *
   * @throws VfioException EACCES on v1, EINVAL if a mapping is too large to be tracked
   */
  public void startDirtyTracking() {
    type.checkTracksDirtyPages();
    locked(dirty::start);
  }

  /**
   * Stops dirty page tracking; again is fine.
   *
   * @throws VfioException EACCES on v1
   */
  public void stopDirtyTracking() {
    type.checkTracksDirtyPages();
    locked(dirty::stop);
  }

  /**
   * Reads and clears dirty bits ({@code vfio_iova_dirty_bitmap}).
   *
   * @param iova first address, page aligned; no mapping may be cut
   * @param size bytes, page aligned
   * @param pageSize bytes of a page, the smallest of {@link Info#pageSizes}
   * @param bitmap at least one bit for each page; words are written whole
   * @throws VfioException EACCES on v1; EINVAL, also for a bitmap that is too small; from 7.x
   *     EOVERFLOW for a range that wraps
   */
  public void dirtyBitmap(long iova, long size, long pageSize, long[] bitmap) {
    locked(
        () -> {
          rules.checkBitmap(iova, size, pageSize, bitmap);
          dirty.read(iova, size, bitmap);
        });
  }

  /**
   * Registers the driver of an attached mediated device: only who can be told of an unmap may pin.
   *
   * @throws VfioException ENODEV if the group is not attached here
   */
  public void onUnmap(IommuGroup group, UnmapListener listener) {
    locked(
        () -> {
          checkAttached(group);
          unmapping.ask(group, listener);
        });
  }

  /**
   * Pins pages for the driver of a mediated device ({@code vfio_iommu_type1_pin_pages}).
   *
   * @param group the device's group
   * @param pages IOVAs of whole pages, at most 512
   * @param prot {@link Mapping#READ}, {@link Mapping#WRITE} or both
   * @throws VfioException E2BIG, ENODEV (not attached), EINVAL (more than one device, nobody to
   *     tell of unmaps, nothing mapped), EACCES (v1), EPERM (not mapped for that), EFAULT, ENOMEM,
   *     EBUSY (address being updated). Nothing is pinned then.
   */
  public void pin(IommuGroup group, List<Long> pages, int prot) {
    locked(
        () -> {
          pins.checkCount(pages);
          checkAttached(group);
          pins.check(group, type, unmapping.asksAnybody());
          pins.pin(group, pages, prot);
          attachments.find(group).ifPresent(attachments::scopePinned);
        });
  }

  /**
   * Unpins pages once each. A page that was never pinned is fine; one that is not mapped ends it.
   *
   * @return how many pages were mapped
   * @throws VfioException EINVAL if the first is not mapped
   */
  public int unpin(IommuGroup group, List<Long> pages) {
    return locked(
        () -> {
          checkAttached(group);
          int done = pins.unpin(group, pages);
          if (done == 0 && !pages.isEmpty()) {
            throw new VfioException(
                Errno.EINVAL,
                Reason.NO_MAPPING,
                "nothing is mapped at IOVA 0x%x".formatted(pages.getFirst()));
          }
          return done;
        });
  }

  /**
   * Unpins whatever the driver of a group has pinned in a range of bytes, as often as it did. Pins
   * of other drivers stay.
   *
   * @throws VfioException ENODEV if the group is not attached here
   */
  public void unpinAll(IommuGroup group, long iova, long size) {
    locked(
        () -> {
          checkAttached(group);
          pins.unpinAll(group, iova, size);
        });
  }

  private void checkAttached(IommuGroup group) {
    if (attachments.find(group).isEmpty()) {
      throw new VfioException(
          Errno.ENODEV, Reason.GROUP_STATE, group + " is not attached to " + name);
    }
  }

  /**
   * The port through which a plain mediated device does its DMA: it sees the container's mappings
   * with no IOMMU in between.
   *
   * @param device the name that faults are reported under
   */
  public DmaPort emulatedPort(String device, Consumer<DmaFault> faults) {
    return new DmaPort(
        device,
        mappings.emulated(),
        fault -> {
          events.faulted(fault.device(), fault.iova(), fault.length(), fault.access());
          faults.accept(fault);
        });
  }

  /** The domain that the group is on, if an IOMMU serves it. */
  public Optional<IommuDomain> domainOf(IommuGroup group) {
    return entry(group).domain.map(d -> d.hardware);
  }

  private Attachment entry(IommuGroup group) {
    return attachments
        .find(group)
        .orElseThrow(() -> new IllegalArgumentException(group + " is not attached to " + name));
  }

  private void locked(Runnable call) {
    lock.lock();
    try {
      call.run();
    } finally {
      lock.unlock();
    }
  }

  /** With the lock left, which this thread holds once. */
  private void unlocked(Runnable call) {
    lock.unlock();
    try {
      call.run();
    } finally {
      lock.lock();
    }
  }

  private <T> T locked(Supplier<T> call) {
    lock.lock();
    try {
      return call.get();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public String toString() {
    return "container of " + name;
  }
}
