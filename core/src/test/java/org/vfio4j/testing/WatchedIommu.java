// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.testing;

import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.GroupState;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.iommu.MapSource;
import org.vfio4j.iommu.ReservedRegion;

/**
 * An IOMMU that hands every call on to another and tells its subclass of each that changes
 * something or can fail; the subclass counts, or throws instead.
 */
public abstract class WatchedIommu implements Iommu {
  /** The calls, those that may fail first. */
  public enum Call {
    ACQUIRE,
    ALLOCATE,
    ALLOCATE_AUX,
    OPEN,
    CLAIM,
    VIABLE,
    REGIONS,
    INTERRUPTS,
    ATTACH,
    ATTACH_AUX,
    MAP,
    NESTING,
    MSI,
    DETACH,
    DETACH_AUX,
    UNMAP,
    CLOSE;

    /** Those that give nothing back, so that they may fail. */
    public static final Set<Call> FALLIBLE =
        Collections.unmodifiableSet(EnumSet.range(ACQUIRE, MSI));
  }

  private final Iommu target;

  protected WatchedIommu(Iommu target) {
    this.target = target;
  }

  /**
   * Before a call is handed on. What it throws is thrown to the caller, and nothing is handed on.
   *
   * @param on the group or device that the call is about, or the domain
   */
  protected void before(Call call, Object on) {}

  /** After a call has succeeded. */
  protected void after(Call call, Object on) {}

  /** The page sizes that a domain tells, where its own are these. */
  protected long pageSizes(long real) {
    return real;
  }

  /** The domain of the IOMMU behind this one. */
  public static IommuDomain real(IommuDomain domain) {
    return domain instanceof Domain watched ? watched.target : domain;
  }

  @Override
  public final Optional<IommuGroup> acquireGroup(Device device) {
    before(Call.ACQUIRE, device);
    return target.acquireGroup(device);
  }

  @Override
  public final void release(IommuGroup group) {
    target.release(group);
  }

  @Override
  public final IommuDomain allocate(IommuGroup group) {
    before(Call.ALLOCATE, group);
    return new Domain(target.allocate(group));
  }

  @Override
  public final IommuDomain allocateAux(Device parent) {
    before(Call.ALLOCATE_AUX, parent);
    return new Domain(target.allocateAux(parent));
  }

  @Override
  public final void open(IommuGroup group) {
    before(Call.OPEN, group);
    target.open(group);
  }

  @Override
  public final void close(IommuGroup group) {
    target.close(group);
  }

  @Override
  public final GroupState state(IommuGroup group) {
    return target.state(group);
  }

  @Override
  public final void onFree(IommuGroup group, Runnable then) {
    target.onFree(group, then);
  }

  @Override
  public final void settle() {
    target.settle();
  }

  @Override
  public final void claim(IommuGroup group) {
    before(Call.CLAIM, group);
    target.claim(group);
  }

  @Override
  public final void unclaim(IommuGroup group) {
    target.unclaim(group);
  }

  @Override
  public final boolean viable(IommuGroup group) {
    before(Call.VIABLE, group);
    return target.viable(group);
  }

  @Override
  public final List<ReservedRegion> reservedRegions(IommuGroup group) {
    before(Call.REGIONS, group);
    return target.reservedRegions(group);
  }

  @Override
  public final boolean isolatesInterrupts(Device device) {
    before(Call.INTERRUPTS, device);
    return target.isolatesInterrupts(device);
  }

  private final class Domain implements IommuDomain {
    private final IommuDomain target;

    Domain(IommuDomain target) {
      this.target = target;
    }

    @Override
    public void attach(IommuGroup group) {
      before(Call.ATTACH, group);
      target.attach(group);
      after(Call.ATTACH, group);
    }

    @Override
    public void detach(IommuGroup group) {
      before(Call.DETACH, group);
      target.detach(group);
      after(Call.DETACH, group);
    }

    @Override
    public void attachAux(Device parent) {
      before(Call.ATTACH_AUX, parent);
      target.attachAux(parent);
      after(Call.ATTACH_AUX, parent);
    }

    @Override
    public void detachAux(Device parent) {
      before(Call.DETACH_AUX, parent);
      target.detachAux(parent);
      after(Call.DETACH_AUX, parent);
    }

    @Override
    public void map(long iova, MapSource source, int prot) {
      before(Call.MAP, this);
      target.map(iova, source, prot);
    }

    @Override
    public long unmap(long iova, long size) {
      before(Call.UNMAP, this);
      return target.unmap(iova, size);
    }

    @Override
    public IovaRange aperture() {
      return target.aperture();
    }

    @Override
    public long pageSizes() {
      return WatchedIommu.this.pageSizes(target.pageSizes());
    }

    @Override
    public boolean coherent() {
      return target.coherent();
    }

    @Override
    public void enableNesting() {
      before(Call.NESTING, this);
      target.enableNesting();
    }

    @Override
    public boolean compatible(IommuDomain other) {
      return target.compatible(real(other));
    }

    @Override
    public void prepareMsi(long base) {
      before(Call.MSI, base);
      target.prepareMsi(base);
    }

    @Override
    public void close() {
      before(Call.CLOSE, this);
      target.close();
    }
  }
}
