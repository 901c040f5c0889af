// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.Stream;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.SystemCalls;

/**
 * How much memory this process has locked and may lock, asked anew at each question. What cannot be
 * read counts as nothing locked, no limit and no privilege.
 *
 * @param proc {@code /proc} but in tests
 */
public record LockedMemory(Path proc, SystemCalls calls) {
  /** What this process may lock. */
  public static LockedMemory ofThisProcess() {
    return new LockedMemory(Path.of("/proc"), SystemCalls.libc());
  }

  /** RLIMIT_MEMLOCK, in bytes; empty if there is none. */
  public OptionalLong limit() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment both = arena.allocate(2 * Long.BYTES, Long.BYTES);
      int result = calls.prlimit(Constants.RLIMIT_MEMLOCK, MemorySegment.NULL, both);
      long limit = result < 0 ? -1 : both.get(ValueLayout.JAVA_LONG, 0);
      return limit < 0 ? OptionalLong.empty() : OptionalLong.of(limit);
    }
  }

  /** Bytes that this process has locked. */
  public long bytes() {
    return status("VmLck").map(v -> Long.parseLong(v.replaceAll("[^0-9]", "")) * 1024).orElse(0L);
  }

  /** Whether this thread has CAP_IPC_LOCK, for which there is no limit. */
  public boolean maySkipLimit() {
    return status("CapEff")
        .map(v -> (Long.parseUnsignedLong(v, 16) & 1L << Constants.CAP_IPC_LOCK) != 0)
        .orElse(false);
  }

  private Optional<String> status(String field) {
    try (Stream<String> lines = Files.lines(proc.resolve("thread-self/status"))) {
      String head = field + ":";
      return lines
          .filter(l -> l.startsWith(head))
          .map(l -> l.substring(head.length()).strip())
          .findFirst();
    } catch (IOException | UncheckedIOException _) {
      return Optional.empty();
    }
  }
}
