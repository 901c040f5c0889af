// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.model;

import java.lang.foreign.MemorySegment;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.iommu.ReservedRegion;

/** An IOMMU that counts what is done to its hardware. */
final class CountedIommu implements Iommu {
  private final Iommu real;
  private final Map<IommuGroup, Integer> attaches = new IdentityHashMap<>();
  private int aux;
  private int touched;

  CountedIommu(Iommu real) {
    this.real = real;
  }

  /** Attaches of a group that were not undone. */
  int attaches(IommuGroup group) {
    return attaches.getOrDefault(group, 0);
  }

  /** Attaches of PASIDs that were not undone. */
  int aux() {
    return aux;
  }

  /** Attaches and detaches of groups ever. */
  int touched() {
    return touched;
  }

  /** The domain of the real IOMMU behind one of these. */
  static IommuDomain real(IommuDomain counted) {
    return ((Counted) counted).domain;
  }

  @Override
  public IommuDomain allocate(IommuGroup group) {
    return new Counted(real.allocate(group));
  }

  @Override
  public IommuDomain allocateAux(Device parent) {
    return new Counted(real.allocateAux(parent));
  }

  @Override
  public Optional<IommuGroup> acquireGroup(Device device) {
    return real.acquireGroup(device);
  }

  @Override
  public void release(IommuGroup group) {
    real.release(group);
  }

  @Override
  public void hold(IommuGroup group, Owner owner) {
    real.hold(group, owner);
  }

  @Override
  public void unhold(IommuGroup group, Owner owner) {
    real.unhold(group, owner);
  }

  @Override
  public void claim(IommuGroup group) {
    real.claim(group);
  }

  @Override
  public void unclaim(IommuGroup group) {
    real.unclaim(group);
  }

  @Override
  public boolean viable(IommuGroup group) {
    return real.viable(group);
  }

  @Override
  public List<ReservedRegion> reservedRegions(IommuGroup group) {
    return real.reservedRegions(group);
  }

  @Override
  public boolean isolatesInterrupts(Device device) {
    return real.isolatesInterrupts(device);
  }

  private final class Counted implements IommuDomain {
    private final IommuDomain domain;

    Counted(IommuDomain domain) {
      this.domain = domain;
    }

    @Override
    public void attach(IommuGroup group) {
      domain.attach(group);
      attaches.merge(group, 1, Integer::sum);
      touched++;
    }

    @Override
    public void detach(IommuGroup group) {
      domain.detach(group);
      attaches.merge(group, -1, Integer::sum);
      touched++;
    }

    @Override
    public void attachAux(Device parent) {
      domain.attachAux(parent);
      aux++;
    }

    @Override
    public void detachAux(Device parent) {
      domain.detachAux(parent);
      aux--;
    }

    @Override
    public void map(long iova, MemorySegment memory, int prot) {
      domain.map(iova, memory, prot);
    }

    @Override
    public long unmap(long iova, long size) {
      return domain.unmap(iova, size);
    }

    @Override
    public IovaRange aperture() {
      return domain.aperture();
    }

    @Override
    public long pageSizes() {
      return domain.pageSizes();
    }

    @Override
    public boolean coherent() {
      return domain.coherent();
    }

    @Override
    public void enableNesting() {
      domain.enableNesting();
    }

    @Override
    public boolean compatible(IommuDomain other) {
      return domain.compatible(real(other));
    }

    @Override
    public void prepareMsi(long base) {
      domain.prepareMsi(base);
    }

    @Override
    public void close() {
      domain.close();
    }
  }
}
