// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay;

import java.util.List;
import org.vfio4j.vfio.Vfio;

/**
 * Where a script runs: the user API of one process, and around it that process's memory and limits,
 * the machine's drivers and sysfs. One implementation for each back end. What is refused throws
 * {@link org.vfio4j.error.VfioException}.
 */
public interface Environment extends AutoCloseable {
  /** Bytes of the process's buffer. */
  long BUFFER_SIZE = 64L << 20;

  /** What the buffer holds before anything is written to it. */
  byte BUFFER_FILL = 1;

  /** The user API. */
  Vfio vfio();

  /** Address of the buffer, page aligned, in this process. */
  long buffer();

  /** Fills part of the buffer. */
  void poke(long offset, byte value, long length);

  /** Four bytes of the buffer. */
  byte[] peek(long offset);

  /** Sets RLIMIT_MEMLOCK, in bytes. */
  void memlock(long bytes);

  /** Takes or gives back a capability; 14 is CAP_IPC_LOCK, 17 is CAP_SYS_RAWIO. */
  void capability(int number, boolean on);

  /** VmLck, in KiB. */
  long lockedKib();

  /** The driver of a device, {@code none} without one. */
  String driver(String device);

  /** Binds a driver, {@code none} to unbind only; false if the kernel would wait for a user. */
  boolean bind(String device, String driver);

  /** Writes to a file of sysfs; false if the kernel would wait for a user. */
  boolean write(String path, String text);

  /** The lines of a file of sysfs. */
  List<String> cat(String path);

  /** Has an edu device copy 16 bytes from one IOVA to another; a fault is no error. */
  void eduDma(int deviceFd, long from, long to);

  /** Closes every descriptor, as the end of a process does; the environment can be used again. */
  void closeAll();

  @Override
  void close();
}
