// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.Refusal;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.iommu.MapSource;
import org.vfio4j.linux.uapi.ContainerCalls;
import org.vfio4j.linux.uapi.VfioConstants;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.type1.Type1;
import org.vfio4j.vfio.Vfio;

/**
 * A domain that is a container of the kernel. It has one from its first attach to its last detach,
 * since SET_IOMMU needs a group; what the IOMMU can do is known from then on.
 */
final class LinuxDomain implements IommuDomain {
  private static final System.Logger LOG = System.getLogger(LinuxDomain.class.getName());
  private static final int DMA_CC = 4;

  /** An unmap of whole mappings is refused by no rule; this is for faults that pass. */
  private static final int UNMAP_ATTEMPTS = 3;

  private int type = Type1.V2.number();
  private Optional<ContainerCalls> container = Optional.empty();
  private final MappedFiles files = new MappedFiles();
  private int groups;

  /** Whether a group that has left is still in the kernel's container. */
  private boolean lingered;

  private IovaRange aperture = IovaRange.ALL;
  private long pageSizes = -4096;
  private boolean coherent;
  private boolean closed;

  /** While what another process has mapped becomes this one's. */
  private Optional<KeptMappings> resuming = Optional.empty();

  private final List<LinuxDomain> allResuming;

  /**
   * A domain without groups.
   *
   * @param allResuming where one that takes over what another process has mapped adds itself
   */
  LinuxDomain(List<LinuxDomain> allResuming) {
    this.allResuming = allResuming;
  }

  /** The container that the groups of this domain are in. */
  Optional<ContainerCalls> container() {
    return container;
  }

  /**
   * Makes a container with one group in it this domain's.
   *
   * @throws VfioException what SET_IOMMU answers; the container may have its type then or not, and
   *     is not this domain's
   */
  void start(ContainerCalls fresh) {
    fresh.setIommu(type);
    learn(fresh);
    container = Optional.of(fresh);
    groups = 1;
    lingered = false;
  }

  /**
   * Makes a container this domain's that another process has left, with one of its groups. What is
   * mapped in it stays, and devices go on reaching it, while {@link #map} gives each range the
   * address that it has in this process.
   *
   * @throws VfioException what the kernel answers; the container is not this domain's then
   */
  void resume(ContainerCalls kept) {
    learn(kept);
    resuming = Optional.of(new KeptMappings(kept));
    container = Optional.of(kept);
    groups = 1;
    lingered = false;
    allResuming.add(this);
  }

  /** What is mapped from now on is new. */
  void resumed() {
    resuming.ifPresent(KeptMappings::end);
    resuming = Optional.empty();
  }

  /** One more group has entered the container. */
  void joined() {
    groups++;
    relearn();
  }

  /**
   * A group has left the container; with the last one it goes, and all mappings with it.
   *
   * @param lingers whether the kernel still has the group in the container
   */
  void left(boolean lingers) {
    groups--;
    lingered |= lingers;
    if (groups == 0) {
      if (lingered) {
        unmapAll();
      }
      end();
    } else {
      relearn();
    }
  }

  /**
   * A group that lingers keeps the kernel's container, and what is mapped in it, when its
   * descriptor is closed: the device must reach it no more. Before 5.12 the kernel knows no flag
   * for it.
   */
  private void unmapAll() {
    try {
      try {
        attached().unmap(0, 0, VfioConstants.VFIO_DMA_UNMAP_FLAG_ALL);
      } catch (VfioException unknown) {
        attached().unmap(0, Long.MIN_VALUE, 0);
      }
    } catch (RuntimeException refused) {
      LOG.log(
          Level.ERROR,
          "a device that somebody has open still reaches what was mapped for it: "
              + refused.getMessage());
    }
  }

  private void learn(ContainerCalls from) {
    Vfio.IommuInfo info = from.info();
    boolean snoops = from.extension(DMA_CC);
    pageSizes = info.pageSizes();
    coherent = snoops;
    aperture =
        info.capabilities().stream()
            .filter(Vfio.Capability.Ranges.class::isInstance)
            .map(c -> ((Vfio.Capability.Ranges) c).ranges())
            .filter(r -> !r.isEmpty())
            .findFirst()
            .map(r -> new IovaRange(r.getFirst().start(), r.getLast().last()))
            .orElse(IovaRange.ALL);
  }

  /** The groups of one container may differ in what they can; what was known before still holds. */
  private void relearn() {
    try {
      container.ifPresent(this::learn);
    } catch (RuntimeException refused) {
      LOG.log(Level.WARNING, "what a container can do now is unknown: " + refused.getMessage());
    }
  }

  @Override
  public void attach(IommuGroup group) {
    live();
    LinuxIommu.linux(group).attach(this);
  }

  @Override
  public void detach(IommuGroup group) {
    live();
    LinuxIommu.linux(group).detach(this);
  }

  @Override
  public void attachAux(Device parent) {
    throw LinuxIommu.noAux(parent);
  }

  @Override
  public void detachAux(Device parent) {
    // None was ever attached.
  }

  /** MAP_DMA of the memory's address: the kernel pins it and counts it. */
  @Override
  public void map(long iova, MapSource source, int prot) {
    ContainerCalls to = attached();
    switch (source) {
      case MapSource.Memory(MemorySegment memory) ->
          resuming.ifPresentOrElse(
              left -> left.map(memory.address(), iova, memory.byteSize(), prot),
              () -> to.map(memory.address(), iova, memory.byteSize(), prot));
      case FileMemory.Range file -> files.map(to, iova, file, prot);
      case MapSource.File file ->
          throw new IllegalArgumentException("not a file of FileMemory: " + file);
      case MapSource.Imagined imagined ->
          throw new IllegalArgumentException("a kernel maps no memory without bytes: " + imagined);
    }
  }

  private ContainerCalls attached() {
    if (container.isEmpty()) {
      throw new IllegalStateException("no group is attached to the domain");
    }
    return container.get();
  }

  /** UNMAP_DMA. Without a container there is nothing left to unmap. */
  @Override
  public long unmap(long iova, long size) {
    if (container.isEmpty()) {
      return 0;
    }
    for (int attempt = 1; ; attempt++) {
      try {
        long unmapped = container.get().unmap(iova, size, 0);
        files.close(iova, size);
        return unmapped;
      } catch (VfioException refused) {
        if (attempt == UNMAP_ATTEMPTS) {
          throw kept(iova, size, refused.errno(), refused.reason(), refused);
        }
      } catch (SystemCallException refused) {
        if (attempt == UNMAP_ATTEMPTS) {
          throw kept(iova, size, Errno.EIO, Reason.NOT_SUPPORTED, refused);
        }
      }
    }
  }

  /** The kernel keeps the range: whoever owns the memory must know, and so must the operator. */
  private static VfioException kept(
      long iova, long size, Errno errno, Reason reason, RuntimeException refused) {
    String message =
        ("0x%x bytes at IOVA 0x%x stay mapped, and their memory is still the devices', until they"
                + " are unmapped or the last group has left: %s")
            .formatted(size, iova, refused.getMessage());
    LOG.log(Level.ERROR, message);
    VfioException told =
        new VfioException(
            new Refusal(
                errno, reason, "VFIO_IOMMU_UNMAP_DMA", message, List.of(), Optional.empty()));
    told.initCause(refused);
    return told;
  }

  @Override
  public IovaRange aperture() {
    return aperture;
  }

  @Override
  public long pageSizes() {
    return pageSizes;
  }

  @Override
  public boolean coherent() {
    return coherent;
  }

  @Override
  public void enableNesting() {
    if (container.isPresent()) {
      throw new VfioException(
          Errno.EINVAL, Reason.CONTAINER_STATE, "the container has its type already");
    }
    type = Type1.NESTING.number();
  }

  /**
   * A container of the kernel takes any group: it keeps what differs apart by itself. Two that
   * another process has left stay two: a group is not moved while its device is in use.
   */
  @Override
  public boolean compatible(IommuDomain other) {
    return other instanceof LinuxDomain d
        && d.type == type
        && !(resuming.isPresent() && d.resuming.isPresent());
  }

  @Override
  public void prepareMsi(long base) {
    // The kernel has done so at the attach.
  }

  @Override
  public void close() {
    live();
    closed = true;
    end();
  }

  private void end() {
    container.ifPresent(ContainerCalls::close);
    container = Optional.empty();
    files.closeAll();
  }

  private void live() {
    if (closed) {
      throw new IllegalStateException("use of a freed domain");
    }
  }
}
