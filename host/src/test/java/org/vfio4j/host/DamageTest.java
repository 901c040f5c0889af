// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.host.input.BadInputException;

/** Whatever happens to a source, it is read or refused with one line; nothing else comes out. */
class DamageTest {

  private static Optional<BadInputException> read(byte[] content) {
    try {
      List<HostTopology> hosts = HostSource.parse("file", "file", content);
      assertThat(hosts).isNotEmpty();
      for (HostTopology host : hosts) {
        byte[] written = CaptureWriter.write(host).getBytes(StandardCharsets.UTF_8);
        assertThat(HostSource.parse("again", "again", written)).containsExactly(host);
      }
      return Optional.empty();
    } catch (BadInputException e) {
      assertThat(e.getMessage()).startsWith("file:").doesNotContain("\n");
      return Optional.of(e);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"small.umockdev", "verbose.lspci", "boots.dmesg", "boards.md"})
  void shouldSurviveEveryTruncation(String sample) {
    byte[] whole = Samples.text(sample).getBytes(StandardCharsets.UTF_8);
    assertThat(read(whole)).isEmpty();
    for (int length = 0; length < whole.length; length += 1 + length / 400) {
      read(Arrays.copyOf(whole, length));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"small.umockdev", "verbose.lspci", "boots.dmesg", "boards.md"})
  void shouldSurviveRandomDamage(String sample) {
    long seed = 20261122;
    Random random = new Random(seed);
    byte[] whole = Samples.text(sample).getBytes(StandardCharsets.UTF_8);
    for (int round = 0; round < 1000; round++) {
      byte[] damaged = whole.clone();
      for (int hits = random.nextInt(1, 8); hits > 0; hits--) {
        int at = random.nextInt(damaged.length);
        damaged[at] = whole[random.nextInt(whole.length)];
      }
      try {
        read(damaged);
      } catch (RuntimeException e) {
        fail("seed %d, round %d, %s".formatted(seed, round, sample), e);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "IOMMU Group 1 01:00.0 0302: 1af4:0201\n",
        ">>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>",
        "with 1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1",
        "\n[    1.000000] pci 0000:01:00.0: DMAR: Setting identity map [0x1 - 0x2]",
        "# heading\nIOMMU Group 1:\n",
        "{\"a\":",
        "[1,"
      })
  void shouldEndSoonOnEndlessRepetition(String text) {
    byte[] content = text.repeat((8 << 20) / text.length()).getBytes(StandardCharsets.UTF_8);
    long start = System.nanoTime();
    read(content);
    assertThat((System.nanoTime() - start) / 1_000_000).isLessThan(20_000);
  }

  @Test
  void shouldBoundTheNumberOfFunctions() {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < 66_000; i++) {
      PciAddress address = new PciAddress(i >> 16, i >> 8 & 0xff, i >> 3 & 0x1f, i & 7);
      text.append("IOMMU Group ")
          .append(i)
          .append(' ')
          .append(address)
          .append(" 0302: 1af4:0201\n");
    }
    assertThat(read(text.toString().getBytes(StandardCharsets.UTF_8)).orElseThrow())
        .hasMessage("file:65537: more than 65536 functions: no capture of a host");
  }
}
