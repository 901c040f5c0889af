// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;
import static org.vfio4j.posix.testing.OpenDescriptors.number;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.user.device.ClientPages;

/** What hostile clients hand to a server, and a secret that it can read and must not write. */
final class HostileGifts implements AutoCloseable {
  private static final SystemCalls CALLS = SystemCalls.libc();
  private static final int MEMORY = 1 << 18;
  private static final int SECRET = 1 << 16;
  private static final byte CANARY = 0x5a;

  private final ClientPages sealed = ClientPages.sealed(MEMORY);
  private final ClientPages unsealed = ClientPages.unsealed(MEMORY);
  private final Descriptor little = Memfd.create(CALLS, "hostile, too short", 4096);
  private final Descriptor secret = Memfd.create(CALLS, "secret", SECRET);
  private final MappedMemory canary =
      MappedMemory.ofFile(secret, 0, SECRET, Constants.PROT_READ | Constants.PROT_WRITE);
  private final Descriptor readOnly =
      Descriptor.open(CALLS, "/proc/self/fd/" + number(secret), Constants.O_RDONLY);
  private final EventFd event = EventFd.create(CALLS);
  private final EventFd full = full();
  private final Descriptor pipe;
  private final Descriptor none = Descriptor.open(CALLS, "/dev/null", Constants.O_RDWR);
  private final Arena arena = Arena.ofShared();
  private final MemorySegment expected = arena.allocate(SECRET);

  /**
   * Makes them.
   *
   * @param pipe where a pipe is made, and removed at once
   */
  HostileGifts(Path pipe) throws IOException, InterruptedException {
    this.pipe = pipe(pipe);
    expected.fill(CANARY);
    canary.segment().copyFrom(expected);
  }

  private static Descriptor pipe(Path path) throws IOException, InterruptedException {
    assertThat(new ProcessBuilder("mkfifo", path.toString()).start().waitFor()).isZero();
    try {
      return Descriptor.open(CALLS, path.toString(), Constants.O_RDWR | Constants.O_NONBLOCK);
    } finally {
      Files.delete(path);
    }
  }

  /** Who signals it finds a counter that takes no more, and would wait until it does. */
  private static EventFd full() {
    int fd = SystemCallException.check(CALLS.eventfd(0, Constants.EFD_CLOEXEC), "eventfd");
    try (Arena local = Arena.ofConfined()) {
      MemorySegment most = local.allocateFrom(ValueLayout.JAVA_LONG, -2L);
      SystemCallException.check(CALLS.write(fd, most, Long.BYTES), "write");
    }
    return EventFd.of(new Descriptor(CALLS, fd, "full eventfd"));
  }

  /**
   * What clients hand over: memory that stays, memory that can shrink, memory that is too short,
   * memory that is not to be written, an eventfd, one that is full and blocks, a pipe, and nothing
   * useful.
   */
  List<Descriptor> descriptors() {
    return List.of(
        sealed.file().orElseThrow(),
        unsealed.file().orElseThrow(),
        little,
        readOnly,
        event.descriptor(),
        full.descriptor(),
        pipe,
        none);
  }

  /** Lets the memory that can shrink have so many pages; all of them is 64. */
  void truncate(int pages) {
    unsealed.truncate(Math.min((long) pages << 12, MEMORY));
  }

  /** Nobody has written to what was never given for writing. */
  void check() {
    assertThat(expected.mismatch(canary.segment())).as("first byte changed").isEqualTo(-1);
  }

  @Override
  public void close() {
    sealed.close();
    unsealed.close();
    little.close();
    readOnly.close();
    canary.close();
    secret.close();
    event.close();
    full.close();
    pipe.close();
    none.close();
    arena.close();
  }
}
