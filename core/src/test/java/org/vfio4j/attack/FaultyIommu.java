// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.IdentityHashMap;
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

/**
 * Stands between the VFIO core and its IOMMU: counts the calls and has a chosen one fail, as
 * hardware and allocators do. Calls that give something back never fail.
 */
final class FaultyIommu implements Iommu {
  /** The calls that can fail. */
  enum Call {
    ACQUIRE,
    ALLOCATE,
    ALLOCATE_AUX,
    HOLD,
    CLAIM,
    VIABLE,
    REGIONS,
    INTERRUPTS,
    ATTACH,
    ATTACH_AUX,
    MAP,
    NESTING,
    MSI
  }

  private final Iommu real;
  private final Map<IommuDomain, IommuDomain> faulty = new IdentityHashMap<>();
  private final Map<Call, Integer> injected = new EnumMap<>(Call.class);
  private final Map<Call, Integer> seen = new EnumMap<>(Call.class);

  private int countdown;
  private int repeat;
  private Errno errno = Errno.ENOMEM;
  private int calls;
  private int moves;
  private Optional<Call> fired = Optional.empty();

  FaultyIommu(Iommu real) {
    this.real = real;
  }

  /**
   * Has calls fail from now on.
   *
   * @param nth which of the next calls that can fail is the first to do so; 0 for none
   * @param count how many in a row
   */
  void arm(int nth, int count, Errno answer) {
    countdown = nth;
    repeat = count;
    errno = answer;
    fired = Optional.empty();
    calls = 0;
    moves = 0;
  }

  /** Calls that can fail, since {@link #arm}. */
  int calls() {
    return calls;
  }

  /** Hardware attaches and detaches, since {@link #arm}. */
  int moves() {
    return moves;
  }

  /** The last call that failed, since {@link #arm}. */
  Optional<Call> fired() {
    return fired;
  }

  Map<Call, Integer> injected() {
    return injected;
  }

  Map<Call, Integer> seen() {
    return seen;
  }

  private void may(Call call) {
    calls++;
    seen.merge(call, 1, Integer::sum);
    if (countdown == 0) {
      return;
    }
    if (countdown == 1) {
      repeat--;
      countdown = repeat > 0 ? 1 : 0;
      fired = Optional.of(call);
      injected.merge(call, 1, Integer::sum);
      throw new VfioException(errno, Reason.NO_MEMORY, "injected into " + call);
    }
    countdown--;
  }

  /** The domain as SoftIommu knows it. */
  static IommuDomain real(IommuDomain domain) {
    return domain instanceof Domain d ? d.target : domain;
  }

  private IommuDomain wrap(IommuDomain domain) {
    return faulty.computeIfAbsent(domain, Domain::new);
  }

  @Override
  public Optional<IommuGroup> acquireGroup(Device device) {
    may(Call.ACQUIRE);
    return real.acquireGroup(device);
  }

  @Override
  public void release(IommuGroup group) {
    real.release(group);
  }

  @Override
  public IommuDomain allocate(IommuGroup group) {
    may(Call.ALLOCATE);
    return wrap(real.allocate(group));
  }

  @Override
  public IommuDomain allocateAux(Device parent) {
    may(Call.ALLOCATE_AUX);
    return wrap(real.allocateAux(parent));
  }

  @Override
  public void hold(IommuGroup group, Owner owner) {
    may(Call.HOLD);
    real.hold(group, owner);
  }

  @Override
  public void unhold(IommuGroup group, Owner owner) {
    real.unhold(group, owner);
  }

  @Override
  public void claim(IommuGroup group) {
    may(Call.CLAIM);
    real.claim(group);
  }

  @Override
  public void unclaim(IommuGroup group) {
    real.unclaim(group);
  }

  @Override
  public boolean viable(IommuGroup group) {
    may(Call.VIABLE);
    return real.viable(group);
  }

  @Override
  public List<ReservedRegion> reservedRegions(IommuGroup group) {
    may(Call.REGIONS);
    return real.reservedRegions(group);
  }

  @Override
  public boolean isolatesInterrupts(Device device) {
    may(Call.INTERRUPTS);
    return real.isolatesInterrupts(device);
  }

  /** A domain whose calls are counted and can fail. */
  private final class Domain implements IommuDomain {
    private final IommuDomain target;

    Domain(IommuDomain target) {
      this.target = target;
    }

    @Override
    public void attach(IommuGroup group) {
      may(Call.ATTACH);
      moves++;
      target.attach(group);
    }

    @Override
    public void detach(IommuGroup group) {
      moves++;
      target.detach(group);
    }

    @Override
    public void attachAux(Device parent) {
      may(Call.ATTACH_AUX);
      moves++;
      target.attachAux(parent);
    }

    @Override
    public void detachAux(Device parent) {
      moves++;
      target.detachAux(parent);
    }

    @Override
    public void map(long iova, MemorySegment memory, int prot) {
      may(Call.MAP);
      target.map(iova, memory, prot);
    }

    @Override
    public long unmap(long iova, long size) {
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
      may(Call.NESTING);
      target.enableNesting();
    }

    @Override
    public boolean compatible(IommuDomain other) {
      return target.compatible(real(other));
    }

    @Override
    public void prepareMsi(long base) {
      may(Call.MSI);
      target.prepareMsi(base);
    }

    @Override
    public void close() {
      faulty.remove(target);
      target.close();
    }
  }
}
