// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.VfioConstants;
import org.vfio4j.linux.uapi.VfioRegionInfo;
import org.vfio4j.user.device.DeviceSession;
import org.vfio4j.user.device.DmaSource;
import org.vfio4j.user.device.Irq;
import org.vfio4j.user.device.IrqSet;
import org.vfio4j.user.device.LeftReply;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.device.Peer;
import org.vfio4j.user.device.Region;
import org.vfio4j.user.device.ServedDevice;

/**
 * One client's use of a real function. Its registers are read and written by the kernel's region
 * files, never through memory of ours: a guest that switches memory decoding off would end this
 * process. What a guest writes to configuration space goes to the kernel, which filters it.
 */
final class PassedSession implements DeviceSession {
  private static final int COMMAND = 4;

  /** The field of {@code /proc/PID/stat}, counted from 1. */
  private static final int START_TIME = 22;

  private final Owner owner;
  private final String name;
  private final DeviceCalls control;
  private final Optional<DeviceCalls> peers;
  private final Resetting resetting;
  private final VmMemory.Share memory;
  private final PassedRegions regions;
  private final PassedInterrupts interrupts;
  private final Duration patience;
  private final int flags;
  private final Peer peer;
  private final long started;
  private volatile Optional<LeftReply> reply;

  /**
   * Whose session it is.
   *
   * @param changed what to do when something of it is another than before, before that is acted on
   * @param answering where to write down what its client is about to be answered
   * @param left what to do when everything is closed
   */
  record Owner(
      Vm vm,
      String address,
      PassOptions options,
      Runnable changed,
      Consumer<Optional<LeftReply>> answering,
      Runnable left) {}

  /**
   * Begins, or goes on where another process has ended.
   *
   * @param control the device, open; the session's from now on if this returns
   * @param reply what another process may have left unanswered: it stays written down until its
   *     client is answered
   * @param memory has what its client has announced, and is asked last
   */
  PassedSession(
      Owner owner,
      DeviceCalls control,
      PassedInterrupts interrupts,
      Resetting resetting,
      Peer peer,
      Optional<LeftReply> reply,
      Supplier<VmMemory.Share> memory) {
    Vm vm = owner.vm;
    this.owner = owner;
    this.name = vm + ": " + owner.address;
    this.control = control;
    this.interrupts = interrupts;
    this.resetting = resetting;
    this.peer = peer;
    this.reply = reply;
    Path process = Path.of("/proc", String.valueOf(peer.credentials().pid()));
    started = startOf(process);
    patience = Patience.of(vm.settings(), process);
    flags = ServedDevice.PCI | (resetting.possible() ? ServedDevice.RESET : 0);
    peers =
        owner.options.mmap()
            ? Optional.of(vm.broker().iommu().openDevice(owner.address))
            : Optional.empty();
    boolean done = false;
    try {
      regions = PassedRegions.of(control, peers);
      done = true;
    } finally {
      if (!done) {
        peers.ifPresent(DeviceCalls::close);
      }
    }
    this.memory = memory.get();
    if (!vm.snoops()) {
      Broker.LOG.log(
          Level.INFO,
          "%s: the IOMMU does not force its DMA to snoop; a device that asks for no snoop, as GPUs"
                  .formatted(name)
              + " do, may read what its guest has only in caches");
    }
  }

  /** The client's process. */
  int pid() {
    return peer.credentials().pid();
  }

  /** What is known of the client. */
  Journal.OfClient journal() {
    return new Journal.OfClient(
        peer.connection(),
        pid(),
        started,
        memory.admitted(),
        memory.failed(),
        peer.agreed(),
        interrupts.switchedOn(),
        reply);
  }

  @Override
  public int flags() {
    return flags;
  }

  @Override
  public Optional<Duration> patience() {
    return Optional.of(patience);
  }

  /** When a process began, in ticks; 0 if it cannot be read. */
  private static long startOf(Path process) {
    try {
      String stat = Files.readString(process.resolve("stat"), StandardCharsets.ISO_8859_1);
      // The second field is the program's name in brackets, which may have anything in it.
      String[] behind = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
      return Long.parseLong(behind[START_TIME - 3]);
    } catch (IOException | RuntimeException _) {
      return 0;
    }
  }

  @Override
  public boolean exact() {
    return true;
  }

  @Override
  public void answering(LeftReply with) {
    answering(Optional.of(with));
  }

  @Override
  public void answered() {
    answering(Optional.empty());
  }

  private void answering(Optional<LeftReply> with) {
    reply = with;
    owner.answering.accept(with);
  }

  @Override
  public void admit() {
    try {
      memory.admit(owner.changed);
      owner.vm.changed();
    } catch (VfioException refused) {
      Broker.LOG.log(Level.ERROR, "%s: %s".formatted(name, refused.getMessage()));
      throw refused;
    }
  }

  @Override
  public List<Region> regions() {
    return regions.told();
  }

  @Override
  public List<Irq> irqs() {
    return interrupts.told();
  }

  @Override
  public void read(int region, long offset, MemorySegment target, long targetOffset, int count) {
    control.read(kernels(region), offset, target.asSlice(targetOffset, count));
  }

  @Override
  public void write(int region, long offset, MemorySegment source, long sourceOffset, int count) {
    control.write(kernels(region), offset, source.asSlice(sourceOffset, count));
  }

  private VfioRegionInfo kernels(int region) {
    return regions.kernels().get(region);
  }

  /** A map that fails once the guest runs would be data lost: it stops the VM. */
  @Override
  public void dmaMap(long iova, long size, int prot, DmaSource source) {
    boolean done = false;
    try {
      memory.map(iova, size, prot, source);
      done = true;
    } finally {
      if (!done && memory.admitted()) {
        stopVm("its device cannot reach 0x%x bytes at 0x%x".formatted(size, iova));
      } else if (!done) {
        owner.changed.run();
      }
    }
  }

  @Override
  public long dmaUnmap(long iova, long size, int unmapFlags) {
    return memory.unmap(iova, size, unmapFlags);
  }

  @Override
  public void setIrqs(IrqSet set) {
    interrupts.set(set);
  }

  @Override
  public void reset() {
    resetting.reset();
  }

  /**
   * The device is quiet before its memory goes, and closed before the group leaves: what the next
   * user gets is as after power on.
   */
  @Override
  public void close() {
    try {
      quiet();
    } finally {
      try {
        memory.close();
      } finally {
        peers.ifPresent(DeviceCalls::close);
        control.close();
        owner.left.run();
      }
    }
  }

  private void quiet() {
    try {
      interrupts.close();
    } finally {
      quiet(control);
    }
  }

  /** What its device would do now is not what its guest expects. */
  void stopVm(String why) {
    Broker.LOG.log(Level.ERROR, "%s: stopped: %s".formatted(name, why));
    interrupts.stopVm();
  }

  /** A device does nothing by itself any more. */
  static void quiet(DeviceCalls device) {
    for (int index = 0; index < Pci.IRQS; index++) {
      try {
        device.disable(index);
      } catch (VfioException off) {
        Broker.LOG.log(Level.TRACE, "interrupts of index {0} were off", index);
      }
    }
    try {
      device.writeInt(device.region(VfioConstants.VFIO_PCI_CONFIG_REGION_INDEX), COMMAND, 0);
    } catch (VfioException refused) {
      Broker.LOG.log(
          Level.DEBUG, "{0}: not quieted: {1}", device.descriptor().name(), refused.getMessage());
    }
  }
}
