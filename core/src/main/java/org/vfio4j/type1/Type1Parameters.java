// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

/** The module parameters of vfio_iommu_type1, as a machine's operator may change them any time. */
public final class Type1Parameters {
  /** The kernel's default for {@link #entryLimit()}. */
  public static final int DEFAULT_ENTRY_LIMIT = 65535;

  private volatile boolean allowUnsafeInterrupts;
  private volatile boolean viableBackingOnly = true;
  private volatile int entryLimit = DEFAULT_ENTRY_LIMIT;

  /** Whether groups without interrupt isolation are accepted. */
  public boolean allowUnsafeInterrupts() {
    return allowUnsafeInterrupts;
  }

  /** Sets {@code allow_unsafe_interrupts}. */
  public void allowUnsafeInterrupts(boolean allow) {
    allowUnsafeInterrupts = allow;
  }

  /**
   * Whether, on kernels without DMA ownership, a wrapped device is refused while a host driver uses
   * a member of its backing group. It is, unless the seed is to be followed to the letter, which
   * does not ask.
   */
  public boolean viableBackingOnly() {
    return viableBackingOnly;
  }

  /** Sets {@link #viableBackingOnly()}; no kernel has this parameter. */
  public void viableBackingOnly(boolean only) {
    viableBackingOnly = only;
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
