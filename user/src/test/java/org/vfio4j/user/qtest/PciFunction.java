// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

/** A PCI function on bus 0, through the ports 0xcf8 and 0xcfc. */
public final class PciFunction {
  /** The slot of the first device that QEMU is given. */
  public static final int FIRST_SLOT = 5;

  static final int COMMAND = 0x04;
  static final int STATUS = 0x06;
  static final int BAR0 = 0x10;
  static final int CAPABILITIES = 0x34;

  static final int MEMORY = 2;
  static final int BUS_MASTER = 4;

  static final int CAPABILITY_EXPRESS = 0x10;
  static final int CAPABILITY_MSI = 0x05;

  /** Of messages to addresses of a table. */
  public static final int CAPABILITY_MSIX = 0x11;

  /** Where {@link #enhanced} puts the configuration space of all functions. */
  private static final long ENHANCED = 0xb000_0000L;

  private static final int ADDRESS_PORT = 0xcf8;
  private static final int DATA_PORT = 0xcfc;

  private final Qtest qtest;
  private final int slot;

  /** The one in a slot. */
  public PciFunction(Qtest qtest, int slot) {
    this.qtest = qtest;
    this.slot = slot;
  }

  private void select(int offset) {
    qtest.out(ADDRESS_PORT, 4, 0x8000_0000L | (long) slot << 11 | offset & 0xfc);
  }

  public int get(int offset, int size) {
    select(offset);
    return (int) qtest.in(DATA_PORT + (offset & 3), size);
  }

  public int get(int offset) {
    return get(offset, 4);
  }

  public void set(int offset, int size, long value) {
    select(offset);
    qtest.out(DATA_PORT + (offset & 3), size, value & (-1L >>> 64 - 8 * size));
  }

  void set(int offset, long value) {
    set(offset, 4, value);
  }

  /** Where the capability is, or 0. */
  public int capability(int id) {
    int at = get(CAPABILITIES, 1);
    for (int steps = 0; at != 0 && steps < 48; steps++) {
      if (get(at, 1) == id) {
        return at;
      }
      at = get(at + 1, 1);
    }
    return 0;
  }

  /** Puts BAR 0 there; memory decode and DMA on. Returns the address. */
  public long enable(long address) {
    set(BAR0, address);
    set(COMMAND, 2, MEMORY | BUS_MASTER);
    return address;
  }

  /** The address of its 4 KiB of configuration space in memory, which the bridge is told first. */
  long enhanced() {
    new PciFunction(qtest, 0).set(0x60, ENHANCED | 1);
    return ENHANCED + ((long) slot << 15);
  }
}
