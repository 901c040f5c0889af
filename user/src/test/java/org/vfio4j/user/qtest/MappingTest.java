// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.user.devices.Ioat;

/** What QEMU maps for the device, and that it follows when the guest changes the memory's map. */
@Timeout(60)
class MappingTest {
  private static final long PLACE = 0xc000_0000L;

  /**
   * Of a machine that was just reset: memory below 768 KiB and above 1 MiB, two ROMs between, and
   * the firmware below 4 GiB. The ROMs have no descriptor.
   */
  private static final int AT_START = 5;

  private static final int ERROR_WRITE = 0x0200;

  /** PAM1, whose high half is for 0xc4000 to 0xc7fff. */
  private static final int PAM1 = 0x91;

  private static final int FROM_MEMORY = 0x10;
  private static final int TO_MEMORY = 0x20;
  private static final long SHADOW = 0xc_4000;
  private static final long SOURCE = 0x20_0000;
  private static final long TARGET = 0x30_0000;

  @TempDir Path folder = Path.of("");

  private static byte[] filled(int value) {
    byte[] bytes = new byte[4096];
    Arrays.fill(bytes, (byte) value);
    return bytes;
  }

  @Test
  void shouldHaveAllOfMemoryAndTheRomsWithoutDescriptor() throws Exception {
    try (Plug plug = Plug.in(folder, Ioat.create());
        Qemu qemu = Qemu.start(folder, plug)) {
      Qtest qtest = qemu.qtest;
      new PciFunction(qtest, 5).enable(PLACE);
      IoatDriver ioat = new IoatDriver(qtest, PLACE);
      assertThat(plug.space().mappings()).isEqualTo(AT_START);
      long[] writable = {0, 0xb_f000, 0x10_0000, Qemu.MEMORY_END - 4096};
      for (long at : writable) {
        byte[] mark = filled((int) (at >> 12));
        qtest.writeBytes(SOURCE, mark);
        assertThat(ioat.copy(SOURCE, at, 4096)).as("to 0x%x", at).isZero();
        assertThat(qtest.readBytes(at, 4096)).isEqualTo(mark);
      }
      long[] readable = {0xc_0000, 0xd_f000, 0xe_0000, 0xf_f000, 0xfffc_0000L, 0xffff_f000L};
      for (long at : readable) {
        assertThat(ioat.copy(at, TARGET, 4096)).as("from 0x%x", at).isZero();
        assertThat(qtest.readBytes(TARGET, 4096)).isEqualTo(qtest.readBytes(at, 4096));
        assertThat(ioat.copy(SOURCE, at, 64)).as("to 0x%x", at).isEqualTo(ERROR_WRITE);
      }
      assertThat(plug.space().faults()).hasSize(readable.length);
    }
  }

  @Test
  void shouldFollowWhenMemoryIsPutInPlaceOfARom() throws Exception {
    try (Plug plug = Plug.in(folder, Ioat.create());
        Qemu qemu = Qemu.start(folder, plug)) {
      Qtest qtest = qemu.qtest;
      new PciFunction(qtest, 5).enable(PLACE);
      PciFunction bridge = new PciFunction(qtest, 0);
      IoatDriver ioat = new IoatDriver(qtest, PLACE);
      byte[] rom = qtest.readBytes(SHADOW, 4096);
      byte[] mark = filled(0x5a);
      qtest.writeBytes(SOURCE, mark);
      assertThat(ioat.copy(SOURCE, SHADOW, 4096)).as("a ROM").isEqualTo(ERROR_WRITE);

      bridge.set(PAM1, 1, FROM_MEMORY | TO_MEMORY);
      assertThat(ioat.copy(SOURCE, SHADOW, 4096)).as("memory").isZero();
      assertThat(plug.space().mappings()).isEqualTo(AT_START + 2);
      assertThat(qtest.readBytes(SHADOW, 4096)).isEqualTo(mark);
      assertThat(ioat.copy(SOURCE, SHADOW - 4096, 4096)).as("beside it").isEqualTo(ERROR_WRITE);
      assertThat(ioat.copy(SOURCE, SHADOW + 0x4000, 4096)).as("beside it").isEqualTo(ERROR_WRITE);

      bridge.set(PAM1, 1, FROM_MEMORY);
      assertThat(ioat.copy(SOURCE, SHADOW, 4096)).as("read only").isEqualTo(ERROR_WRITE);
      assertThat(ioat.copy(SHADOW, TARGET, 4096)).isZero();
      assertThat(qtest.readBytes(TARGET, 4096)).isEqualTo(mark);

      bridge.set(PAM1, 1, 0);
      assertThat(ioat.copy(SHADOW, TARGET, 4096)).isZero();
      assertThat(plug.space().mappings()).isEqualTo(AT_START);
      assertThat(qtest.readBytes(TARGET, 4096)).as("the ROM again").isEqualTo(rom);
    }
  }

  @Test
  void shouldFollowHundredsOfRemaps() throws Exception {
    try (Plug plug = Plug.in(folder, Ioat.create());
        Qemu qemu = Qemu.start(folder, plug)) {
      Qtest qtest = qemu.qtest;
      new PciFunction(qtest, 5).enable(PLACE);
      PciFunction bridge = new PciFunction(qtest, 0);
      IoatDriver ioat = new IoatDriver(qtest, PLACE);
      for (int round = 0; round < 40; round++) {
        // Each of PAM0 to PAM6 is on its own half the time.
        for (int pam = 0; pam < 7; pam++) {
          bridge.set(0x90 + pam, 1, (round * 7 + pam * 3) % 4 < 2 ? 0x33 : 0);
        }
        boolean memory = bridge.get(PAM1, 1) != 0;
        qtest.writeBytes(SOURCE, filled(round + 1));
        int error = ioat.copy(SOURCE, SHADOW, 4096);
        assertThat(error).as("round %d", round).isEqualTo(memory ? 0 : ERROR_WRITE);
        if (memory) {
          assertThat(qtest.readBytes(SHADOW, 4096)).isEqualTo(filled(round + 1));
        }
      }
      // A reset of the machine would leave these as they are.
      for (int pam = 0; pam < 7; pam++) {
        bridge.set(0x90 + pam, 1, 0);
      }
      assertThat(ioat.copy(SOURCE, TARGET, 4096)).isZero();
      assertThat(plug.space().mappings()).isEqualTo(AT_START);
    }
  }
}
