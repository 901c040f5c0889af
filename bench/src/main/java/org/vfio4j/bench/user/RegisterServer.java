// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.bench.user;

import com.sun.management.ThreadMXBean;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.List;
import org.vfio4j.user.Server;
import org.vfio4j.user.device.Emulation;
import org.vfio4j.user.device.Irq;
import org.vfio4j.user.device.Region;
import org.vfio4j.user.device.UserInterrupts;
import org.vfio4j.user.device.UserMemory;

/** Serves 64 KiB of registers without side effects, so that what is measured is the server. */
public final class RegisterServer implements Emulation {
  private static final int SIZE = 1 << 16;

  /** Eight bytes that are read here are what this thread has allocated so far. */
  private static final int ALLOCATED = 0x8000;

  private static final List<Region> REGIONS = List.of(Region.registers(SIZE));

  private final MemorySegment registers = Arena.global().allocate(SIZE, Long.BYTES);
  private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private RegisterServer() {}

  /**
   * Serves until it is killed.
   *
   * @param args the socket
   */
  public static void main(String[] args) throws InterruptedException {
    try (Server server = Server.at(Path.of(args[0])).start(new RegisterServer())) {
      server.join();
    }
  }

  @Override
  public int flags() {
    return RESET;
  }

  @Override
  public List<Region> regions() {
    return REGIONS;
  }

  @Override
  public List<Irq> irqs() {
    return List.of();
  }

  @Override
  public void read(int region, long offset, MemorySegment target, long targetOffset, int count) {
    if (offset == ALLOCATED) {
      registers.set(ValueLayout.JAVA_LONG, ALLOCATED, threads.getCurrentThreadAllocatedBytes());
    }
    MemorySegment.copy(registers, offset, target, targetOffset, count);
  }

  @Override
  public void write(int region, long offset, MemorySegment source, long sourceOffset, int count) {
    MemorySegment.copy(source, sourceOffset, registers, offset, count);
  }

  @Override
  public void reset() {
    registers.fill((byte) 0);
  }

  @Override
  public void attached(UserMemory dma, UserInterrupts interrupts) {}

  @Override
  public void detached() {}
}
