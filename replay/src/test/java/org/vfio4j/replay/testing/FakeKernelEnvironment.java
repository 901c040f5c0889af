// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.testing;

import java.nio.file.Path;
import java.util.List;
import org.vfio4j.linux.sysfs.DeviceLinks;
import org.vfio4j.linux.testing.FakeKernel;
import org.vfio4j.linux.testing.FakeSysfs;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.replay.Environment;
import org.vfio4j.replay.ScriptBuffer;
import org.vfio4j.replay.SoftEdu;
import org.vfio4j.replay.SoftEnvironment;
import org.vfio4j.replay.kernel.KernelVfio;
import org.vfio4j.soft.SoftMachine;

/**
 * Back end {@code kernel} where there is no VFIO: raw ioctls, answered by a {@link FakeKernel}.
 * What scripts do around the user API, drivers and sysfs, they do to the machine.
 */
public final class FakeKernelEnvironment implements Environment {
  private static final long GUARD = 16L << 20;
  private static final int CAP_IPC_LOCK = 14;
  private static final int CAP_SYS_RAWIO = 17;

  private final SoftEdu edu = new SoftEdu();
  private final SoftEnvironment machine;
  private final FakeKernel kernel;
  private final KernelVfio vfio;
  private final MappedMemory memory;
  private final ScriptBuffer script;

  /**
   * A process on a machine.
   *
   * @param folder an empty one, for {@code /sys}
   */
  public FakeKernelEnvironment(SoftMachine machine, Path folder) {
    FakeSysfs sysfs = FakeSysfs.write(machine, folder);
    this.machine = new SoftEnvironment(machine, "around");
    kernel = new FakeKernel(machine);
    vfio = new KernelVfio(kernel, new DeviceLinks(sysfs.root(), "pci", "mdev"));
    memory = MappedMemory.anonymous(kernel, BUFFER_SIZE + GUARD);
    script = new ScriptBuffer(memory.segment().asSlice(0, BUFFER_SIZE));
    // Nothing is behind the buffer: what reaches past its end is a bad address.
    int flags = Constants.MAP_PRIVATE | Constants.MAP_ANONYMOUS | Constants.MAP_FIXED;
    kernel.mmap(memory.address() + BUFFER_SIZE, GUARD, Constants.PROT_NONE, flags, -1, 0);
    memlock(BUFFER_SIZE);
  }

  @Override
  public KernelVfio vfio() {
    return vfio;
  }

  @Override
  public long buffer() {
    return memory.address();
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
    kernel.process().memory().limit(bytes);
  }

  @Override
  public void capability(int number, boolean on) {
    switch (number) {
      case CAP_IPC_LOCK -> kernel.process().memory().ipcLock(on);
      case CAP_SYS_RAWIO -> kernel.process().rawIo(on);
      default -> {}
    }
  }

  @Override
  public long lockedKib() {
    return kernel.process().memory().lockedPages() * 4;
  }

  @Override
  public String driver(String device) {
    return machine.driver(device);
  }

  @Override
  public boolean bind(String device, String driver) {
    return machine.bind(device, driver);
  }

  @Override
  public boolean write(String path, String text) {
    return machine.write(path, text);
  }

  @Override
  public List<String> cat(String path) {
    return machine.cat(path);
  }

  @Override
  public void eduDma(int deviceFd, long from, long to) {
    edu.copy(kernel.dma(deviceFd), from, to);
  }

  /** What is open in the kernel. */
  public int open() {
    return kernel.open();
  }

  @Override
  public void closeAll() {
    vfio.close();
  }

  @Override
  public void close() {
    closeAll();
    memory.close();
    machine.close();
  }
}
