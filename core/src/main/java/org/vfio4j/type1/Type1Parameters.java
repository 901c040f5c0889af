// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

/** The module parameters of vfio_iommu_type1, as a machine's operator may change them any time. */
public final class Type1Parameters {
  /** The kernel's default for {@link #entryLimit()}. */
  public static final int DEFAULT_ENTRY_LIMIT = 65535;

  private volatile boolean allowUnsafeInterrupts;
  private volatile int entryLimit = DEFAULT_ENTRY_LIMIT;

  /** Whether groups without interrupt isolation are accepted. */
  public boolean allowUnsafeInterrupts() {
    return allowUnsafeInterrupts;
  }

  /** Sets {@code allow_unsafe_interrupts}. */
  public void allowUnsafeInterrupts(boolean allow) {
    allowUnsafeInterrupts = allow;
  }

  /** Mappings a container may have, read when the container gets its IOMMU. */
  public int entryLimit() {
    return entryLimit;
  }

  /** Sets {@code dma_entry_limit}. */
  public void entryLimit(int limit) {
    entryLimit = limit;
  }
}
