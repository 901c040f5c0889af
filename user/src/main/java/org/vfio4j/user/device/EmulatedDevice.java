// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.SystemCalls;

/**
 * A PCI device made of how it looks, told to {@link #builder}, and what it does, a {@link
 * PciModel}. Configuration space, sizing of BARs, the MSI-X table and its pending bits are done
 * here.
 *
 * <p>Who plugs it in emulates parts of that again (QEMU has the BARs and the MSI-X table in its own
 * hands) and passes writes of configuration space on; who does not finds all of it working.
 */
public final class EmulatedDevice implements Emulation {
  private static final int MSIX_ENTRY = 16;

  private final String name;
  private final PciModel model;
  private final EmulatedConfig config;
  private final List<Region> regions;
  private final List<Irq> irqs;
  private final Optional<Msix> msix;
  private final byte[] msixTable;
  private final int flrRegister;
  private final int msiControl;
  private final int msixControl;

  /** The user's, while there is one. */
  private Optional<UserInterrupts> interrupts = Optional.empty();

  /** Read by the device's own threads. */
  private volatile boolean busMaster;

  /** Read by them too. */
  private volatile int msiVectors;

  private boolean pinAsserted;

  /** Where it is written down for another process. */
  private volatile LastingState state = LastingState.NONE;

  /**
   * Where the MSI-X structures are.
   *
   * @param bar of both
   * @param vectors 1 to 2048
   * @param table offset of the table in the BAR, in bytes
   * @param pending offset of the pending bits in the BAR, in bytes
   */
  record Msix(int bar, int vectors, int table, int pending) {
    int tableSize() {
      return vectors * MSIX_ENTRY;
    }

    int pendingSize() {
      return (vectors + 63) / 64 * 8;
    }
  }

  EmulatedDevice(EmulatedDeviceBuilder from, PciModel model) {
    this.model = model;
    name = from.name();
    config = from.config();
    regions = from.regions();
    irqs = from.irqs();
    msiVectors = irqs.get(Pci.MSI).count();
    msix = from.msix();
    flrRegister = from.flrRegister();
    msiControl = from.msiControl();
    msixControl = from.msixControl();
    msixTable = new byte[msix.map(Msix::tableSize).orElse(0)];
    resetTable();
  }

  /**
   * Starts a device with this identity, one PCI function of one interrupt pin, no BAR and no
   * capability yet.
   *
   * @param vendor 16 bits
   * @param device 16 bits
   */
  public static EmulatedDeviceBuilder builder(int vendor, int device) {
    return new EmulatedDeviceBuilder(vendor, device);
  }

  /** Whether another process can go on with it: whether its model is a {@link LastingModel}. */
  public boolean lasts() {
    return model instanceof LastingModel;
  }

  /**
   * This device, of which another process goes on with the client that this one serves.
   *
   * @param calls which make what is kept
   * @param kept where that is
   * @param name of the server there, as {@link org.vfio4j.user.Server.Builder#kept} has it
   * @throws IllegalArgumentException if its state does not last
   * @throws IllegalStateException if a later version of this program has left it, which is not
   *     touched
   */
  public ServedDevice lasting(SystemCalls calls, KeptDescriptors kept, String name) {
    if (!lasts()) {
      throw new IllegalArgumentException(this + " ends with its process");
    }
    return new LastingDevice(this, new LastingDevice.Keeping(calls, kept, name));
  }

  /**
   * Looks at what another process has left of devices of ours.
   *
   * @throws IllegalStateException if a later version of this program has left some, in a sentence
   *     for its user: nothing is to be touched then
   */
  public static void checkLeft(KeptDescriptors kept) {
    for (String left : kept.names()) {
      if (left.startsWith("j")) {
        try {
          kept.look(left).ifPresent(SessionFile::checkVersion);
        } catch (IllegalArgumentException damaged) {
          // Told when it is given back.
        }
      }
    }
  }

  /** What its state is like. */
  SessionFile.Form form() {
    LastingModel lasting = (LastingModel) model;
    int vectors = irqs.stream().mapToInt(Irq::count).sum();
    return new SessionFile.Form(
        name, lasting.version(), lasting.words(), lasting.memory(), msixTable.length, vectors);
  }

  /** Where it is written down. */
  LastingState state() {
    return state;
  }

  /** Writes itself down from now on. */
  void keep(LastingState next) {
    state = next;
  }

  /** For messages: the identity, as in {@code 8086:2021}. */
  public String name() {
    return name;
  }

  /** Whether the user lets the device do DMA. */
  public boolean busMaster() {
    return busMaster;
  }

  /** MSI vectors to signal: those that the user has granted, or all while MSI is not enabled. */
  int msiVectors() {
    return msiVectors;
  }

  @Override
  public int flags() {
    return RESET | PCI;
  }

  @Override
  public List<Region> regions() {
    return regions;
  }

  @Override
  public List<Irq> irqs() {
    return irqs;
  }

  @Override
  public void read(int region, long offset, MemorySegment target, long targetOffset, int count) {
    check(region, offset, count);
    if (region == Pci.CONFIG) {
      readConfig((int) offset, target, targetOffset, count);
      return;
    }
    for (int done = 0; done < count; ) {
      long at = offset + done;
      int size = piece(at, count - done);
      put(target, targetOffset + done, size, readRegister(region, at, size));
      done += size;
    }
  }

  @Override
  public void write(int region, long offset, MemorySegment source, long sourceOffset, int count) {
    check(region, offset, count);
    if (region == Pci.CONFIG) {
      writeConfig((int) offset, source, sourceOffset, count);
      return;
    }
    for (int done = 0; done < count; ) {
      long at = offset + done;
      int size = piece(at, count - done);
      if (state.begins()) {
        writeRegister(region, at, size, get(source, sourceOffset + done, size));
      }
      done += size;
    }
  }

  private void check(int region, long offset, int count) {
    Objects.checkIndex(region, regions.size());
    long size = regions.get(region).size();
    if (size == 0) {
      throw new VfioException(
          Errno.EINVAL, Reason.BAD_ARGUMENT, "%s has no region %d".formatted(name, region), name);
    }
    Objects.checkFromIndexSize(offset, count, size);
  }

  /** The largest aligned access at an offset. */
  private static int piece(long at, int left) {
    int aligned = (int) Math.min(Long.lowestOneBit(at | Long.BYTES), Long.BYTES);
    return Math.min(aligned, Integer.highestOneBit(left));
  }

  private static void put(MemorySegment target, long at, int size, long value) {
    switch (size) {
      case 1 -> target.set(ValueLayout.JAVA_BYTE, at, (byte) value);
      case 2 -> target.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, (short) value);
      case 4 -> target.set(ValueLayout.JAVA_INT_UNALIGNED, at, (int) value);
      default -> target.set(ValueLayout.JAVA_LONG_UNALIGNED, at, value);
    }
  }

  private static long get(MemorySegment source, long at, int size) {
    return switch (size) {
      case 1 -> source.get(ValueLayout.JAVA_BYTE, at) & 0xffL;
      case 2 -> source.get(ValueLayout.JAVA_SHORT_UNALIGNED, at) & 0xffffL;
      case 4 -> source.get(ValueLayout.JAVA_INT_UNALIGNED, at) & 0xffff_ffffL;
      default -> source.get(ValueLayout.JAVA_LONG_UNALIGNED, at);
    };
  }

  private long readRegister(int bar, long at, int size) {
    if (msix.isPresent() && msix.get().bar() == bar) {
      Msix m = msix.get();
      if (at >= m.table() && at < m.table() + m.tableSize()) {
        return get(MemorySegment.ofArray(msixTable), at - m.table(), size);
      }
      if (at >= m.pending() && at < m.pending() + m.pendingSize()) {
        return pendingBits(m, (int) (at - m.pending()), size);
      }
    }
    return model.read(bar, at, size);
  }

  private void writeRegister(int bar, long at, int size, long value) {
    if (msix.isPresent() && msix.get().bar() == bar) {
      Msix m = msix.get();
      if (at >= m.table() && at < m.table() + m.tableSize()) {
        put(MemorySegment.ofArray(msixTable), at - m.table(), size, value);
        state.writeTable(msixTable, (int) at - m.table(), size);
        return;
      }
      if (at >= m.pending() && at < m.pending() + m.pendingSize()) {
        return;
      }
    }
    model.write(bar, at, size, value);
  }

  private long pendingBits(Msix m, int at, int size) {
    long bits = 0;
    for (int bit = 0; bit < 8 * size; bit++) {
      int vector = 8 * at + bit;
      if (vector < m.vectors() && interrupts.map(i -> i.pending(Pci.MSIX, vector)).orElse(false)) {
        bits |= 1L << bit;
      }
    }
    return bits;
  }

  /** Every vector is masked after power on. */
  private void resetTable() {
    for (int at = 0; at < msixTable.length; at++) {
      msixTable[at] = (byte) (at % MSIX_ENTRY == 12 ? 1 : 0);
    }
  }

  private synchronized void readConfig(int offset, MemorySegment target, long at, int count) {
    for (int n = 0; n < count; n++) {
      target.set(ValueLayout.JAVA_BYTE, at + n, config.get(offset + n));
    }
  }

  private void writeConfig(int offset, MemorySegment source, long at, int count) {
    boolean functionReset = false;
    synchronized (this) {
      for (int n = 0; n < count; n++) {
        byte value = source.get(ValueLayout.JAVA_BYTE, at + n);
        config.write(offset + n, value);
        functionReset |= offset + n == flrRegister && value < 0;
      }
      state.writeConfig(config, offset, count);
      registersChanged();
    }
    if (functionReset) {
      reset();
    }
  }

  private void registersChanged() {
    busMaster = (config.get(EmulatedConfig.COMMAND, 2) & EmulatedConfig.COMMAND_MASTER) != 0;
    UserInterrupts.Messages msi = messages(msiControl, EmulatedConfig.MSI_ENABLE, 0);
    int vectors = irqs.get(Pci.MSI).count();
    if (msi != UserInterrupts.Messages.OFF) {
      vectors =
          Math.min(vectors, 1 << (config.get(msiControl, 2) >> EmulatedConfig.MSI_GRANTED & 7));
    }
    msiVectors = vectors;
    UserInterrupts.Messages msix =
        messages(msixControl, EmulatedConfig.MSIX_ENABLE, EmulatedConfig.MSIX_FUNCTION_MASK);
    interrupts.ifPresent(
        i -> {
          i.messages(Pci.MSI, msi);
          i.messages(Pci.MSIX, msix);
        });
    drivePin();
  }

  private UserInterrupts.Messages messages(int register, int enable, int mask) {
    long control = register == EmulatedDeviceBuilder.NO_REGISTER ? 0 : config.get(register, 2);
    if ((control & enable) == 0) {
      return UserInterrupts.Messages.OFF;
    }
    return (control & mask) != 0 ? UserInterrupts.Messages.HELD : UserInterrupts.Messages.ON;
  }

  /** The device asserts its pin or takes it back. */
  synchronized void assertPin(boolean asserted) {
    if (irqs.get(Pci.INTX).count() == 0) {
      throw new IllegalStateException(name + " was built without an interrupt pin");
    }
    pinAsserted = asserted;
    drivePin();
  }

  private void drivePin() {
    if (irqs.get(Pci.INTX).count() == 0) {
      return;
    }
    long before = config.get(EmulatedConfig.STATUS, 2);
    long status =
        before & ~EmulatedConfig.STATUS_INTX | (pinAsserted ? EmulatedConfig.STATUS_INTX : 0);
    if (status != before) {
      config.set(EmulatedConfig.STATUS, 2, status);
      state.writeConfig(config, EmulatedConfig.STATUS, 2);
    }
    boolean disabled =
        (config.get(EmulatedConfig.COMMAND, 2) & EmulatedConfig.COMMAND_INTX_DISABLE) != 0;
    interrupts.ifPresent(i -> i.level(Pci.INTX, 0, pinAsserted && !disabled));
  }

  @Override
  public void reset() {
    // DMA ends before the model forgets what it was doing.
    busMaster = false;
    model.reset();
    powerOn();
  }

  private synchronized void powerOn() {
    config.reset();
    pinAsserted = false;
    resetTable();
    writeDown();
    registersChanged();
    // Also what a user waits for who connects eventfds and leaves the registers alone.
    interrupts.ifPresent(UserInterrupts::forget);
  }

  @Override
  public void attached(UserMemory dma, UserInterrupts to) {
    synchronized (this) {
      interrupts = Optional.of(to);
      writeDown();
    }
    model.attached(new DeviceBus(this, dma, to));
  }

  private void writeDown() {
    state.writeConfig(config, 0, config.size());
    state.writeTable(msixTable, 0, msixTable.length);
  }

  /**
   * A user whom another process has served goes on.
   *
   * @param connect gives its eventfds back to the vectors, once these know what holds them
   */
  void resumed(UserMemory dma, UserInterrupts to, Runnable connect) {
    synchronized (this) {
      state.readConfig(config);
      state.readTable(msixTable);
      interrupts = Optional.of(to);
      pinAsserted = (config.get(EmulatedConfig.STATUS, 2) & EmulatedConfig.STATUS_INTX) != 0;
      registersChanged();
      connect.run();
    }
    ((LastingModel) model).resumed(new DeviceBus(this, dma, to));
  }

  @Override
  public void detached() {
    busMaster = false;
    model.detached();
    synchronized (this) {
      interrupts = Optional.empty();
    }
    powerOn();
  }

  @Override
  public String toString() {
    return "PCI device " + name;
  }

  /** All regions, with {@link Region#NONE} where there is none. */
  static List<Region> allRegions() {
    List<Region> all = new ArrayList<>();
    for (int n = 0; n < Pci.REGIONS; n++) {
      all.add(Region.NONE);
    }
    return all;
  }
}
