// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

/**
 * A DMA that the IOMMU stopped.
 *
 * @param device who asked, by name
 * @param iova the first address it asked for
 * @param length how many bytes, at least 1
 * @param access {@link Mapping#READ} or {@link Mapping#WRITE}
 * @param cause why it was stopped
 */
public record DmaFault(String device, long iova, long length, int access, Cause cause) {
  /** Why a translation ends. */
  public enum Cause {
    /** Nothing is mapped there, or the device is attached to nothing. */
    NOT_MAPPED,
    /** Mapped, but not for this access. */
    NO_PERMISSION,
    /** Mapped, but its owner has taken the memory away, or does not answer for it. */
    MEMORY_GONE
  }

  @Override
  public String toString() {
    return "DMA %s by %s of %d bytes at IOVA 0x%x: %s"
        .formatted(
            access == Mapping.WRITE ? "write" : "read",
            device,
            length,
            iova,
            switch (cause) {
              case NOT_MAPPED -> "nothing is mapped there";
              case NO_PERMISSION -> "no permission";
              case MEMORY_GONE -> "its owner has taken the memory away";
            });
  }
}
