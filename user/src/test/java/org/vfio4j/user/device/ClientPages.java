// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import static org.vfio4j.posix.testing.OpenDescriptors.number;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;

/** The memory of a device's user: a file, mapped here as the user would have it. */
public final class ClientPages implements AutoCloseable {
  private static final SystemCalls CALLS = SystemCalls.libc();

  private final Descriptor file;
  private final MappedMemory mapped;

  private ClientPages(Descriptor file, long size) {
    this.file = file;
    mapped = MappedMemory.ofFile(file, 0, size, Constants.PROT_READ | Constants.PROT_WRITE);
  }

  /** A file that cannot shrink any more, as QEMU's is. */
  public static ClientPages sealed(long size) {
    return new ClientPages(Memfd.sealed(CALLS, "sealed", size), size);
  }

  /** A file that the user can shrink at any time. */
  public static ClientPages unsealed(long size) {
    return new ClientPages(Memfd.create(CALLS, "unsealed", size), size);
  }

  /** The file, to be mapped. */
  public Optional<Descriptor> file() {
    return Optional.of(file);
  }

  /** What the user sees. */
  public MemorySegment segment() {
    return mapped.segment();
  }

  /** Shrinks the file under everybody's feet, or lets it grow again. */
  public void truncate(long size) {
    SystemCallException.check(CALLS.ftruncate(number(file), size), "ftruncate");
  }

  @Override
  public void close() {
    mapped.close();
    file.close();
  }
}
