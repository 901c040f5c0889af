// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import org.vfio4j.iommu.MapSource;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.type1.AddressSpace;

/** The bytes of a file, such as a memfd with the RAM of a VM, for devices to reach. */
public final class FileMemory {
  private FileMemory() {}

  /**
   * What {@link org.vfio4j.type1.Container#map} over a {@link LinuxIommu} takes in place of {@link
   * ProcessMemory}: an address of it is an offset in the file. While a range is mapped for devices
   * it is in this process's memory too, kept out of core dumps, and counts as what this process has
   * locked.
   *
   * <p>{@code map} refuses with EBADF what is closed, with EACCES what was not opened for reading,
   * or not for writing where devices are to write, and with ENODEV a file that no process can map.
   *
   * @param file stays the caller's, and open for as long as something of it is mapped: a group that
   *     comes later is given the same ranges again. A file that gets shorter leaves devices the
   *     pages that were pinned
   */
  public static AddressSpace of(Descriptor file) {
    return AddressSpace.pinnedByIommu((offset, size) -> new Range(file, offset, size));
  }

  /**
   * Part of the file.
   *
   * @param offset bytes from the start of the file
   * @param size bytes
   */
  record Range(Descriptor file, long offset, long size) implements MapSource.File {
    @Override
    public String toString() {
      return "0x%x bytes of %s at offset 0x%x".formatted(size, file.name(), offset);
    }
  }
}
