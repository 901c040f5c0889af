// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

/**
 * What the IOMMU in front of a group can do.
 *
 * @param driver its driver; domains are shared between groups of one driver only
 * @param addressBits width of an IOVA in bits, 1 to 64
 * @param pageSizes page sizes in bytes, one bit each
 * @param coherent whether DMA can be forced to snoop the caches
 * @param interruptRemapping whether interrupts are remapped
 * @param nesting whether it translates in two stages
 * @param defaultDomain whether its groups have a domain for the host's own DMA
 * @param pasids PASIDs it can hand out to aux domains
 */
public record IommuUnit(
    String driver,
    int addressBits,
    long pageSizes,
    boolean coherent,
    boolean interruptRemapping,
    boolean nesting,
    boolean defaultDomain,
    int pasids) {

  private static final String INTEL = "intel-iommu";

  /** The IOMMU that QEMU's {@code intel-iommu} is: 48 bits, interrupt remapping on. */
  public static final IommuUnit VT_D =
      new IommuUnit(INTEL, 48, 0x40201000L, false, true, false, true, 1 << 20);

  /** No IOMMU: where a mediated device's own group sits. */
  public static final IommuUnit NONE =
      new IommuUnit("none", 64, 0x1000L, true, true, false, false, 0);

  /** Checks the width and that a page size is there. */
  public IommuUnit {
    if (addressBits < 1 || addressBits > 64) {
      throw new IllegalArgumentException("address width: bits=" + addressBits + ", max=64");
    }
    if (pageSizes == 0) {
      throw new IllegalArgumentException("an IOMMU needs a page size");
    }
  }

  /** Whether it is a VT-d. */
  public boolean intel() {
    return driver.equals(INTEL);
  }

  /** The same, with these page sizes. */
  public IommuUnit withPageSizes(long sizes) {
    return new IommuUnit(
        driver, addressBits, sizes, coherent, interruptRemapping, nesting, defaultDomain, pasids);
  }

  /** The same, this wide. */
  public IommuUnit withAddressBits(int bits) {
    return new IommuUnit(
        driver, bits, pageSizes, coherent, interruptRemapping, nesting, defaultDomain, pasids);
  }

  /** The same, coherent or not. */
  public IommuUnit withCoherent(boolean value) {
    return new IommuUnit(
        driver, addressBits, pageSizes, value, interruptRemapping, nesting, defaultDomain, pasids);
  }

  /** The same, with or without interrupt remapping. */
  public IommuUnit withInterruptRemapping(boolean value) {
    return new IommuUnit(
        driver, addressBits, pageSizes, coherent, value, nesting, defaultDomain, pasids);
  }

  /** The same, with or without nesting. */
  public IommuUnit withNesting(boolean value) {
    return new IommuUnit(
        driver, addressBits, pageSizes, coherent, interruptRemapping, value, defaultDomain, pasids);
  }

  /** The same, with or without default domains. */
  public IommuUnit withDefaultDomain(boolean value) {
    return new IommuUnit(
        driver, addressBits, pageSizes, coherent, interruptRemapping, nesting, value, pasids);
  }

  /** The same, with that many PASIDs. */
  public IommuUnit withPasids(int count) {
    return new IommuUnit(
        driver,
        addressBits,
        pageSizes,
        coherent,
        interruptRemapping,
        nesting,
        defaultDomain,
        count);
  }
}
