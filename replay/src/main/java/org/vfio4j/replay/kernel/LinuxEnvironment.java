// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.kernel;

import java.util.List;
import org.vfio4j.linux.iommu.LinuxDeviceFile;
import org.vfio4j.linux.iommu.LinuxMachine;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.replay.Environment;
import org.vfio4j.vfio.EngineVfio;

/**
 * Back end {@code linux}: the engine's answers on the kernel's IOMMU. Memory, limits, drivers and
 * sysfs are this process's and this machine's, as those of back end {@code kernel} are.
 */
public final class LinuxEnvironment implements Environment {
  private final EngineVfio vfio;
  private final KernelEnvironment kernel;

  /**
   * A process.
   *
   * @param vfio on a {@link LinuxMachine}
   * @param kernel for all but the user API; closed with this
   */
  public LinuxEnvironment(EngineVfio vfio, KernelEnvironment kernel) {
    this.vfio = vfio;
    this.kernel = kernel;
  }

  @Override
  public EngineVfio vfio() {
    return vfio;
  }

  @Override
  public long buffer() {
    return kernel.buffer();
  }

  @Override
  public void poke(long offset, byte value, long length) {
    kernel.poke(offset, value, length);
  }

  @Override
  public byte[] peek(long offset) {
    return kernel.peek(offset);
  }

  @Override
  public void memlock(long bytes) {
    kernel.memlock(bytes);
  }

  @Override
  public void capability(int number, boolean on) {
    kernel.capability(number, on);
  }

  @Override
  public long lockedKib() {
    return kernel.lockedKib();
  }

  @Override
  public String driver(String device) {
    return kernel.driver(device);
  }

  @Override
  public boolean bind(String device, String driver) {
    return kernel.bind(device, driver);
  }

  @Override
  public boolean write(String path, String text) {
    return kernel.write(path, text);
  }

  @Override
  public List<String> cat(String path) {
    return kernel.cat(path);
  }

  @Override
  public void eduDma(int deviceFd, long from, long to) {
    if (vfio.deviceFile(deviceFd) instanceof LinuxDeviceFile file) {
      try (Descriptor.Use use = file.calls().descriptor().use()) {
        new EduDevice(kernel.vfio(), use.number()).copy(from, to);
      }
    }
  }

  @Override
  public void closeAll() {
    vfio.close();
    kernel.closeAll();
  }

  @Override
  public void close() {
    vfio.close();
    kernel.close();
  }
}
