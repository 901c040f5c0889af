// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.devices;

import java.util.Optional;
import org.vfio4j.user.device.DeviceBus;
import org.vfio4j.user.device.EmulatedDevice;
import org.vfio4j.user.device.PciModel;

/**
 * Intel's I/OAT DMA engine (8086:2021, Sky Lake server) with one channel and one operation, copy:
 * what Linux's {@code ioatdma} driver and the driver of the kernel's VFIO selftests need. It
 * reports version 3.3 and neither RAID nor direct cache access.
 *
 * <p>This class is the registers of the device (offsets below 0x80 of BAR 0) and of its channel
 * (0x80 to 0xff); {@link IoatChannel} does the work, on a thread of its own.
 */
public final class Ioat implements PciModel {
  /** Bytes of BAR 0. */
  public static final int BAR_SIZE = 0x4000;

  /** log2 of the bytes that one descriptor may copy at most. */
  public static final int TRANSFER_BITS = 12;

  private static final int MSIX_TABLE = 0x2000;
  private static final int MSIX_PENDING = 0x3000;

  private static final int CHANCNT = 0x00;
  private static final int XFERCAP = 0x01;
  private static final int INTRCTRL = 0x03;
  private static final int ATTNSTATUS = 0x04;
  private static final int VERSION = 0x08;

  private static final int INTRCTRL_MASTER = 1;
  private static final int INTRCTRL_STATUS = 2;
  private static final int INTRCTRL_PENDING = 4;
  private static final int INTRCTRL_MSIX = 8;

  private static final int CHANNEL = 0x80;
  private static final int CHANNEL_END = 0x100;

  private final RegisterFile registers = new RegisterFile(BAR_SIZE);
  private Optional<DeviceBus> bus = Optional.empty();
  private Optional<IoatChannel> channel = Optional.empty();

  private Ioat() {
    powerOn();
  }

  /** A new device, to be served. */
  public static EmulatedDevice create() {
    return EmulatedDevice.builder(0x8086, 0x2021)
        .revision(4)
        .classCode(0x088000)
        .subsystem(0x8086, 0)
        .bar(0, BAR_SIZE)
        .intx(1)
        .express()
        .msix(1, 0, MSIX_TABLE, MSIX_PENDING)
        // DMAUNCERRSTS, CHANERR_INT and its mask: drivers clear them, nothing sets them.
        .register(0x148, 4, 0, 0, 0xffff_ffffL)
        .register(0x180, 4, 0, 0, 0xffff_ffffL)
        .register(0x184, 4, 0, 0xffff_ffffL, 0)
        .build(new Ioat());
  }

  private synchronized void powerOn() {
    registers.clear();
    registers.set(CHANCNT, 1, 1);
    registers.set(XFERCAP, 1, TRANSFER_BITS);
    registers.set(VERSION, 1, 0x33);
    setAttention(false);
  }

  @Override
  public long read(int bar, long offset, int size) {
    int at = (int) offset;
    if (at >= CHANNEL && at < CHANNEL_END) {
      return channel.map(c -> c.read(at - CHANNEL, size)).orElse(0L);
    }
    return readDevice(at, size);
  }

  private synchronized long readDevice(int at, int size) {
    long value = registers.get(at, size);
    if (at <= ATTNSTATUS && at + size > ATTNSTATUS) {
      // Reading it is how a driver acknowledges an interrupt.
      setAttention(false);
    }
    return value;
  }

  @Override
  public void write(int bar, long offset, int size, long value) {
    int at = (int) offset;
    if (at >= CHANNEL && at < CHANNEL_END) {
      channel.ifPresent(c -> c.write(at - CHANNEL, size, value));
      return;
    }
    synchronized (this) {
      if (at == INTRCTRL && size == 1) {
        int kept = INTRCTRL_STATUS | INTRCTRL_PENDING;
        long status = registers.get(INTRCTRL, 1) & kept;
        registers.set(INTRCTRL, 1, status | value & ~kept);
        setAttention(registers.get(ATTNSTATUS, 4) != 0);
      } else if (at >= 0x0c && at < 0x0e && size <= 2) {
        registers.set(at, size, value);
      }
    }
  }

  /** The channel has something to say: a vector, or the pin until ATTNSTATUS is read. */
  synchronized void interrupt() {
    long control = registers.get(INTRCTRL, 1);
    if ((control & (INTRCTRL_MASTER | INTRCTRL_MSIX)) == 0) {
      return;
    }
    setAttention(true);
    bus.ifPresent(b -> b.signal(0));
  }

  private void setAttention(boolean on) {
    registers.set(ATTNSTATUS, 4, on ? 1 : 0);
    long control = registers.get(INTRCTRL, 1) & ~(INTRCTRL_STATUS | INTRCTRL_PENDING);
    boolean enabled = (control & INTRCTRL_MASTER) != 0;
    if (on) {
      control |= INTRCTRL_STATUS | (enabled ? INTRCTRL_PENDING : 0);
    }
    registers.set(INTRCTRL, 1, control);
    bus.ifPresent(b -> b.intx(on && enabled));
  }

  @Override
  public void attached(DeviceBus to) {
    synchronized (this) {
      bus = Optional.of(to);
    }
    channel = Optional.of(new IoatChannel(to, this::interrupt));
  }

  @Override
  public void reset() {
    channel.ifPresent(IoatChannel::powerOn);
    powerOn();
  }

  @Override
  public void detached() {
    channel.ifPresent(IoatChannel::close);
    channel = Optional.empty();
    powerOn();
    synchronized (this) {
      bus = Optional.empty();
    }
  }
}
