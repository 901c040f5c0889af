// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Collections;
import java.util.OptionalLong;
import java.util.Set;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.PathLock;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;

/**
 * The folder of a VM's sockets, and of this process alone as long as it serves the VM: a lock
 * beside it says whose it is. Both go with it. The sockets are the VM's user's, the folder is not:
 * who may put links into it could have this process write anywhere.
 */
final class VmFolder implements AutoCloseable {
  /** Nobody else may write to one of these, whatever the umask allows. */
  private static final Set<PosixFilePermission> ALL_VMS =
      PosixFilePermissions.fromString("rwxr-xr-x");

  private static final Set<PosixFilePermission> ONE_VM =
      PosixFilePermissions.fromString("rwx--x--x");

  private final PathLock lock;
  private final Path folder;

  private VmFolder(PathLock lock, Path folder) {
    this.lock = lock;
    this.folder = folder;
  }

  /**
   * Takes it. What a process that was killed left behind is taken over.
   *
   * @param vm the VM's name, for messages
   * @param base the folder of all VMs' folders, which is made where it is missing
   * @throws RefusedException if another process serves that VM, or it cannot be made
   */
  static VmFolder take(String vm, Path base, String name) {
    Path folder = base.resolve(name);
    try {
      base(vm, base);
      PathLock lock = lock(vm, folder);
      boolean done = false;
      try {
        Files.createDirectories(folder, PosixFilePermissions.asFileAttribute(ONE_VM));
        checkOwn(vm, folder);
        Files.setPosixFilePermissions(folder, ONE_VM);
        done = true;
        return new VmFolder(lock, folder);
      } finally {
        if (!done) {
          lock.close();
        }
      }
    } catch (FileAlreadyExistsException e) {
      throw new RefusedException(
          "%s: no folder for its sockets: %s is there already, and is no folder"
              .formatted(vm, e.getFile()));
    } catch (IOException e) {
      throw new RefusedException(
          "%s: no folder for its sockets at %s: %s".formatted(vm, folder, OutputFile.reason(e)));
    }
  }

  /**
   * Makes the folder of all VMs' folders where it is missing.
   *
   * @param vm for whom, for messages
   * @throws RefusedException if it is there, and others may write to it
   */
  static void base(String vm, Path base) throws IOException {
    boolean made = !Files.exists(base, LinkOption.NOFOLLOW_LINKS);
    Files.createDirectories(base, PosixFilePermissions.asFileAttribute(ALL_VMS));
    if (made) {
      // However strict the umask: each VM's user looks for its folder there.
      Files.setPosixFilePermissions(base, ALL_VMS);
    }
    checkOwn(vm, base);
  }

  /** A folder that others may write to is theirs. */
  private static void checkOwn(String vm, Path folder) throws IOException {
    PosixFileAttributes found =
        Files.readAttributes(folder, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    Set<PosixFilePermission> others =
        Set.of(PosixFilePermission.GROUP_WRITE, PosixFilePermission.OTHERS_WRITE);
    if (!found.isDirectory()
        || !found.owner().equals(Files.getOwner(Path.of("/proc/self")))
        || !Collections.disjoint(found.permissions(), others)) {
      throw new RefusedException(
          "%s: %s is a link, or another user's, or may be written by others: choose another --folder"
              .formatted(vm, folder));
    }
  }

  private static PathLock lock(String vm, Path folder) {
    try {
      return PathLock.take(SystemCalls.libc(), folder);
    } catch (SystemCallException e) {
      if (e.errno() != ErrnoNames.EADDRINUSE) {
        throw new RefusedException("%s: %s".formatted(vm, e.getMessage()));
      }
      OptionalLong holder = PathLock.holder(folder);
      throw new RefusedException(
          "%s is served already, by %s: end it first, or give this one another --folder"
              .formatted(
                  vm, holder.isPresent() ? "process " + holder.getAsLong() : "another process"));
    }
  }

  /** Removes it if nothing is left in it. */
  @Override
  public void close() {
    try {
      Files.deleteIfExists(folder);
    } catch (DirectoryNotEmptyException _) {
      // Its user has put something there.
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      lock.close();
    }
  }
}
