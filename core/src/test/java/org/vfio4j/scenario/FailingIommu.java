// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.iommu.ReservedRegion;

/** An IOMMU that counts what it is asked, hands it on, and refuses the calls it was told to. */
final class FailingIommu implements Iommu {
  /** The calls, those that may fail first. */
  enum Call {
    ACQUIRE,
    ALLOCATE,
    HOLD,
    CLAIM,
    ATTACH,
    ATTACH_AUX,
    MAP,
    NESTING,
    PREPARE_MSI,
    DETACH,
    DETACH_AUX,
    UNMAP,
    CLOSE
  }

  private record Planned(Call call, int number) {}

  private final Iommu target;
  private final Map<Call, Integer> counts = new HashMap<>();
  private final Map<Planned, Errno> failures = new HashMap<>();
  private final List<Call> fallible = new ArrayList<>();
  private int failAt = -1;

  FailingIommu(Iommu target) {
    this.target = target;
  }

  /** Makes the n-th call of that kind from now, counted from 1, fail. */
  void fail(Call call, int nth, Errno errno) {
    failures.put(new Planned(call, calls(call) + nth), errno);
  }

  /** Makes the n-th fallible call of any kind from now, counted from 1, fail with ENOMEM. */
  void failAny(int nth) {
    failAt = fallible.size() + nth;
  }

  /** Takes back what was planned and has not happened. */
  void failNoMore() {
    failures.clear();
    failAt = -1;
  }

  /** Calls of that kind so far. */
  int calls(Call call) {
    return counts.getOrDefault(call, 0);
  }

  /** Calls so far that could have failed. */
  int fallibleCalls() {
    return fallible.size();
  }

  /** The domain behind one that this IOMMU handed out. */
  static IommuDomain real(IommuDomain domain) {
    return ((FailingDomain) domain).target;
  }

  private void mayFail(Call call) {
    counts.merge(call, 1, Integer::sum);
    fallible.add(call);
    Errno planned = failures.remove(new Planned(call, calls(call)));
    Errno errno = fallible.size() == failAt ? Errno.ENOMEM : planned;
    if (errno != null) {
      throw new VfioException(errno, Reason.NO_MEMORY, "planned: " + call);
    }
  }

  private void count(Call call) {
    counts.merge(call, 1, Integer::sum);
  }

  @Override
  public Optional<IommuGroup> acquireGroup(Device device) {
    mayFail(Call.ACQUIRE);
    return target.acquireGroup(device);
  }

  @Override
  public void release(IommuGroup group) {
    target.release(group);
  }

  @Override
  public IommuDomain allocate(IommuGroup group) {
    mayFail(Call.ALLOCATE);
    return new FailingDomain(target.allocate(group));
  }

  @Override
  public IommuDomain allocateAux(Device parent) {
    mayFail(Call.ALLOCATE);
    return new FailingDomain(target.allocateAux(parent));
  }

  @Override
  public void hold(IommuGroup group, Owner owner) {
    mayFail(Call.HOLD);
    target.hold(group, owner);
  }

  @Override
  public void unhold(IommuGroup group, Owner owner) {
    target.unhold(group, owner);
  }

  @Override
  public void claim(IommuGroup group) {
    mayFail(Call.CLAIM);
    target.claim(group);
  }

  @Override
  public void unclaim(IommuGroup group) {
    target.unclaim(group);
  }

  @Override
  public boolean viable(IommuGroup group) {
    return target.viable(group);
  }

  @Override
  public List<ReservedRegion> reservedRegions(IommuGroup group) {
    return target.reservedRegions(group);
  }

  @Override
  public boolean isolatesInterrupts(Device device) {
    return target.isolatesInterrupts(device);
  }

  private final class FailingDomain implements IommuDomain {
    private final IommuDomain target;

    FailingDomain(IommuDomain target) {
      this.target = target;
    }

    @Override
    public void attach(IommuGroup group) {
      mayFail(Call.ATTACH);
      target.attach(group);
    }

    @Override
    public void detach(IommuGroup group) {
      count(Call.DETACH);
      target.detach(group);
    }

    @Override
    public void attachAux(Device parent) {
      mayFail(Call.ATTACH_AUX);
      target.attachAux(parent);
    }

    @Override
    public void detachAux(Device parent) {
      count(Call.DETACH_AUX);
      target.detachAux(parent);
    }

    @Override
    public void map(long iova, MemorySegment memory, int prot) {
      mayFail(Call.MAP);
      target.map(iova, memory, prot);
    }

    @Override
    public long unmap(long iova, long size) {
      count(Call.UNMAP);
      return target.unmap(iova, size);
    }

    @Override
    public IovaRange aperture() {
      return target.aperture();
    }

    @Override
    public long pageSizes() {
      return target.pageSizes();
    }

    @Override
    public boolean coherent() {
      return target.coherent();
    }

    @Override
    public void enableNesting() {
      mayFail(Call.NESTING);
      target.enableNesting();
    }

    @Override
    public boolean compatible(IommuDomain other) {
      return target.compatible(real(other));
    }

    @Override
    public void prepareMsi(long base) {
      mayFail(Call.PREPARE_MSI);
      target.prepareMsi(base);
    }

    @Override
    public void close() {
      count(Call.CLOSE);
      target.close();
    }
  }
}
