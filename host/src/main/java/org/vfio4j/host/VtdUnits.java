// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What the capability registers of Intel VT-d units say, over all units of a host: the weakest unit
 * counts. The meaning of the bits is that of the kernel's {@code drivers/iommu/intel/iommu.h}.
 */
final class VtdUnits {

  private static final int[] GUEST_WIDTH = {30, 39, 48, 57, 64};

  private boolean any;
  private boolean snoop = true;
  private int width = 64;
  private long superPages = 3;

  /** Adds a unit, by its {@code cap} and {@code ecap} registers in hex, as sysfs and dmesg do. */
  void add(String cap, String ecap) {
    add(Long.parseUnsignedLong(cap, 16), Long.parseUnsignedLong(ecap, 16));
  }

  private void add(long cap, long ecap) {
    any = true;
    snoop &= (ecap >> 7 & 1) != 0;
    int widest = 0;
    for (int i = 0; i < GUEST_WIDTH.length; i++) {
      if ((cap >> 8 + i & 1) != 0) {
        widest = GUEST_WIDTH[i];
      }
    }
    int maximum = (int) (cap >> 16 & 0x3f) + 1;
    width = Math.min(width, widest == 0 ? maximum : Math.min(maximum, widest));
    superPages &= cap >> 34 & 3;
  }

  /** The facts, where a unit was added, together with those that are known already. */
  IommuFacts merge(IommuFacts known) {
    if (!any) {
      return known;
    }
    List<Long> sizes = new ArrayList<>(List.of(4096L));
    if ((superPages & 1) != 0) {
      sizes.add(1L << 21);
    }
    if ((superPages & 2) != 0) {
      sizes.add(1L << 30);
    }
    return new IommuFacts(
        known.interruptRemapping(),
        Optional.of(snoop),
        Optional.of(width),
        Optional.of(sizes),
        known.allowUnsafeInterrupts(),
        known.dmaEntryLimit(),
        known.rmrrs());
  }
}
