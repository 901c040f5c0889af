// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

/** A device's DMA was stopped; nothing was transferred past the faulting address. */
public final class DmaFaultException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final transient DmaFault fault;

  /** Carries the fault. */
  public DmaFaultException(DmaFault fault) {
    super(fault.toString());
    this.fault = fault;
  }

  /** Who, where, why. */
  public DmaFault fault() {
    return fault;
  }
}
