// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How a PCI device looks: identity, BARs, capabilities and registers of its own in configuration
 * space. Every method throws IllegalArgumentException for what a device cannot have.
 */
public final class EmulatedDeviceBuilder {
  private static final int FIRST_CAPABILITY = 0x40;
  private static final int PCIE_SIZE = 0x3c;
  private static final int PCIE_DEVICE_CONTROL = 8;

  /** Where there is no such register. */
  static final int NO_REGISTER = -1;

  private final int vendor;
  private final int device;
  private final List<Region> regions = EmulatedDevice.allRegions();
  private final Map<Integer, Boolean> wide = new HashMap<>();
  private final List<Register> registers = new ArrayList<>();
  private int revision;
  private int classCode = 0xff_0000;
  private int subsystemVendor;
  private int subsystem;
  private int pin;
  private int msiVectors;
  private Optional<EmulatedDevice.Msix> msix = Optional.empty();
  private boolean express;
  private int nextCapability = FIRST_CAPABILITY;
  private int flrRegister = NO_REGISTER;
  private int msiControl = NO_REGISTER;
  private int msixControl = NO_REGISTER;

  private record Register(int offset, int size, long value, long writable, long clearable) {}

  EmulatedDeviceBuilder(int vendor, int device) {
    checkBits("vendor", vendor, 16);
    checkBits("device", device, 16);
    this.vendor = vendor;
    this.device = device;
    subsystemVendor = vendor;
    subsystem = device;
  }

  private static void checkBits(String what, int value, int bits) {
    if (value < 0 || value >>> bits != 0) {
      throw new IllegalArgumentException("%s: 0x%x, %d bits".formatted(what, value, bits));
    }
  }

  /** The revision, 8 bits; 0 if not said. */
  public EmulatedDeviceBuilder revision(int value) {
    checkBits("revision", value, 8);
    revision = value;
    return this;
  }

  /** Class, subclass and interface, 24 bits, as in 0x088000; 0xff0000 (other) if not said. */
  public EmulatedDeviceBuilder classCode(int value) {
    checkBits("class code", value, 24);
    classCode = value;
    return this;
  }

  /** The subsystem; vendor and device if not said. */
  public EmulatedDeviceBuilder subsystem(int itsVendor, int id) {
    checkBits("subsystem vendor", itsVendor, 16);
    checkBits("subsystem", id, 16);
    subsystemVendor = itsVendor;
    subsystem = id;
    return this;
  }

  /** A 32-bit memory BAR of registers. {@code size} is a power of two from 16 bytes to 2 GiB. */
  public EmulatedDeviceBuilder bar(int index, long size) {
    return bar(index, Region.registers(size), false);
  }

  /**
   * A memory BAR.
   *
   * @param index 0 to 5; a wide one takes the next index as well
   * @param region its size, a power of two of at least 16 bytes, and what of it can be mapped
   * @param wide64 whether it can lie above 4 GiB
   */
  public EmulatedDeviceBuilder bar(int index, Region region, boolean wide64) {
    long size = region.size();
    int last = wide64 ? index + 1 : index;
    if (index < 0 || last > 5 || taken(index) || taken(last)) {
      throw new IllegalArgumentException("BAR %d does not exist, or is there".formatted(index));
    }
    if (size < 16 || Long.bitCount(size) != 1 || (!wide64 && size > 1L << 31)) {
      throw new IllegalArgumentException("BAR %d: size=0x%x".formatted(index, size));
    }
    regions.set(index, region);
    wide.put(index, wide64);
    return this;
  }

  private boolean taken(int index) {
    return regions.get(index).size() != 0 || wide.getOrDefault(index - 1, false);
  }

  /** An interrupt pin: 1 for INTA to 4 for INTD. */
  public EmulatedDeviceBuilder intx(int itsPin) {
    if (itsPin < 1 || itsPin > 4) {
      throw new IllegalArgumentException("interrupt pin: " + itsPin);
    }
    pin = itsPin;
    return this;
  }

  /** MSI with 64-bit addresses; {@code vectors} is a power of two up to 32. */
  public EmulatedDeviceBuilder msi(int vectors) {
    if (vectors < 1 || vectors > 32 || Integer.bitCount(vectors) != 1) {
      throw new IllegalArgumentException("MSI vectors: " + vectors);
    }
    msiVectors = vectors;
    return this;
  }

  /**
   * MSI-X.
   *
   * @param vectors 1 to 2048
   * @param bar where its table and its pending bits are; they never reach the model
   * @param table offset in the BAR in bytes, a multiple of 8
   * @param pending offset in the BAR in bytes, a multiple of 8
   */
  public EmulatedDeviceBuilder msix(int vectors, int bar, int table, int pending) {
    EmulatedDevice.Msix wanted = new EmulatedDevice.Msix(bar, vectors, table, pending);
    boolean fits =
        vectors >= 1
            && vectors <= 2048
            && bar >= 0
            && bar <= 5
            && ((table | pending) & 7) == 0
            && Math.min(table, pending) >= 0
            && Math.max(table + wanted.tableSize(), pending + wanted.pendingSize())
                <= regions.get(bar).size()
            && (table + wanted.tableSize() <= pending || pending + wanted.pendingSize() <= table);
    if (!fits) {
      throw new IllegalArgumentException("MSI-X does not fit: " + wanted);
    }
    msix = Optional.of(wanted);
    return this;
  }

  /**
   * PCI Express: an endpoint integrated in the root complex, with function level reset and 4096
   * bytes of configuration space. Without it QEMU hides what lies above 256.
   */
  public EmulatedDeviceBuilder express() {
    express = true;
    return this;
  }

  /**
   * A register of the device's own in configuration space.
   *
   * @param offset bytes, above the header; needs {@link #express} from 256 on
   * @param size 1, 2, 4 or 8 bytes
   * @param value after power on
   * @param writable bits that can be written
   * @param clearable bits that are cleared by writing a one
   */
  public EmulatedDeviceBuilder register(
      int offset, int size, long value, long writable, long clearable) {
    registers.add(new Register(offset, size, value, writable, clearable));
    return this;
  }

  /** Makes the device. A builder makes one. */
  public EmulatedDevice build(PciModel model) {
    return new EmulatedDevice(this, model);
  }

  String name() {
    return "%04x:%04x".formatted(vendor, device);
  }

  List<Region> regions() {
    regions.set(
        Pci.CONFIG,
        Region.registers(express ? EmulatedConfig.EXPRESS : EmulatedConfig.CONVENTIONAL));
    return List.copyOf(regions);
  }

  List<Irq> irqs() {
    int message = Irq.EVENTFD | Irq.NORESIZE;
    return List.of(
        pin == 0 ? Irq.NONE : new Irq(1, Irq.EVENTFD | Irq.MASKABLE | Irq.AUTOMASKED),
        msiVectors == 0 ? Irq.NONE : new Irq(msiVectors, message),
        msix.map(m -> new Irq(m.vectors(), message)).orElse(Irq.NONE),
        Irq.NONE,
        Irq.NONE);
  }

  Optional<EmulatedDevice.Msix> msix() {
    return msix;
  }

  /** Where a one in the top bit resets the function, or {@link #NO_REGISTER}. */
  int flrRegister() {
    return flrRegister;
  }

  /** Where MSI is enabled, or {@link #NO_REGISTER}. */
  int msiControl() {
    return msiControl;
  }

  /** Where MSI-X is enabled and masked, or {@link #NO_REGISTER}. */
  int msixControl() {
    return msixControl;
  }

  EmulatedConfig config() {
    EmulatedConfig config =
        new EmulatedConfig(express ? EmulatedConfig.EXPRESS : EmulatedConfig.CONVENTIONAL);
    defineHeader(config);
    int link = EmulatedConfig.CAPABILITIES;
    if (express) {
      link = defineExpress(config, link);
    }
    if (msiVectors > 0) {
      link = defineMsi(config, link);
    }
    if (msix.isPresent()) {
      link = defineMsix(config, link, msix.get());
    }
    for (Register r : registers) {
      if (r.offset() < nextCapability || r.offset() > config.size() - r.size()) {
        throw new IllegalArgumentException(
            "a register at 0x%x: between 0x%x and 0x%x"
                .formatted(r.offset(), nextCapability, config.size()));
      }
      config.define(r.offset(), r.size(), r.value(), r.writable(), r.clearable());
    }
    return config;
  }

  private void defineHeader(EmulatedConfig config) {
    boolean capabilities = express || msiVectors > 0 || msix.isPresent();
    config.define(0x00, 2, vendor);
    config.define(0x02, 2, device);
    config.define(EmulatedConfig.COMMAND, 2, 0, 0x0546, 0);
    config.define(EmulatedConfig.STATUS, 2, capabilities ? 0x10 : 0, 0, 0xf900);
    config.define(0x08, 1, revision);
    config.define(0x09, 3, classCode);
    config.define(0x0c, 2, 0, 0xffff, 0);
    for (int bar = 0; bar < 6; bar++) {
      long size = regions.get(bar).size();
      if (size != 0) {
        boolean wide64 = wide.getOrDefault(bar, false);
        int width = wide64 ? 8 : 4;
        config.define(EmulatedConfig.BAR0 + 4 * bar, width, wide64 ? 4 : 0, -size, 0);
      }
    }
    config.define(0x2c, 2, subsystemVendor);
    config.define(0x2e, 2, subsystem);
    config.define(0x3c, 1, 0, 0xff, 0);
    config.define(0x3d, 1, pin);
  }

  /** Places a capability and links it; returns where the next link goes. */
  private int link(EmulatedConfig config, int link, int id, int size) {
    int at = nextCapability;
    config.define(link, 1, at);
    config.define(at, 1, id);
    nextCapability = (at + size + 3) & ~3;
    return at;
  }

  private int defineExpress(EmulatedConfig config, int link) {
    int at = link(config, link, 0x10, PCIE_SIZE);
    int version2 = 2;
    int integratedEndpoint = 9;
    config.define(at + 2, 2, version2 | integratedEndpoint << 4);
    long roleBasedErrors = 1 << 15;
    long functionLevelReset = 1 << 28;
    config.define(at + 4, 4, roleBasedErrors | functionLevelReset);
    config.define(at + PCIE_DEVICE_CONTROL, 2, 0x2810, 0x7fff, 0);
    config.define(at + 10, 2, 0, 0, 0xf);
    flrRegister = at + PCIE_DEVICE_CONTROL + 1;
    return at + 1;
  }

  private int defineMsi(EmulatedConfig config, int link) {
    int at = link(config, link, 0x05, 14);
    int address64 = 1 << 7;
    int count = Integer.numberOfTrailingZeros(msiVectors) << 1;
    msiControl = at + 2;
    config.define(msiControl, 2, address64 | count, 0x70 | EmulatedConfig.MSI_ENABLE, 0);
    config.define(at + 4, 4, 0, ~3L, 0);
    config.define(at + 8, 4, 0, -1L, 0);
    config.define(at + 12, 2, 0, 0xffff, 0);
    return at + 1;
  }

  private int defineMsix(EmulatedConfig config, int link, EmulatedDevice.Msix m) {
    int at = link(config, link, 0x11, 12);
    int writable = EmulatedConfig.MSIX_ENABLE | EmulatedConfig.MSIX_FUNCTION_MASK;
    msixControl = at + 2;
    config.define(msixControl, 2, m.vectors() - 1, writable, 0);
    config.define(at + 4, 4, m.table() | m.bar());
    config.define(at + 8, 4, m.pending() | m.bar());
    return at + 1;
  }
}
