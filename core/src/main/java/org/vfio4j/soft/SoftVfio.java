// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.soft;

import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.vfio.EngineVfio;
import org.vfio4j.vfio.OpenDevice;
import org.vfio4j.vfio.Vfio;

/**
 * Back end {@code soft} of the user API: one process on a {@link SoftMachine}, whose devices do DMA
 * through {@link #dma}. The calls are the engine's.
 */
public final class SoftVfio implements Vfio, AutoCloseable {
  private final SoftMachine machine;
  private final EngineVfio engine;

  SoftVfio(String name, SoftMachine machine) {
    this.machine = machine;
    this.engine = new EngineVfio(name, machine, new AddressSpace());
  }

  /** The machine it runs on. */
  public SoftMachine machine() {
    return machine;
  }

  /** The process's memory, its limit and its capability. */
  public AddressSpace memory() {
    return engine.memory();
  }

  /** Gives the process CAP_SYS_RAWIO, or takes it away; it has it at first. */
  public void rawIo(boolean on) {
    engine.rawIo(on);
  }

  /** How many descriptors are open. */
  public int descriptors() {
    return engine.descriptors();
  }

  /** The type1 container behind a descriptor; see {@link EngineVfio#type1}. */
  public Container type1(int fd) {
    return engine.type1(fd);
  }

  /** Closes every descriptor, as the exit of a process does; see {@link EngineVfio#close()}. */
  @Override
  public void close() {
    engine.close();
  }

  /**
   * The port through which an open device does its DMA: by its own requests, by those of the
   * function it wraps, by its parent's PASID, or, emulated, by its parent's driver. ENODEV for a
   * device that no IOMMU serves: it would reach the machine's own memory, which is not modelled.
   */
  public DmaPort dma(int deviceFd) {
    OpenDevice open = engine.device(deviceFd);
    Device device = open.device();
    Container container = open.container().orElseThrow(() -> noIommu(device));
    Isolation isolation =
        device instanceof MediatedDevice m ? m.isolation() : new Isolation.Backed(device);
    return switch (isolation) {
      case Isolation.Plain() -> container.emulatedPort(device.name(), machine.iommu()::report);
      case Isolation.Backed(Device function) -> machine.iommu().port(function);
      case Isolation.Aux(Device parent) ->
          machine.iommu().port(parent, open.domain().orElseThrow());
    };
  }

  private static VfioException noIommu(Device device) {
    return new VfioException(
        Errno.ENODEV,
        Reason.NOT_SUPPORTED,
        device.name() + " has no IOMMU: it reaches the machine's own memory, and there is none",
        device.name());
  }

  @Override
  public int container() {
    return engine.container();
  }

  @Override
  public int group(String device) {
    return engine.group(device);
  }

  @Override
  public int open(String path) {
    return engine.open(path);
  }

  @Override
  public void close(int fd) {
    engine.close(fd);
  }

  @Override
  public int apiVersion(int fd) {
    return engine.apiVersion(fd);
  }

  @Override
  public int checkExtension(int fd, int extension) {
    return engine.checkExtension(fd, extension);
  }

  @Override
  public void setIommu(int fd, int type) {
    engine.setIommu(fd, type);
  }

  @Override
  public int groupStatus(int fd, int argsz) {
    return engine.groupStatus(fd, argsz);
  }

  @Override
  public void setContainer(int groupFd, int containerFd) {
    engine.setContainer(groupFd, containerFd);
  }

  @Override
  public void unsetContainer(int groupFd) {
    engine.unsetContainer(groupFd);
  }

  @Override
  public int deviceFd(int groupFd, Optional<String> name) {
    return engine.deviceFd(groupFd, name);
  }

  @Override
  public void map(int containerFd, MapRequest request) {
    engine.map(containerFd, request);
  }

  @Override
  public long unmap(int containerFd, UnmapRequest request) {
    return engine.unmap(containerFd, request);
  }

  @Override
  public IommuInfo info(int containerFd, int argsz) {
    return engine.info(containerFd, argsz);
  }

  @Override
  public void dirtyPages(int containerFd, int flags) {
    engine.dirtyPages(containerFd, flags);
  }

  @Override
  public void dirtyBitmap(int containerFd, BitmapRequest request) {
    engine.dirtyBitmap(containerFd, request);
  }

  @Override
  public int ioctl(int fd, int number, long argument) {
    return engine.ioctl(fd, number, argument);
  }

  @Override
  public DeviceInfo deviceInfo(int deviceFd) {
    return engine.deviceInfo(deviceFd);
  }

  @Override
  public void reset(int deviceFd) {
    engine.reset(deviceFd);
  }

  @Override
  public List<Dependent> hotResetInfo(int deviceFd) {
    return engine.hotResetInfo(deviceFd);
  }

  @Override
  public int readConfig(int deviceFd) {
    return engine.readConfig(deviceFd);
  }
}
