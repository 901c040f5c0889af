// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Servers that begin at the same path (B9). */
@Timeout(60)
class UnixListenerTest {
  private static final SystemCalls CALLS = SystemCalls.libc();
  private static final Set<PosixFilePermission> OWNER =
      PosixFilePermissions.fromString("rw-------");

  @TempDir Path folder = Path.of("");

  /** B9: between bind and listen a socket refuses to connect, as one does that is left behind. */
  @Test
  void shouldNotReplaceASocketThatIsAboutToListen() throws Exception {
    Path path = folder.resolve("s");
    try (PathLock _ = PathLock.take(CALLS, path)) {
      assertThat(PathLock.holder(path)).hasValue(ProcessHandle.current().pid());
      Files.createFile(path);
      assertThatThrownBy(() -> UnixListener.bind(CALLS, path, OWNER))
          .isInstanceOfSatisfying(
              SystemCallException.class,
              e -> assertThat(e.errno()).isEqualTo(ErrnoNames.EADDRINUSE));
      assertThat(path).exists();
      Files.delete(path);
    }
    UnixListener.bind(CALLS, path, OWNER).close();
    assertThat(folder).as("nothing is left, no lock either").isEmptyDirectory();
  }

  /** Where others may write to the folder, the lock's file may be a link to any file. */
  @Test
  void shouldNotFollowALinkInPlaceOfItsLock() throws Exception {
    Path precious = Files.writeString(folder.resolve("precious"), "precious");
    Files.createSymbolicLink(folder.resolve("s.lock"), precious);
    assertThatThrownBy(() -> UnixListener.bind(CALLS, folder.resolve("s"), OWNER))
        .isInstanceOf(SystemCallException.class);
    assertThat(precious).hasContent("precious");
  }

  /** B9: of several that find a socket left behind, one listens, and the others are told. */
  @Test
  void shouldLetOneOfManyListen() throws Exception {
    Path path = folder.resolve("s");
    int servers = 4;
    try (ExecutorService threads = Executors.newFixedThreadPool(servers)) {
      for (int round = 0; round < 100; round++) {
        leaveBehind(path);
        Callable<Optional<UnixListener>> start = () -> start(path);
        List<Future<Optional<UnixListener>>> starting = new ArrayList<>();
        for (int n = 0; n < servers; n++) {
          starting.add(threads.submit(start));
        }
        List<UnixListener> started = new ArrayList<>();
        for (Future<Optional<UnixListener>> one : starting) {
          one.get().ifPresent(started::add);
        }
        assertThat(started).hasSize(1);
        UnixSocket.connect(CALLS, path).close();
        started.getFirst().close();
        assertThat(folder).isEmptyDirectory();
      }
    }
  }

  private static Optional<UnixListener> start(Path path) {
    try {
      return Optional.of(UnixListener.bind(CALLS, path, OWNER));
    } catch (SystemCallException e) {
      assertThat(e.errno()).isEqualTo(ErrnoNames.EADDRINUSE);
      return Optional.empty();
    }
  }

  /** As a killed process leaves it. */
  private static void leaveBehind(Path path) throws Exception {
    Path moved = path.resolveSibling("moved");
    UnixListener killed = UnixListener.bind(CALLS, path, OWNER);
    Files.move(path, moved);
    killed.close();
    Files.move(moved, path);
  }
}
