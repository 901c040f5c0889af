// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.soft.SoftVfio;
import org.vfio4j.vfio.Vfio;

/** Back end {@code soft}: a process on a machine in software. */
public final class SoftEnvironment implements Environment {
  private static final int CAP_IPC_LOCK = 14;
  private static final int CAP_SYS_RAWIO = 17;

  private final SoftMachine machine;
  private final SoftVfio process;
  private final SoftSysfs sysfs;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment memory = arena.allocate(BUFFER_SIZE, 4096);
  private final ScriptBuffer script = new ScriptBuffer(memory);
  private final long buffer;
  private final SoftEdu edu = new SoftEdu();

  /** A new process of that name on the machine. */
  public SoftEnvironment(SoftMachine machine, String name) {
    this.machine = machine;
    this.process = machine.process(name);
    this.sysfs = new SoftSysfs(machine);
    this.buffer = process.memory().place(memory);
    process.memory().limit(BUFFER_SIZE);
  }

  @Override
  public Vfio vfio() {
    return process;
  }

  @Override
  public long buffer() {
    return buffer;
  }

  @Override
  public void poke(long offset, byte value, long length) {
    script.poke(offset, value, length);
  }

  @Override
  public byte[] peek(long offset) {
    return script.peek(offset);
  }

  @Override
  public void memlock(long bytes) {
    process.memory().limit(bytes);
  }

  @Override
  public void capability(int number, boolean on) {
    switch (number) {
      case CAP_IPC_LOCK -> process.memory().ipcLock(on);
      case CAP_SYS_RAWIO -> process.rawIo(on);
      default -> {}
    }
  }

  @Override
  public long lockedKib() {
    return process.memory().lockedPages() * 4;
  }

  @Override
  public String driver(String device) {
    return machine.driverLink(device).orElse("none");
  }

  @Override
  public boolean bind(String device, String driver) {
    return driver.equals("none") ? machine.unbind(device) : machine.bind(device, driver);
  }

  @Override
  public boolean write(String path, String text) {
    return sysfs.write(path, text);
  }

  @Override
  public List<String> cat(String path) {
    return sysfs.read(path);
  }

  @Override
  public void eduDma(int deviceFd, long from, long to) {
    edu.copy(process.dma(deviceFd), from, to);
  }

  @Override
  public void closeAll() {
    process.close();
  }

  @Override
  public void close() {
    process.close();
    arena.close();
  }
}
