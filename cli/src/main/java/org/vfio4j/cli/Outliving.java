// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Collectors;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.posix.GivenDescriptors;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.NotifySocket;
import org.vfio4j.posix.Signals;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.user.device.EmulatedDevice;

/**
 * What a command has that outlives its process, where whoever started it keeps that: systemd, or
 * {@code vfio keep}.
 */
final class Outliving {
  private final Optional<NotifySocket> store;
  private final KeptDescriptors kept;
  private final boolean resumed;

  /**
   * What is kept where.
   *
   * @param store whoever keeps it, if somebody does
   */
  Outliving(Optional<NotifySocket> store, KeptDescriptors kept) {
    this.store = store;
    this.kept = kept;
    resumed = !kept.names().isEmpty();
  }

  /**
   * Of this process. If something outlives it SIGTERM ends it at once from now on, as a crash does,
   * and leaves everything.
   */
  static Outliving ofThisProcess() {
    Map<String, String> environment = System.getenv();
    Optional<NotifySocket> store;
    try {
      store = NotifySocket.of(SystemCalls.libc(), environment);
    } catch (SystemCallException | NumberFormatException e) {
      throw new RefusedException(
          "whoever started this is to keep its descriptors, and cannot be reached: "
              + e.getMessage());
    }
    if (store.isEmpty()) {
      return new Outliving(store, KeptDescriptors.NONE);
    }
    Map<String, Descriptor> given =
        GivenDescriptors.take(SystemCalls.libc(), environment, ProcessHandle.current().pid());
    Signals.endAtOnce(Signals.SIGTERM);
    KeptDescriptors kept = new KeptDescriptors(store.get(), given);
    try {
      EmulatedDevice.checkLeft(kept);
    } catch (IllegalStateException later) {
      throw new RefusedException(String.valueOf(later.getMessage()));
    }
    return new Outliving(store, kept);
  }

  /** Where it is, and what is there. */
  KeptDescriptors kept() {
    return kept;
  }

  /** Whether a process before this one has left something. */
  boolean resumed() {
    return resumed;
  }

  /** Devices of the kernel that were started, written down under a name until the end. */
  KernelDevices.Started started(String name, GivenBack all) {
    return new KernelDevices.Started() {
      @Override
      public Optional<List<UUID>> before() {
        Optional<Text> text = text(name);
        text.ifPresent(t -> all.take(() -> t));
        Optional<List<UUID>> left = text.map(t -> t.text().lines().map(UUID::fromString).toList());
        return left.isEmpty() && resumed ? Optional.of(List.of()) : left;
      }

      @Override
      public void write(List<UUID> uuids) {
        String text = uuids.stream().map(UUID::toString).collect(Collectors.joining("\n"));
        all.take(() -> Outliving.this.write(name, text));
      }
    };
  }

  /** Says that everything is as asked for. */
  void ready() {
    store.ifPresent(NotifySocket::ready);
  }

  /** A text that is kept until it is closed. */
  record Text(Descriptor file, String text) implements AutoCloseable {
    @Override
    public void close() {
      file.close();
    }
  }

  /** What the process before has written under a name. */
  Optional<Text> text(String name) {
    return kept.take(name).map(Outliving::read);
  }

  private static Text read(Descriptor file) {
    try (Arena arena = Arena.ofConfined();
        Descriptor.Use use = file.use()) {
      MemorySegment bytes = arena.allocate(Math.max(1, FileStatus.of(file).length()));
      long read = file.calls().pread(use.number(), bytes, bytes.byteSize(), 0);
      SystemCallException.check((int) Math.min(read, 0), "read of " + file.name());
      byte[] text = bytes.asSlice(0, read).toArray(ValueLayout.JAVA_BYTE);
      return new Text(file, new String(text, StandardCharsets.UTF_8));
    }
  }

  /** Writes a text for the process that comes after this one. */
  Text write(String name, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    Descriptor file = Memfd.create(SystemCalls.libc(), name, bytes.length);
    boolean done = false;
    try (Arena arena = Arena.ofConfined();
        Descriptor.Use use = file.use()) {
      MemorySegment all = arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes);
      long written = file.calls().pwrite(use.number(), all, bytes.length, 0);
      SystemCallException.check((int) Math.min(written, 0), "write of " + name);
      kept.hold(name, file);
      done = true;
      return new Text(file, text);
    } finally {
      if (!done) {
        file.close();
      }
    }
  }
}
