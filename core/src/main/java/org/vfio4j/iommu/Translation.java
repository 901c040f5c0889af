// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

/**
 * What translates a requester's DMA: an entry of the hardware's context or PASID table. Reading it
 * is one volatile load.
 */
public final class Translation {
  private static final PageTable BLOCKED = new PageTable(64, 0x1000L);

  private volatile PageTable table = BLOCKED;

  /** The tables now; empty ones where nothing is attached. */
  public PageTable table() {
    return table;
  }

  /** Points the requester at other tables. */
  public void set(PageTable next) {
    table = next;
  }

  /** Stops the requester: every access faults. */
  public void block() {
    table = BLOCKED;
  }
}
