// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.type1.Container;

/**
 * The files with RAM of a VM, each in this process's memory once for as long as a range is of it,
 * and in the store for who comes after this process. The lock of {@link VmMemory} covers them.
 */
final class RamFiles {
  private final VmSettings settings;
  private final SystemCalls calls;
  private final KeptDescriptors store;
  private final String prefix;
  private final Map<RamFile.Key, RamFile> files = new HashMap<>();
  private int last;

  /**
   * None yet.
   *
   * @param prefix of the names under which they are kept
   */
  RamFiles(VmSettings settings, SystemCalls calls, KeptDescriptors store, String prefix) {
    this.settings = settings;
    this.calls = calls;
    this.store = store;
    this.prefix = prefix;
  }

  /**
   * A use of a file for a range.
   *
   * @param mapped bytes of the VM's ranges besides
   * @throws VfioException ENOMEM beyond what the VM is to have, EINVAL, EACCES for what cannot be
   *     mapped
   */
  RamFile use(Descriptor file, FileStatus status, RamFile.Range range, long mapped) {
    if (mapped + range.size() > settings.memory()
        || status.length() > settings.memory() + Admission.SLACK) {
      throw new VfioException(
          Errno.ENOMEM,
          Reason.LOCKED_MEMORY,
          "the VM has more memory than the %d MiB that it is to have: give it no more, or say so"
              .formatted(settings.memory() >> 20));
    }
    RamFile.Key key = RamFile.Key.of(status);
    check(key, status.length(), range);
    RamFile there = files.get(key);
    if (there == null) {
      there = open(file, status);
    }
    there.use();
    return there;
  }

  private static void check(RamFile.Key key, long length, RamFile.Range range) {
    boolean inside =
        range.offset() >= 0
            && (range.offset() & 4095) == 0
            && range.size() <= RamFile.pages(length) - range.offset();
    if (!inside) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.BAD_ADDRESS,
          "0x%x bytes at 0x%x are not in a file of 0x%x"
              .formatted(range.size(), range.offset(), RamFile.pages(length)));
    }
    if (!key.writable() && (range.prot() & Container.MAP_WRITE) != 0) {
      throw new VfioException(
          Errno.EACCES, Reason.BAD_DESCRIPTOR, "memory to write to came read-only");
    }
  }

  private RamFile open(Descriptor file, FileStatus status) {
    Descriptor own = another(file, status);
    boolean done = false;
    try {
      store.hold(prefix + ++last, own);
      RamFile opened = RamFile.map(calls, own, status);
      files.put(opened.key, opened);
      done = true;
      return opened;
    } finally {
      if (!done) {
        own.close();
      }
    }
  }

  /**
   * The file opened anew, if that may be: systemd keeps the same open file only once, and several
   * VMs behind IOMMUs of one guest send the same.
   */
  private static Descriptor another(Descriptor file, FileStatus status) {
    try (Descriptor.Use use = file.use()) {
      int mode = status.writable() ? Constants.O_RDWR : Constants.O_RDONLY;
      return Descriptor.open(file.calls(), "/proc/self/fd/" + use.number(), mode);
    } catch (SystemCallException refused) {
      return file.duplicate();
    }
  }

  /**
   * Takes over a file that the process before has had, for no range yet.
   *
   * @param file kept, and this object's from now on
   * @param number in the name under which it is kept
   */
  void resume(Descriptor file, int number) {
    boolean done = false;
    try {
      FileStatus status = FileStatus.of(file);
      files.put(RamFile.Key.of(status), RamFile.map(calls, file, status));
      last = Math.max(last, number);
      done = true;
    } finally {
      if (!done) {
        file.close();
      }
    }
  }

  /** A file that was taken over, for one use more. */
  Optional<RamFile> resumed(RamFile.Key key) {
    Optional<RamFile> file = Optional.ofNullable(files.get(key));
    file.ifPresent(RamFile::use);
    return file;
  }

  /** Ends a use; with the last the file goes. */
  void release(RamFile file) {
    if (file.unuse()) {
      close(file);
    }
  }

  /** Gives back what was taken over for nothing. */
  void closeUnused() {
    files.values().stream().filter(RamFile::unused).toList().forEach(this::close);
  }

  private void close(RamFile file) {
    files.remove(file.key, file);
    file.close();
  }
}
