// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.vfio4j.posix.UnixSocket.Credentials;
import org.vfio4j.user.Server;
import org.vfio4j.user.device.EmulatedDevice;
import org.vfio4j.user.device.Emulation;
import org.vfio4j.user.device.Irq;
import org.vfio4j.user.device.Region;
import org.vfio4j.user.device.UserInterrupts;
import org.vfio4j.user.device.UserMemory;

/** A device that is served in this process, and what its user does with it. */
final class Plug implements AutoCloseable {
  private final Path path;
  private final Server server;
  private final BlockingQueue<String> left = new LinkedBlockingQueue<>();
  private final CountDownLatch waiting = new CountDownLatch(1);
  private final AtomicInteger resets = new AtomicInteger();
  private volatile UserMemory space;

  private Plug(Path path, EmulatedDevice device) {
    this.path = path;
    Server.Events events =
        new Server.Events() {
          @Override
          public void waiting(Credentials peer, Credentials before) {
            waiting.countDown();
          }

          @Override
          public void disconnected(Credentials peer, String why) {
            left.add(why);
          }
        };
    server = Server.at(path).events(events).start(new Watched(device));
  }

  /** Serves a device at a socket in {@code folder}. */
  static Plug in(Path folder, EmulatedDevice device) throws IOException {
    Path path = Files.createTempFile(folder, "d", "");
    Files.delete(path);
    return new Plug(path, device);
  }

  /** For QEMU's {@code -device}. */
  String argument(int slot) {
    return argument(path, slot);
  }

  /** The same for whatever is served at a socket. */
  static String argument(Path path, int slot) {
    return "{\"driver\":\"vfio-user-pci\",\"socket\":{\"path\":\"%s\",\"type\":\"unix\"},\"addr\":\"%x\"}"
        .formatted(path, slot);
  }

  /** The memory of the user that is or was there last. */
  UserMemory space() {
    return Objects.requireNonNull(space, "nobody has come");
  }

  /** How often the device has been reset. */
  int resets() {
    return resets.get();
  }

  /** Waits for the user to leave; why it did. */
  String awaitLeaving() throws InterruptedException {
    String why = left.poll(Qtest.SOON.toSeconds(), TimeUnit.SECONDS);
    return Objects.requireNonNull(why, "the user has not left");
  }

  /** Waits until another than the user has come, who must wait. */
  void awaitWaiting() throws InterruptedException {
    if (!waiting.await(Qtest.SOON.toSeconds(), TimeUnit.SECONDS)) {
      throw new AssertionError("nobody waits");
    }
  }

  /** Ends the server, whoever is there. */
  void end() {
    server.close();
  }

  @Override
  public void close() {
    end();
  }

  /** The device, with its user's memory and its resets noted. */
  private final class Watched implements Emulation {
    private final EmulatedDevice device;

    Watched(EmulatedDevice device) {
      this.device = device;
    }

    @Override
    public int flags() {
      return device.flags();
    }

    @Override
    public List<Region> regions() {
      return device.regions();
    }

    @Override
    public List<Irq> irqs() {
      return device.irqs();
    }

    @Override
    public void read(int region, long offset, MemorySegment target, long at, int count) {
      device.read(region, offset, target, at, count);
    }

    @Override
    public void write(int region, long offset, MemorySegment source, long at, int count) {
      device.write(region, offset, source, at, count);
    }

    @Override
    public void attached(UserMemory dma, UserInterrupts interrupts) {
      space = dma;
      device.attached(dma, interrupts);
    }

    @Override
    public void reset() {
      resets.incrementAndGet();
      device.reset();
    }

    @Override
    public void detached() {
      device.detached();
    }
  }
}
