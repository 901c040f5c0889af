// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.iommu.DmaFault;
import org.vfio4j.user.devices.Ioat;

/** A guest that has the IOAT device copy. */
@Timeout(60)
class IoatInQemuTest {
  private static final long PLACE = 0xc000_0000L;
  private static final int ERROR_NEXT_ADDRESS = 0x0004;
  private static final int ERROR_READ = 0x0100;
  private static final int ERROR_WRITE = 0x0200;

  @TempDir Path folder = Path.of("");

  private interface Body {
    void run(Qtest qtest, IoatDriver ioat, Plug plug);
  }

  private void plugged(Body body) throws IOException {
    try (Plug plug = Plug.in(folder, Ioat.create());
        Qemu qemu = Qemu.start(folder, plug)) {
      new PciFunction(qemu.qtest, 5).enable(PLACE);
      body.run(qemu.qtest, new IoatDriver(qemu.qtest, PLACE), plug);
    }
  }

  private static byte[] random(long seed, int count) {
    byte[] bytes = new byte[count];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  @Test
  void shouldCopyAChainAndWriteItsCompletion() throws Exception {
    int count = 20;
    long chain = 0x10_0000;
    long from = 0x20_0000;
    long to = 0x40_0123;
    long completion = 0x50_0000;
    plugged(
        (qtest, ioat, plug) -> {
          byte[] data = random(1, count * 4096);
          qtest.writeBytes(from, data);
          for (int n = 0; n < count; n++) {
            boolean last = n == count - 1;
            // Descriptors of one chain lie apart, and backwards.
            long at = chain + 0x1040L * (count - n);
            ioat.describe(
                at,
                4096,
                last ? IoatDriver.COMPLETION : 0,
                from + 4096L * n,
                to + 4096L * n,
                last ? 0 : chain + 0x1040L * (count - n - 1));
          }
          ioat.start(chain + 0x1040L * count, completion, count);
          assertThat(ioat.awaitEnd()).isZero();
          long last = chain + 0x1040;
          assertThat(ioat.status()).isEqualTo(last | IoatDriver.DONE);
          assertThat(qtest.read(completion, 8)).isEqualTo(last | IoatDriver.DONE);
          assertThat(qtest.readBytes(to, data.length)).isEqualTo(data);
          assertThat(qtest.readBytes(to - 64, 64)).isEqualTo(new byte[64]);
          assertThat(qtest.readBytes(to + data.length, 64)).isEqualTo(new byte[64]);
          assertThat(plug.space().faults()).isEmpty();
        });
  }

  @Test
  void shouldHaltAtTheFirstAddressThatIsNotMappedAndGoOnAfterAReset() throws Exception {
    long nowhere = Qemu.MEMORY_END + 0x4000;
    plugged(
        (qtest, ioat, plug) -> {
          qtest.writeBytes(0x20_0000, random(2, 4096));
          assertThat(ioat.copy(nowhere, 0x30_0000, 4096)).isEqualTo(ERROR_READ);
          assertThat(ioat.status() & 7).isEqualTo(IoatDriver.HALTED);
          assertThat(ioat.copy(0x20_0000, nowhere, 4096)).isEqualTo(ERROR_WRITE);
          ioat.start(nowhere, 0, 1);
          assertThat(ioat.awaitEnd()).isEqualTo(ERROR_NEXT_ADDRESS);
          assertThat(plug.space().faults())
              .extracting(DmaFault::iova)
              .containsExactly(nowhere, nowhere, nowhere);
          assertThat(qtest.readBytes(0x30_0000, 4096)).isEqualTo(new byte[4096]);
          assertThat(ioat.copy(0x20_0000, 0x30_0000, 4096)).isZero();
          assertThat(qtest.readBytes(0x30_0000, 4096)).isEqualTo(random(2, 4096));
        });
  }

  @Test
  void shouldStopAtTheEndOfMemoryWithinADescriptor() throws Exception {
    plugged(
        (qtest, ioat, plug) -> {
          qtest.writeBytes(0x20_0000, random(3, 4096));
          long across = Qemu.MEMORY_END - 100;
          assertThat(ioat.copy(0x20_0000, across, 4096)).isEqualTo(ERROR_WRITE);
          assertThat(plug.space().faults())
              .extracting(DmaFault::iova)
              .containsExactly(Qemu.MEMORY_END);
          assertThat(qtest.readBytes(across, 100)).isEqualTo(random(3, 100));
        });
  }

  @Test
  void shouldReadTheFirmwareBelow4GiBByMessage() throws Exception {
    long firmware = 0xfffc_0000L;
    plugged(
        (qtest, ioat, plug) -> {
          for (long at = 0; at < 0x4_0000; at += 0x1_0000 - 0x1000) {
            assertThat(ioat.copy(firmware + at, 0x20_0000 + at, 4096)).isZero();
            assertThat(qtest.readBytes(0x20_0000 + at, 4096))
                .isEqualTo(qtest.readBytes(firmware + at, 4096));
          }
          assertThat(ioat.copy(0x20_0000, firmware, 64)).isEqualTo(ERROR_WRITE);
        });
  }
}
