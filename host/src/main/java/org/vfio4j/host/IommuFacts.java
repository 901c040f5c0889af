// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.List;
import java.util.Optional;
import org.vfio4j.iommu.ReservedRegion;

/**
 * What the source says the machine's IOMMU can do, and how VFIO is set up over it. With several
 * units the weakest counts.
 *
 * @param interruptRemapping whether interrupt remapping is on; without it type1 refuses with EPERM
 * @param cacheCoherency whether the IOMMU can force DMA to snoop the caches (VT-d snoop control)
 * @param addressWidth width of an IOVA in bits, 1 to 64
 * @param pageSizes page sizes in bytes that it maps, ascending
 * @param allowUnsafeInterrupts parameter of vfio_iommu_type1
 * @param dmaEntryLimit parameter of vfio_iommu_type1: mappings a container may hold
 * @param rmrrs ranges that firmware wants mapped 1:1, of the host as a whole; the source need not
 *     say for which functions
 */
public record IommuFacts(
    Optional<Boolean> interruptRemapping,
    Optional<Boolean> cacheCoherency,
    Optional<Integer> addressWidth,
    Optional<List<Long>> pageSizes,
    Optional<Boolean> allowUnsafeInterrupts,
    Optional<Long> dmaEntryLimit,
    Optional<List<ReservedRegion>> rmrrs) {

  /** Nothing known. */
  public static final IommuFacts UNKNOWN =
      new IommuFacts(
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          Optional.empty());

  /** The same with interrupt remapping on or off. */
  public IommuFacts withInterruptRemapping(boolean on) {
    return new IommuFacts(
        Optional.of(on),
        cacheCoherency,
        addressWidth,
        pageSizes,
        allowUnsafeInterrupts,
        dmaEntryLimit,
        rmrrs);
  }

  /** The same with VFIO accepting interrupts that are not remapped, or not. */
  public IommuFacts withAllowUnsafeInterrupts(boolean allowed) {
    return new IommuFacts(
        interruptRemapping,
        cacheCoherency,
        addressWidth,
        pageSizes,
        Optional.of(allowed),
        dmaEntryLimit,
        rmrrs);
  }

  /** The same with so many mappings allowed in a container. */
  public IommuFacts withDmaEntryLimit(long limit) {
    return new IommuFacts(
        interruptRemapping,
        cacheCoherency,
        addressWidth,
        pageSizes,
        allowUnsafeInterrupts,
        Optional.of(limit),
        rmrrs);
  }

  /** What this and another part of the same source say; where they differ, the other counts. */
  IommuFacts and(IommuFacts other) {
    return new IommuFacts(
        other.interruptRemapping.or(() -> interruptRemapping),
        other.cacheCoherency.or(() -> cacheCoherency),
        other.addressWidth.or(() -> addressWidth),
        other.pageSizes.or(() -> pageSizes),
        other.allowUnsafeInterrupts.or(() -> allowUnsafeInterrupts),
        other.dmaEntryLimit.or(() -> dmaEntryLimit),
        other.rmrrs.or(() -> rmrrs));
  }

  /** Copies the lists and checks the width. */
  public IommuFacts {
    pageSizes = pageSizes.map(l -> l.stream().sorted().distinct().toList());
    rmrrs = rmrrs.map(List::copyOf);
    addressWidth.ifPresent(
        w -> {
          if (w < 1 || w > 64) {
            throw new IllegalArgumentException("address width out of range: " + w);
          }
        });
  }
}
