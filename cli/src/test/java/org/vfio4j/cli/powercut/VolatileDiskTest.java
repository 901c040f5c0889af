// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.powercut;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a disk keeps, and what it loses. */
class VolatileDiskTest {
  private static final int BLOCKS = 64;
  private static final int BLOCK = 4096;

  @TempDir Path folder;

  private static byte[] filled(int length, int value) {
    byte[] all = new byte[length];
    Arrays.fill(all, (byte) value);
    return all;
  }

  /** Writes 1, flushes, writes 2 and has the power cut; how many blocks have 2 then. */
  private int kept(long seed, boolean lying) throws IOException {
    Path file = Files.write(folder.resolve("image"), filled(BLOCKS * BLOCK, 0));
    try (FileChannel image =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      VolatileDisk disk = new VolatileDisk(image, folder.resolve("socket"), seed, lying);
      disk.write(0, filled(BLOCKS * BLOCK, 1));
      disk.flush();
      disk.write(512, filled(BLOCKS * BLOCK - 512, 2));
      assertThat(disk.read(0, 513)).startsWith(1).endsWith(2);
      assertThat(disk.cut()).startsWith("cut: 2 writes, 1 flushes");
    }
    byte[] now = Files.readAllBytes(file);
    int kept = 0;
    for (int block = 0; block < BLOCKS; block++) {
      byte last = now[block * BLOCK + BLOCK - 1];
      assertThat(lying || last != 0).as("flushed, seed %d", seed).isTrue();
      kept += last == 2 ? 1 : 0;
    }
    return kept;
  }

  @Test
  void shouldLoseOnlyWhatWasNotFlushed() throws IOException {
    boolean all = false;
    boolean some = false;
    for (int seed = 0; seed < 30; seed++) {
      int kept = kept(seed, false);
      all |= kept == 0;
      some |= kept > 0 && kept < BLOCKS;
    }
    assertThat(all).isTrue();
    assertThat(some).isTrue();
  }

  @Test
  void shouldLoseWhatItSaidItFlushedWhereItLies() throws IOException {
    kept(1, true);
    Path file = folder.resolve("image");
    assertThat(Files.readAllBytes(file)).contains(0);
  }
}
