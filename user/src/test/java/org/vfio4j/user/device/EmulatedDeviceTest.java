// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.EventFd;

/** What a user finds in the configuration space and the BARs of a device that was built. */
class EmulatedDeviceTest {
  private static final int PM = 0x01;
  private static final int MSI = 0x05;
  private static final int EXPRESS = 0x10;
  private static final int MSIX = 0x11;

  /** Notes what reaches it. */
  private static final class Noting implements PciModel {
    private final List<String> calls = new ArrayList<>();

    @Override
    public long read(int bar, long offset, int size) {
      calls.add("read %d 0x%x %d".formatted(bar, offset, size));
      return 0x8877665544332211L;
    }

    @Override
    public void write(int bar, long offset, int size, long value) {
      calls.add("write %d 0x%x %d 0x%x".formatted(bar, offset, size, value));
    }

    @Override
    public void attached(DeviceBus bus) {
      calls.add("attached");
    }

    @Override
    public void reset() {
      calls.add("reset");
    }

    @Override
    public void detached() {
      calls.add("detached");
    }
  }

  private final Noting model = new Noting();
  private final Plugged p =
      new Plugged(
          EmulatedDevice.builder(0x1234, 0x5678)
              .revision(3)
              .classCode(0x020000)
              .subsystem(0xabcd, 0xef01)
              .bar(0, 0x4000)
              .bar(2, Region.registers(1L << 33), true)
              .intx(2)
              .msi(4)
              .msix(70, 0, 0x1000, 0x2000)
              .express()
              .register(0x148, 4, 0xff, 0x0f, 0xf0)
              .build(model));

  @AfterEach
  void close() {
    p.close();
  }

  private OptionalInt capability(int id) {
    for (int at = (int) p.read(Pci.CONFIG, 0x34, 1); at != 0; at = next(at)) {
      if (p.read(Pci.CONFIG, at, 1) == id) {
        return OptionalInt.of(at);
      }
    }
    return OptionalInt.empty();
  }

  private int next(int at) {
    return (int) p.read(Pci.CONFIG, at + 1, 1);
  }

  @Test
  void shouldShowItsIdentityAndNotLetItBeWritten() {
    for (int n = 0; n < 0x40; n += 4) {
      if (n != EmulatedConfig.COMMAND) {
        p.write(Pci.CONFIG, n, 4, 0xffff_ffffL);
      }
    }
    assertThat(p.read(Pci.CONFIG, 0, 4)).isEqualTo(0x56781234L);
    assertThat(p.read(Pci.CONFIG, 8, 4)).isEqualTo(0x02000003L);
    assertThat(p.read(Pci.CONFIG, 0x2c, 4)).isEqualTo(0xef01abcdL);
    assertThat(p.read(Pci.CONFIG, 0x3d, 1)).isEqualTo(2);
    assertThat(p.read(Pci.CONFIG, 0x0e, 1)).as("header type").isZero();
    assertThat(p.device.regions().get(Pci.CONFIG).size()).isEqualTo(4096);
    assertThat(p.device.irqs()).hasSize(Pci.IRQS);
  }

  @Test
  void shouldTellTheSizeOfBarsToWhoWritesOnes() {
    for (int n = 0x10; n < 0x28; n += 4) {
      p.write(Pci.CONFIG, n, 4, 0xffff_ffffL);
    }
    assertThat(p.read(Pci.CONFIG, 0x10, 4)).isEqualTo(0xffffc000L);
    assertThat(p.read(Pci.CONFIG, 0x14, 4)).as("no such BAR").isZero();
    assertThat(p.read(Pci.CONFIG, 0x18, 8)).isEqualTo(-(1L << 33) | 4);
    assertThat(p.read(Pci.CONFIG, 0x20, 8)).isZero();
    p.write(Pci.CONFIG, 0x10, 4, 0xfeb01234L);
    assertThat(p.read(Pci.CONFIG, 0x10, 4)).isEqualTo(0xfeb00000L);
  }

  @Test
  void shouldLinkItsCapabilities() {
    assertThat(p.read(Pci.CONFIG, 6, 2) & 0x10).isEqualTo(0x10);
    int express = capability(EXPRESS).orElseThrow();
    assertThat(p.read(Pci.CONFIG, express + 2, 2)).as("integrated endpoint").isEqualTo(0x92);
    int msi = capability(MSI).orElseThrow();
    assertThat(p.read(Pci.CONFIG, msi + 2, 2)).as("64 bits, 4 vectors").isEqualTo(0x84);
    int msix = capability(MSIX).orElseThrow();
    assertThat(p.read(Pci.CONFIG, msix + 2, 2)).isEqualTo(69);
    assertThat(p.read(Pci.CONFIG, msix + 4, 8)).isEqualTo(0x2000_0000_1000L);
    p.write(Pci.CONFIG, msix + 2, 2, 0xffff);
    assertThat(p.read(Pci.CONFIG, msix + 2, 2)).isEqualTo(0xc000 | 69);
    assertThat(capability(PM)).isEmpty();
    assertThat(p.read(Pci.CONFIG, 0x100, 4)).as("no extended capability").isZero();
    p.write(Pci.CONFIG, 0x148, 4, 0x33);
    assertThat(p.read(Pci.CONFIG, 0x148, 4)).as("written, cleared by ones").isEqualTo(0xc3);
  }

  @Test
  void shouldResetTheFunction() {
    int express = capability(EXPRESS).orElseThrow();
    p.write(Pci.CONFIG, 0x10, 4, 0xfeb00000L);
    p.write(Pci.CONFIG, express + 8, 2, 0xa810);
    assertThat(model.calls).containsExactly("attached", "reset");
    assertThat(p.read(Pci.CONFIG, 0x10, 4)).isZero();
    assertThat(p.device.busMaster()).isFalse();
  }

  @Test
  void shouldCutAccessesIntoAlignedPieces() {
    model.calls.clear();
    MemorySegment bytes = MemorySegment.ofArray(new byte[13]);
    p.device.read(0, 3, bytes, 0, 13);
    p.device.write(2, (1L << 33) - 6, bytes, 0, 6);
    assertThat(model.calls)
        .containsExactly(
            "read 0 0x3 1",
            "read 0 0x4 4",
            "read 0 0x8 8",
            "write 2 0x1fffffffa 2 0x1111",
            "write 2 0x1fffffffc 4 0x11443322");
  }

  @Test
  void shouldRefuseWhatIsNotThere() {
    MemorySegment bytes = MemorySegment.ofArray(new byte[16]);
    model.calls.clear();
    long[][] outside = {{0, 0x4000, 1}, {0, -1, 1}, {0, 0x3ffc, 8}, {7, 4095, 2}, {9, 0, 1}};
    for (long[] o : outside) {
      assertThatThrownBy(() -> p.device.read((int) o[0], o[1], bytes, 0, (int) o[2]))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> p.device.write((int) o[0], o[1], bytes, 0, (int) o[2]))
          .isInstanceOf(IndexOutOfBoundsException.class);
    }
    assertThatThrownBy(() -> p.device.read(1, 0, bytes, 0, 1)).isInstanceOf(VfioException.class);
    assertThat(model.calls).isEmpty();
  }

  @Test
  void shouldKeepTheTableOfMsixAndItsPendingBits() {
    model.calls.clear();
    assertThat(p.read(0, 0x1000 + 69 * 16 + 12, 4)).as("masked after power on").isEqualTo(1);
    p.write(0, 0x1010, 8, 0x1122334455667788L);
    assertThat(p.read(0, 0x1010, 8)).isEqualTo(0x1122334455667788L);
    try (EventFd first = p.connect(Pci.MSIX, 0)) {
      DeviceBus bus = new DeviceBus(p.device, p.dma, p.interrupts);
      bus.signal(0);
      assertThat(first.take()).isEqualTo(1);
      bus.signal(69);
      assertThat(p.read(0, 0x2008, 8)).isEqualTo(1L << 5);
      try (EventFd last = p.connect(Pci.MSIX, 69)) {
        assertThat(last.take()).as("delivered when it can be").isEqualTo(1);
        assertThat(p.read(0, 0x2008, 8)).isZero();
      }
    }
    assertThat(model.calls).isEmpty();
  }

  @Test
  void shouldRefuseToBuildWhatCannotBe() {
    EmulatedDeviceBuilder b = EmulatedDevice.builder(1, 2).bar(0, 4096);
    assertThatThrownBy(() -> b.bar(0, 4096)).hasMessageContaining("BAR 0");
    assertThatThrownBy(() -> b.bar(1, 100)).hasMessageContaining("size=0x64");
    assertThatThrownBy(() -> b.bar(5, Region.registers(4096), true)).hasMessageContaining("BAR 5");
    assertThatThrownBy(() -> b.msix(300, 0, 0, 2048)).hasMessageContaining("does not fit");
    assertThatThrownBy(() -> b.msi(3)).hasMessageContaining("MSI");
    assertThatThrownBy(() -> b.register(0x148, 4, 0, 0, 0).build(model))
        .hasMessageContaining("0x148");
    assertThatThrownBy(() -> EmulatedDevice.builder(0x10000, 0)).hasMessageContaining("vendor");
  }

  @Test
  void shouldRefuseWhatIsNoEventfd() {
    assertThatThrownBy(
            () ->
                p.interrupts.connect(Pci.MSI, 0, List.of(p.memory.file().map(f -> f.duplicate()))))
        .isInstanceOf(VfioException.class)
        .hasMessageContaining("eventfd");
    assertThatThrownBy(() -> p.interrupts.connect(Pci.MSI, 4, List.of(java.util.Optional.empty())))
        .isInstanceOf(VfioException.class);
    assertThatThrownBy(() -> p.interrupts.mask(Pci.MSI, 0, 1)).isInstanceOf(VfioException.class);
    assertThatThrownBy(() -> p.interrupts.disconnect(5)).isInstanceOf(VfioException.class);
  }
}
