// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Optional;
import org.vfio4j.iommu.ReservedRegion;

/** Text forms of reserved regions. */
final class Regions {

  private Regions() {}

  /** The region from two hex numbers without prefix; empty if it is inverted. */
  static Optional<ReservedRegion> of(String start, String last, ReservedRegion.Type type) {
    long from = Long.parseUnsignedLong(start, 16);
    long to = Long.parseUnsignedLong(last, 16);
    return Long.compareUnsigned(from, to) > 0
        ? Optional.empty()
        : Optional.of(new ReservedRegion(from, to, type));
  }
}
