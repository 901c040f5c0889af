// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.GroupPrincipal;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.UserPrincipal;
import java.util.Optional;
import java.util.Set;

/**
 * A socket in the file system that others connect to. Its file is there under its final permissions
 * before anybody can connect, and goes with {@link #close}. What a killed process left behind is
 * replaced; a socket that somebody listens on is not. Two processes that begin at the same path at
 * the same time are told apart by a lock on a file beside it, {@code PATH.lock}, which goes with
 * the socket.
 */
public final class UnixListener implements AutoCloseable {
  private static final int BACKLOG = 16;

  private final Descriptor descriptor;
  private final PathLock lock;
  private final Path path;
  private final Object fileKey;

  private UnixListener(Descriptor descriptor, PathLock lock, Path path, Object fileKey) {
    this.descriptor = descriptor;
    this.lock = lock;
    this.path = path;
    this.fileKey = fileKey;
  }

  /**
   * Listens at a path.
   *
   * @param permissions who may connect: writing is what counts
   * @throws SystemCallException EADDRINUSE if somebody listens there or the file is no socket;
   *     ENOENT without the folder; EACCES
   * @throws IllegalArgumentException if the path is longer than a socket's can be
   */
  public static UnixListener bind(
      SystemCalls calls, Path path, Set<PosixFilePermission> permissions) {
    return bind(calls, path, new Access(permissions, Optional.empty(), Optional.empty()));
  }

  /**
   * Who may connect: the socket file's permissions and owners.
   *
   * @param permissions writing is what counts
   * @param owner absent for the process' own
   * @param group absent for the process' own
   */
  public record Access(
      Set<PosixFilePermission> permissions,
      Optional<UserPrincipal> owner,
      Optional<GroupPrincipal> group) {}

  /**
   * Listens at a path whose file belongs to somebody.
   *
   * @param access who may connect
   * @throws SystemCallException EADDRINUSE if somebody listens there or the file is no socket;
   *     ENOENT without the folder; EACCES
   * @throws UncheckedIOException if this process may not give a file to that user or group
   * @throws IllegalArgumentException if the path is longer than a socket's can be
   */
  public static UnixListener bind(SystemCalls calls, Path path, Access access) {
    PathLock lock = PathLock.take(calls, path);
    boolean done = false;
    try {
      removeStale(calls, path);
      UnixListener listener = bind(calls, lock, path, access);
      done = true;
      return listener;
    } finally {
      if (!done) {
        lock.close();
      }
    }
  }

  /**
   * Goes on where another process has listened, and has left its socket.
   *
   * @param listening the socket, which is this object's from now on; still the caller's if this
   *     throws
   * @param path where it is
   * @throws SystemCallException EADDRINUSE if another process has the path; ENOENT if the file has
   *     gone, so that nobody can connect
   */
  public static UnixListener resume(Descriptor listening, Path path) {
    PathLock lock = PathLock.take(listening.calls(), path);
    boolean done = false;
    try {
      UnixListener listener = new UnixListener(listening, lock, path, key(path));
      done = true;
      return listener;
    } catch (NoSuchFileException e) {
      throw new SystemCallException("listen on " + path, ErrnoNames.ENOENT);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      if (!done) {
        lock.close();
      }
    }
  }

  /** The descriptor, which stays this object's. */
  public Descriptor descriptor() {
    return descriptor;
  }

  private static UnixListener bind(SystemCalls calls, PathLock lock, Path path, Access access) {
    Descriptor socket = UnixSocket.ofType(calls, Constants.SOCK_STREAM, path.toString());
    boolean bound = false;
    boolean done = false;
    try (Arena arena = Arena.ofConfined();
        Descriptor.Use use = socket.use()) {
      MemorySegment address = UnixAddress.of(arena, path);
      int result = calls.bind(use.number(), address, (int) address.byteSize());
      SystemCallException.check(result, "bind to " + path);
      bound = true;
      // Nobody can connect before listen: no moment with other permissions than these.
      PosixFileAttributeView file = Files.getFileAttributeView(path, PosixFileAttributeView.class);
      if (access.group().isPresent()) {
        file.setGroup(access.group().get());
      }
      file.setPermissions(access.permissions());
      if (access.owner().isPresent()) {
        file.setOwner(access.owner().get());
      }
      SystemCallException.check(calls.listen(use.number(), BACKLOG), "listen on " + path);
      UnixListener listener = new UnixListener(socket, lock, path, key(path));
      done = true;
      return listener;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      if (!done) {
        socket.close();
        if (bound) {
          path.toFile().delete();
        }
      }
    }
  }

  /** Removes a socket that nobody listens on. */
  private static void removeStale(SystemCalls calls, Path path) {
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    try {
      boolean other =
          Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
              .isOther();
      if (!other) {
        throw new SystemCallException(
            "bind to %s, which is no socket".formatted(path), ErrnoNames.EADDRINUSE);
      }
      try (UnixSocket _ = UnixSocket.connect(calls, path)) {
        throw new SystemCallException(
            "bind to %s, where somebody listens".formatted(path), ErrnoNames.EADDRINUSE);
      } catch (SystemCallException e) {
        if (e.errno() != ErrnoNames.ECONNREFUSED) {
          throw e;
        }
      }
      Files.deleteIfExists(path);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Object key(Path path) throws IOException {
    return String.valueOf(
        Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS).fileKey());
  }

  /** Where it is. */
  public Path path() {
    return path;
  }

  /**
   * Waits for somebody to connect.
   *
   * @throws SystemCallException EINVAL after {@link #shutdown}; EBADF after {@link #close}; EMFILE
   */
  public UnixSocket accept() {
    int fd;
    try (Descriptor.Use use = descriptor.use()) {
      do {
        fd = descriptor.calls().accept(use.number(), Constants.SOCK_CLOEXEC);
      } while (fd == -ErrnoNames.EINTR);
    }
    SystemCallException.check(fd, "accept on " + path);
    return new UnixSocket(new Descriptor(descriptor.calls(), fd, "peer of " + path));
  }

  /** Wakes who waits in {@link #accept}, which then throws EINVAL. */
  public void shutdown() {
    descriptor.shutdown();
  }

  /** Stops listening and removes the file, if it is still this socket's. */
  @Override
  public void close() {
    if (!descriptor.isOpen()) {
      return;
    }
    descriptor.close();
    try {
      if (Files.exists(path, LinkOption.NOFOLLOW_LINKS) && key(path).equals(fileKey)) {
        Files.deleteIfExists(path);
      }
    } catch (IOException _) {
      // Whoever removed it first, or took the right to: the socket itself is closed.
    } finally {
      lock.close();
    }
  }
}
