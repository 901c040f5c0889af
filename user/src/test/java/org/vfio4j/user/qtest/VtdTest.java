// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.user.devices.Ioat;

/**
 * The device behind an emulated VT-d, whose tables the test writes: what is not in them cannot be
 * reached, and what replaces it can.
 */
@Timeout(60)
class VtdTest {
  private static final long PLACE = 0xc000_0000L;
  private static final int SLOT = 5;

  private static final long UNIT = 0xfed9_0000L;
  private static final int GLOBAL_COMMAND = 0x18;
  private static final int GLOBAL_STATUS = 0x1c;
  private static final int ROOT_ADDRESS = 0x20;
  private static final int CONTEXT_COMMAND = 0x28;
  private static final int IOTLB = 0xf8;
  private static final int SET_ROOT = 1 << 30;
  private static final int TRANSLATE = 1 << 31;
  private static final long INVALIDATE = 1L << 63;

  /** The tables, one page each: root, context, and three levels for 39 bits. */
  private static final long ROOT = 0x60_0000;

  private static final long CONTEXT = 0x60_1000;
  private static final long LEVEL3 = 0x60_2000;
  private static final long LEVEL2 = 0x60_3000;
  private static final long LEVEL1 = 0x60_4000;
  private static final int READ_WRITE = 3;
  private static final int READ_ONLY = 1;
  private static final int LEVELS_3 = 1;
  private static final int DOMAIN = 1 << 8;

  private static final long CHAIN = 0x50_0000;
  private static final long SOURCE = 0x20_0000;
  private static final long TARGET = 0x30_0000;

  /** IOVAs: the first pages of the first 2 MiB. */
  private static final long CHAIN_IOVA = 0x1000;

  private static final long SOURCE_IOVA = 0x2000;
  private static final long TARGET_IOVA = 0x3000;

  private static final int ERROR_NEXT_ADDRESS = 0x0004;
  private static final int ERROR_WRITE = 0x0200;

  @TempDir Path folder = Path.of("");

  private static byte[] filled(int value) {
    byte[] bytes = new byte[4096];
    Arrays.fill(bytes, (byte) value);
    return bytes;
  }

  private static void command(Qtest qtest, int bit) {
    qtest.writel(UNIT + GLOBAL_COMMAND, bit);
    qtest.await("VT-d", () -> (qtest.readl(UNIT + GLOBAL_STATUS) & bit) != 0);
  }

  /** The page at an IOVA below 2 MiB; {@code entry} 0 is none. */
  private static void page(Qtest qtest, long iova, long entry) {
    qtest.writeq(LEVEL1 + (iova >> 12) * 8, entry);
  }

  /** Of all domains. */
  private static void invalidate(Qtest qtest) {
    qtest.writeq(UNIT + IOTLB, INVALIDATE | 1L << 60);
    qtest.await("the invalidation", () -> qtest.read(UNIT + IOTLB, 8) >= 0);
  }

  private static void translate(Qtest qtest) {
    qtest.writeq(ROOT, CONTEXT | 1);
    long context = CONTEXT + (SLOT << 3) * 16L;
    qtest.writeq(context, LEVEL3 | 1);
    qtest.writeq(context + 8, DOMAIN | LEVELS_3);
    qtest.writeq(LEVEL3, LEVEL2 | READ_WRITE);
    qtest.writeq(LEVEL2, LEVEL1 | READ_WRITE);
    qtest.writeq(UNIT + ROOT_ADDRESS, ROOT);
    command(qtest, SET_ROOT);
    qtest.writeq(UNIT + CONTEXT_COMMAND, INVALIDATE | 1L << 61);
    invalidate(qtest);
    command(qtest, TRANSLATE);
  }

  private static int copy(IoatDriver ioat) {
    ioat.describe(CHAIN, 4096, 0, SOURCE_IOVA, TARGET_IOVA, 0);
    ioat.start(CHAIN_IOVA, 0, 1);
    return ioat.awaitEnd();
  }

  @Test
  void shouldReachWhatTheTablesMapAndWhatReplacesIt() throws Exception {
    try (Plug plug = Plug.in(folder, Ioat.create());
        Qemu qemu =
            Qemu.start(
                folder, List.of("-device", "intel-iommu,intremap=on,caching-mode=on"), plug)) {
      Qtest qtest = qemu.qtest;
      new PciFunction(qtest, SLOT).enable(PLACE);
      IoatDriver ioat = new IoatDriver(qtest, PLACE);
      assertThat(ioat.copy(SOURCE, TARGET, 4096)).as("not translated yet").isZero();

      translate(qtest);
      assertThat(copy(ioat)).as("nothing is mapped").isEqualTo(ERROR_NEXT_ADDRESS);
      assertThat(plug.space().mappings()).isZero();

      page(qtest, CHAIN_IOVA, CHAIN | READ_ONLY);
      page(qtest, SOURCE_IOVA, SOURCE | READ_ONLY);
      page(qtest, TARGET_IOVA, TARGET | READ_ONLY);
      invalidate(qtest);
      assertThat(copy(ioat)).as("read only").isEqualTo(ERROR_WRITE);
      assertThat(plug.space().mappings()).isEqualTo(3);

      for (int round = 1; round <= 20; round++) {
        // Each round the same IOVA is another page.
        long target = TARGET + 0x1000L * round;
        page(qtest, TARGET_IOVA, 0);
        invalidate(qtest);
        page(qtest, TARGET_IOVA, target | READ_WRITE);
        invalidate(qtest);
        qtest.writeBytes(SOURCE, filled(round));
        assertThat(copy(ioat)).as("round %d", round).isZero();
        assertThat(qtest.readBytes(target, 4096)).isEqualTo(filled(round));
        assertThat(qtest.readBytes(target - 4096, 4096))
            .as("the page before")
            .isEqualTo(filled(round - 1));
      }

      page(qtest, TARGET_IOVA, 0);
      invalidate(qtest);
      assertThat(copy(ioat)).as("gone").isEqualTo(ERROR_WRITE);
      assertThat(plug.space().mappings()).isEqualTo(2);
    }
  }
}
