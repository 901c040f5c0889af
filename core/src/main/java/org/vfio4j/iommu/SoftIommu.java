// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import java.util.ArrayDeque;
import java.util.Collections;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.vfio4j.profile.KernelProfile;

/**
 * An IOMMU in software: groups, domains with page tables in the heap, ownership, faults. It answers
 * as the kernel's IOMMU core of its profile does, and counts what it gives out, so that a leak can
 * be seen: the garbage collector frees none of it.
 */
public final class SoftIommu implements Iommu {
  private static final int FAULTS_KEPT = 256;

  private final KernelProfile profile;
  private final Map<Device, SoftGroup> groupOf = new ConcurrentHashMap<>();
  private final Map<Integer, SoftGroup> groups = Collections.synchronizedMap(new LinkedHashMap<>());
  private final AtomicInteger domains = new AtomicInteger();
  private final Deque<DmaFault> faults = new ArrayDeque<>();

  /** An IOMMU without groups. */
  public SoftIommu(KernelProfile profile) {
    this.profile = profile;
  }

  /**
   * What is out: anything above the baseline after everything was closed is a leak.
   *
   * @param domains domains not closed
   * @param references group references beyond one for each member
   * @param pasids PASIDs bound to domains
   * @param holds groups that are open for the address space that owns them
   * @param claims claims on groups' DMA
   */
  public record Census(int domains, int references, int pasids, int holds, int claims) {
    /** Nothing is out. */
    public static final Census EMPTY = new Census(0, 0, 0, 0, 0);
  }

  KernelProfile profile() {
    return profile;
  }

  /**
   * Adds a group behind {@code unit}.
   *
   * @throws IllegalArgumentException if the number is taken
   */
  public IommuGroup addGroup(int id, IommuUnit unit, List<ReservedRegion> regions) {
    SoftGroup group = new SoftGroup(id, unit, profile, regions);
    if (groups.putIfAbsent(id, group) != null) {
      throw new IllegalArgumentException("group " + id + " exists");
    }
    return group;
  }

  /** Puts a device into a group; it is then on what the host uses. */
  public void addDevice(IommuGroup group, Device device) {
    SoftGroup target = soft(group);
    if (groupOf.putIfAbsent(device, target) != null) {
      throw new IllegalArgumentException(device.name() + " is in a group");
    }
    target.add(device);
  }

  /** Takes a device away. A group without member or reference is gone. */
  public void removeDevice(Device device) {
    SoftGroup group = groupOf(device);
    group.remove(device);
    groupOf.remove(device);
    forget(group);
  }

  /** Groups that exist: those with members, and those that a leaked reference keeps. */
  public List<IommuGroup> groups() {
    synchronized (groups) {
      return List.copyOf(groups.values());
    }
  }

  /**
   * A driver that does DMA for the host binds to the device.
   *
   * @throws org.vfio4j.error.VfioException EBUSY while user space has the group
   */
  public void bindHostDriver(Device device) {
    SoftGroup group = groupOf.get(device);
    if (group != null) {
      group.bindHostDriver(device);
    }
  }

  /** It leaves again. */
  public void unbindHostDriver(Device device) {
    SoftGroup group = groupOf.get(device);
    if (group != null) {
      group.unbindHostDriver(device);
    }
  }

  /** Switches a function's aux domains ({@code iommu_dev_enable_feature}). */
  public void enableAux(Device device, boolean on) {
    SoftGroup group = groupOf.get(device);
    if (group != null) {
      group.enableAux(device, on);
    }
  }

  /** The port for the function's own requests. */
  public DmaPort port(Device device) {
    return new DmaPort(device.name(), groupOf(device).requests(device), this::report);
  }

  /** The port for what the parent sends with the PASID of {@code domain}. */
  public DmaPort port(Device parent, IommuDomain domain) {
    return new DmaPort(parent.name(), ((SoftDomain) domain).pasid(parent), this::report);
  }

  /** The latest faults, oldest first, 256 at most. */
  public List<DmaFault> faults() {
    synchronized (faults) {
      return List.copyOf(faults);
    }
  }

  /** Notes a fault of a device. */
  public void report(DmaFault fault) {
    synchronized (faults) {
      if (faults.size() == FAULTS_KEPT) {
        faults.removeFirst();
      }
      faults.addLast(fault);
    }
  }

  /** What is out now. */
  public Census census() {
    int references = 0;
    int pasids = 0;
    int opens = 0;
    int claims = 0;
    for (IommuGroup each : groups()) {
      SoftGroup group = soft(each);
      references += group.references() - group.devices().size();
      pasids += group.pasids();
      opens += group.opens();
      claims += group.ownership().claims();
    }
    return new Census(domains.get(), references, pasids, opens, claims);
  }

  /** The domain that translates the group's requests, if a user attached one. */
  public Optional<IommuDomain> domainOf(IommuGroup group) {
    return soft(group).domain().map(d -> d);
  }

  @Override
  public Optional<IommuGroup> acquireGroup(Device device) {
    SoftGroup group = groupOf.get(device);
    if (group == null) {
      return Optional.empty();
    }
    group.acquire();
    return Optional.of(group);
  }

  @Override
  public void release(IommuGroup group) {
    soft(group).release();
    forget(soft(group));
  }

  @Override
  public IommuDomain allocate(IommuGroup group) {
    return allocate(soft(group).unit());
  }

  @Override
  public IommuDomain allocateAux(Device parent) {
    return allocate(present(parent).unit());
  }

  private IommuDomain allocate(IommuUnit unit) {
    SoftDomain domain = new SoftDomain(this, unit);
    domains.incrementAndGet();
    return domain;
  }

  @Override
  public void open(IommuGroup group) {
    soft(group).open();
    soft(group).lingering().tell();
  }

  @Override
  public void close(IommuGroup group) {
    soft(group).close();
  }

  @Override
  public GroupState state(IommuGroup group) {
    GroupState state = soft(group).state();
    soft(group).lingering().tell();
    return state;
  }

  @Override
  public void onFree(IommuGroup group, Runnable then) {
    soft(group).lingering().await(then);
    state(group);
  }

  @Override
  public void settle() {
    groups().forEach(this::state);
  }

  /**
   * Somebody is handed a descriptor of a device, by whoever has its group: while he has it, the
   * group {@linkplain GroupState#LINGERING lingers} after it is given back.
   *
   * @return what closes the descriptor; once
   */
  public Runnable handOut(Device device) {
    SoftGroup group = present(device);
    group.handOut();
    return group::closeHandedOut;
  }

  @Override
  public void claim(IommuGroup group) {
    soft(group).checkClaim();
  }

  @Override
  public void unclaim(IommuGroup group) {
    // The count is the claim, and the count is the ownership's.
  }

  @Override
  public boolean viable(IommuGroup group) {
    return soft(group).viable();
  }

  @Override
  public List<ReservedRegion> reservedRegions(IommuGroup group) {
    return soft(group).regions();
  }

  @Override
  public boolean isolatesInterrupts(Device device) {
    return present(device).unit().interruptRemapping();
  }

  /** A domain was closed. */
  void freed() {
    domains.decrementAndGet();
  }

  private SoftGroup groupOf(Device device) {
    return find(device)
        .orElseThrow(() -> new IllegalStateException(device.name() + " is in no IOMMU group"));
  }

  Optional<SoftGroup> find(Device device) {
    return Optional.ofNullable(groupOf.get(device));
  }

  /** The group of a device that a user asks for: it may have been unplugged at any time. */
  SoftGroup present(Device device) {
    return find(device).orElseThrow(() -> SoftGroup.gone(device));
  }

  SoftGroup soft(IommuGroup group) {
    if (group instanceof SoftGroup soft) {
      return soft;
    }
    throw new IllegalArgumentException(group + " is not a group of this IOMMU");
  }

  private void forget(SoftGroup group) {
    if (group.references() == 0) {
      groups.remove(group.id(), group);
    }
  }
}
