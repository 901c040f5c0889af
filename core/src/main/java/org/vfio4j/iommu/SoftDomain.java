// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;

/** A domain of {@link SoftIommu}: a page table in the heap and who translates by it. */
final class SoftDomain implements IommuDomain {
  private final SoftIommu iommu;
  private final IommuUnit unit;
  private final PageTable table;
  private final Set<SoftGroup> groups = new LinkedHashSet<>();
  private final Map<Device, Translation> pasids = new LinkedHashMap<>();
  private boolean closed;

  SoftDomain(SoftIommu iommu, IommuUnit unit) {
    this.iommu = iommu;
    this.unit = unit;
    this.table = new PageTable(unit.addressBits(), unit.pageSizes());
  }

  PageTable table() {
    return table;
  }

  /** Groups on this domain, by the group's account. */
  void join(SoftGroup group) {
    groups.add(group);
  }

  void leave(SoftGroup group) {
    groups.remove(group);
  }

  /** Whether a device behind {@code other} can walk these tables. */
  void checkUnit(IommuUnit other, Device device) {
    boolean usable =
        other.driver().equals(unit.driver())
            && other.addressBits() >= unit.addressBits()
            && (other.pageSizes() & unit.pageSizes()) == unit.pageSizes();
    if (!usable) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.APERTURE,
          "the IOMMU of %s cannot use tables of %d bits"
              .formatted(device.name(), unit.addressBits()),
          device.name());
    }
  }

  @Override
  public void attach(IommuGroup group) {
    live();
    iommu.soft(group).attach(this);
  }

  @Override
  public void detach(IommuGroup group) {
    live();
    iommu.soft(group).detach();
  }

  @Override
  public void attachAux(Device parent) {
    live();
    if (iommu.present(parent).attachAux(this, parent) == 1) {
      Translation requests = new Translation();
      requests.set(table);
      pasids.put(parent, requests);
    }
  }

  @Override
  public void detachAux(Device parent) {
    live();
    int left = iommu.find(parent).map(g -> g.detachAux(this, parent)).orElse(0);
    if (left == 0) {
      Translation requests = pasids.remove(parent);
      if (requests != null) {
        requests.block();
      }
    }
  }

  Translation pasid(Device parent) {
    Translation requests = pasids.get(parent);
    if (requests == null) {
      throw new IllegalStateException(parent.name() + " has no PASID on this domain");
    }
    return requests;
  }

  /** What devices may do where a caller asked for this. */
  private int allowed(int prot) {
    boolean readableToo = iommu.profile().writeOnlyReadable() && unit.intel();
    return readableToo && (prot & Mapping.WRITE) != 0 ? prot | Mapping.READ : prot;
  }

  @Override
  public void map(long iova, MapSource source, int prot) {
    live();
    checkMemory(source);
    long last = iova + source.size() - 1;
    if (!aperture().contains(iova, last)) {
      throw new VfioException(
          Errno.EFAULT,
          Reason.APERTURE,
          "IOVA 0x%x to 0x%x is beyond %d bits".formatted(iova, last, unit.addressBits()));
    }
    try {
      table.map(mapping(iova, source, allowed(prot)));
    } catch (IllegalStateException overlap) {
      throw new VfioException(
          Errno.EEXIST,
          Reason.MAPPING_EXISTS,
          "the domain maps something in 0x%x to 0x%x".formatted(iova, last));
    }
  }

  /** The tables are in the heap, and so is the code that walks them: it reads memory only. */
  private static void checkMemory(MapSource source) {
    if (source instanceof MapSource.File file) {
      throw new VfioException(
          Errno.ENODEV,
          Reason.NOT_SUPPORTED,
          "an IOMMU in software maps memory, no files: 0x%x bytes at offset 0x%x"
              .formatted(file.size(), file.offset()));
    }
  }

  private static Mapping mapping(long iova, MapSource source, int prot) {
    return source instanceof MapSource.Memory(MemorySegment segment)
        ? new Mapping(iova, segment.byteSize(), segment, prot)
        : Mapping.imagined(iova, source.size(), prot);
  }

  @Override
  public long unmap(long iova, long size) {
    live();
    return table.unmap(iova, size);
  }

  @Override
  public IovaRange aperture() {
    return IovaRange.ofWidth(unit.addressBits());
  }

  @Override
  public long pageSizes() {
    return unit.pageSizes();
  }

  @Override
  public boolean coherent() {
    return unit.coherent();
  }

  @Override
  public void enableNesting() {
    if (!unit.nesting()) {
      throw new VfioException(
          iommu.profile().nestingRefused(),
          Reason.NOT_SUPPORTED,
          "the IOMMU does not translate in two stages");
    }
  }

  @Override
  public boolean compatible(IommuDomain other) {
    return other instanceof SoftDomain d
        && d.unit.driver().equals(unit.driver())
        && d.coherent() == coherent();
  }

  @Override
  public void prepareMsi(long base) {
    live();
  }

  @Override
  public void close() {
    live();
    closed = true;
    groups.forEach(g -> g.evict(this));
    iommu.freed();
  }

  private void live() {
    if (closed) {
      throw new IllegalStateException("use of a freed domain");
    }
  }
}
