// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import java.lang.foreign.MemorySegment;

/**
 * One mapped range of a domain: what a leaf of its {@link PageTable} points to. Immutable, so a
 * device that found it may check and use it without a lock; the memory stays the caller's, and must
 * outlive every use of the mapping.
 */
public final class Mapping {

  /** Permission for a device to read. */
  public static final int READ = 1;

  /** Permission for a device to write. */
  public static final int WRITE = 2;

  /** What a lookup of an unmapped IOVA answers: size 0, no permission, every check fails on it. */
  public static final Mapping NONE = new Mapping();

  private final long iova;
  private final long size;
  private final int prot;
  private final MemorySegment memory;
  private final long start;

  /**
   * A mapping of {@code size} bytes of {@code memory}, from its start.
   *
   * @param iova first address, unsigned, aligned to the pages of the table it is for
   * @param size bytes, above 0, aligned likewise; the range may end at 2<sup>64</sup>, not beyond
   * @param memory what the range stands for, at least {@code size} bytes
   * @param prot {@link #READ}, {@link #WRITE}, both or none
   * @throws IllegalArgumentException if one of these does not hold
   */
  public Mapping(long iova, long size, MemorySegment memory, int prot) {
    this(iova, size, memory, 0, prot);
  }

  /**
   * A mapping of a part of memory that many mappings share: where there are thousands, a segment of
   * each one's own would be one more thing in memory that every access waits for.
   *
   * @param iova first address, unsigned, aligned to the pages of the table it is for
   * @param size bytes, above 0, aligned likewise; the range may end at 2<sup>64</sup>, not beyond
   * @param memory what holds the range, at least {@code start + size} bytes
   * @param start where in it the range begins, in bytes
   * @param prot {@link #READ}, {@link #WRITE}, both or none
   * @throws IllegalArgumentException if one of these does not hold
   */
  public Mapping(long iova, long size, MemorySegment memory, long start, int prot) {
    this(iova, size, prot, memory, start);
    if (start < 0 || memory.byteSize() - start < size) {
      throw new IllegalArgumentException(
          "memory too small: size=0x%x, start=0x%x, memory=0x%x"
              .formatted(size, start, memory.byteSize()));
    }
  }

  /** Whether the memory holds the range is for the caller to know. */
  private Mapping(long iova, long size, int prot, MemorySegment memory, long start) {
    if (size <= 0 || Long.compareUnsigned(iova, -size) > 0) {
      throw new IllegalArgumentException("not a range: iova=0x%x, size=0x%x".formatted(iova, size));
    }
    if ((prot & ~(READ | WRITE)) != 0) {
      throw new IllegalArgumentException("unknown permission: prot=0x%x".formatted(prot));
    }
    this.iova = iova;
    this.size = size;
    this.prot = prot;
    this.memory = memory;
    this.start = start;
  }

  /**
   * A mapping of memory that has no bytes: {@link #memory()} is empty, and whoever accesses it gets
   * an {@link IndexOutOfBoundsException}.
   *
   * @throws IllegalArgumentException as for a constructor
   */
  static Mapping imagined(long iova, long size, int prot) {
    return new Mapping(iova, size, prot, MemorySegment.NULL, 0);
  }

  private Mapping() {
    iova = 0;
    size = 0;
    prot = 0;
    memory = MemorySegment.NULL;
    start = 0;
  }

  /** First address, unsigned. */
  public long iova() {
    return iova;
  }

  /** Length in bytes, above 0 but for {@link #NONE}. */
  public long size() {
    return size;
  }

  /**
   * What holds the range: byte {@link #offset} of it is the byte at an IOVA. It may be more than
   * the range, so an access is checked against the mapping and not left to this.
   */
  public MemorySegment memory() {
    return memory;
  }

  /** {@link #READ} and {@link #WRITE}, or'ed. */
  public int prot() {
    return prot;
  }

  /**
   * Whether all of {@code [iova, iova + length)} lies inside and every bit of {@code access} is
   * granted. No overflow can make it true: the range is compared, never added up.
   *
   * @param iova first address, unsigned
   * @param length bytes, above 0 (else the answer is false)
   * @param access {@link #READ}, {@link #WRITE} or both
   */
  public boolean allows(long iova, long length, int access) {
    return length > 0
        && length <= size
        && Long.compareUnsigned(iova - this.iova, size - length) <= 0
        && (prot & access) == access;
  }

  /** The offset in {@link #memory()}, in bytes, of an address inside the mapping. */
  public long offset(long iova) {
    return start + (iova - this.iova);
  }

  /** How many bytes there are from an address inside the mapping to its end. */
  public long left(long iova) {
    return size - (iova - this.iova);
  }

  /** The part {@code [iova, iova + size)} of this mapping as one of its own. */
  Mapping part(long iova, long size) {
    return new Mapping(iova, size, prot, memory, offset(iova));
  }

  @Override
  public String toString() {
    return "Mapping[iova=0x%x, size=0x%x, prot=%d]".formatted(iova, size, prot);
  }
}
