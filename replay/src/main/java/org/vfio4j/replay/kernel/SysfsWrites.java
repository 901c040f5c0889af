// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.kernel;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.vfio4j.error.Errno;
import org.vfio4j.linux.sysfs.DeviceLinks;
import org.vfio4j.linux.uapi.KernelRefusal;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.SystemCalls;

/**
 * Files of sysfs, and drivers bound through them. A write that the kernel holds back, as an unbind
 * does while somebody has the device open, goes on by itself on a thread of its own.
 */
final class SysfsWrites {
  private static final Path DEVICES = Path.of("/sys/bus/pci/devices");
  private static final Path DRIVERS = Path.of("/sys/bus/pci/drivers");
  private static final DeviceLinks LINKS = DeviceLinks.ofThisMachine("pci");
  private static final String NONE = "none";

  private final SystemCalls calls;
  private final Duration patience;
  private final List<FutureTask<Void>> waiting = new ArrayList<>();

  /** Takes a write that lasts longer for one that waits for a user. */
  SysfsWrites(SystemCalls calls, Duration patience) {
    this.calls = calls;
    this.patience = patience;
  }

  /** Writes; false if that waits for somebody. */
  boolean write(String path, String text) {
    return run(() -> put(path, text));
  }

  /** The lines of a file. */
  List<String> read(String path) {
    try {
      return Files.readAllLines(Path.of(path), StandardCharsets.UTF_8);
    } catch (NoSuchFileException e) {
      throw KernelRefusal.of(Errno.ENOENT.number(), "open", path);
    } catch (IOException e) {
      throw KernelRefusal.of(Errno.EIO.number(), "read", path);
    }
  }

  /** The driver of a PCI function, {@code none} without one. */
  String driver(String device) {
    settle();
    if (LINKS.folder(device).isEmpty()) {
      throw KernelRefusal.of(Errno.ENODEV.number(), "open", device);
    }
    return LINKS.driver(device).orElse(NONE);
  }

  /** Unbinds what is there and binds a driver; false if that waits for somebody. */
  boolean bind(String device, String driver) {
    String old = driver(device);
    return run(
        () -> {
          if (!old.equals(NONE)) {
            put(DRIVERS.resolve(old).resolve("unbind").toString(), device);
          }
          if (!driver.equals(NONE)) {
            put(DEVICES.resolve(device).resolve("driver_override").toString(), driver);
            put(DRIVERS.resolve(driver).resolve("bind").toString(), device);
          }
        });
  }

  /** Waits for writes that nobody holds back any more. */
  void settle() {
    for (FutureTask<Void> task : List.copyOf(waiting)) {
      try {
        task.get(patience.toMillis(), TimeUnit.MILLISECONDS);
        waiting.remove(task);
      } catch (TimeoutException e) {
        // It stays among those that are waited for.
      } catch (ExecutionException e) {
        // Who began it has long been answered.
        waiting.remove(task);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
  }

  private boolean run(Runnable writes) {
    FutureTask<Void> task = new FutureTask<>(writes, null);
    Thread.ofPlatform().daemon().name("sysfs").start(task);
    try {
      task.get(patience.toMillis(), TimeUnit.MILLISECONDS);
      return true;
    } catch (TimeoutException e) {
      waiting.add(task);
      return false;
    } catch (ExecutionException e) {
      throw e.getCause() instanceof RuntimeException r ? r : new IllegalStateException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  private void put(String path, String text) {
    try (Arena arena = Arena.ofConfined()) {
      int flags = Constants.O_WRONLY | Constants.O_CLOEXEC;
      int fd = KernelRefusal.check(calls.open(arena.allocateFrom(path), flags, 0), "open", path);
      try {
        MemorySegment bytes = arena.allocateFrom(text);
        KernelRefusal.check(calls.write(fd, bytes, bytes.byteSize() - 1), "write", path);
      } finally {
        calls.close(fd);
      }
    }
  }
}
