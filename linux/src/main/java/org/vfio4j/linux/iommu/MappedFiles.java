// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import java.util.TreeMap;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.linux.uapi.ContainerCalls;
import org.vfio4j.linux.uapi.KernelRefusal;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCallException;

/**
 * The files that a container of type1 has mapped for devices: MAP_DMA takes an address, so each is
 * in this process's memory for as long as devices may reach it. The domain's owner covers it.
 */
final class MappedFiles {
  private final TreeMap<Long, MappedMemory> byIova = new TreeMap<>(Long::compareUnsigned);

  /**
   * Maps part of a file into this process and from there into a container.
   *
   * @throws org.vfio4j.error.VfioException what {@code mmap(2)} or MAP_DMA answers; nothing is
   *     mapped then
   */
  void map(ContainerCalls container, long iova, FileMemory.Range file, int prot) {
    MappedMemory memory = mapped(file, prot);
    try {
      memory.dontDump();
      container.map(memory.address(), iova, file.size(), prot);
    } catch (RuntimeException refused) {
      memory.close();
      throw refused;
    }
    byIova.put(iova, memory);
  }

  private static MappedMemory mapped(FileMemory.Range file, int prot) {
    boolean write = (prot & Mapping.WRITE) != 0;
    int protection = write ? Constants.PROT_READ | Constants.PROT_WRITE : Constants.PROT_READ;
    try {
      return MappedMemory.ofFile(file.file(), file.offset(), file.size(), protection);
    } catch (SystemCallException refused) {
      throw KernelRefusal.of(refused.errno(), "mmap", file.toString());
    }
  }

  /** Ends what was mapped in a range that no device reaches any more. */
  void close(long iova, long size) {
    var gone = byIova.subMap(iova, true, iova + size - 1, true);
    gone.values().forEach(MappedMemory::close);
    gone.clear();
  }

  /** Ends all of it: the container is closed. */
  void closeAll() {
    byIova.values().forEach(MappedMemory::close);
    byIova.clear();
  }
}
