// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.fuzz;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** Makes new texts from old ones: most changes keep lines and words whole. */
final class Mutator {
  private static final int MAX_BYTES = 1 << 20;

  /** Words that one reader or another takes for something. */
  private static final List<String> WORDS =
      List.of(
          "0",
          "-1",
          "1",
          "65535",
          "65536",
          "0x",
          "0xffffffffffffffff",
          "9223372036854775808",
          "99999999999999999999",
          "1e999",
          "NaN",
          "null",
          "~",
          "true",
          "{}",
          "[]",
          "\"\"",
          "''",
          "{",
          "}",
          "[",
          "]",
          ":",
          ",",
          "- ",
          "  ",
          "\t",
          "#",
          "&a ",
          "*a",
          "!!binary x",
          "!!int x",
          "|",
          ">",
          "---",
          "...",
          "? ",
          "%YAML 9.9",
          "<<: *a",
          "\\u0000",
          "\\ud800",
          "\u2028",
          "\u0085",
          "\ufeff",
          "\u0000",
          "\r",
          "\u001b[31m",
          "0000:00:02.0",
          "ffff:ff:1f.7",
          "00:1f.8",
          "10000:00:00.0",
          "host:",
          "vms:",
          "memory: 4GiB",
          "16TiB",
          "wrap:",
          "mdev:",
          "aux:",
          "devices:",
          "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001",
          "case x",
          "end",
          "fd = cont",
          "= =",
          "$fd",
          "map $fd buf 0 4096",
          "P: /devices/pci0000:00/0000:00:02.0",
          "E: SUBSYSTEM=pci",
          "A: class=0x030000",
          "H: config=8680",
          "L: iommu_group=../../1",
          "IOMMU Group 1 00:02.0 VGA compatible controller [0300]: X [8086:1912]",
          "IOMMU Group 99999999999 00:02.0",
          "\tKernel driver in use: vfio-pci",
          "Capabilities: [40] Express (v2) Root Port",
          "Bus: primary=00, secondary=01,",
          "[    0.1] pci 0000:00:02.0: Adding to iommu group 1",
          "DMAR: Intel-IOMMU",
          "iommu: ");

  private final Random random;
  private final List<byte[]> corpus;

  Mutator(Random random, List<byte[]> corpus) {
    this.random = random;
    this.corpus = corpus;
  }

  /** Another text; seldom one of the corpus. */
  byte[] next() {
    byte[] text = pick();
    int changes = 1 + random.nextInt(random.nextInt(4) == 0 ? 12 : 2);
    for (int i = 0; i < changes; i++) {
      text = random.nextInt(5) == 0 ? changeBytes(text) : changeLines(text);
    }
    return text.length > MAX_BYTES ? Arrays.copyOf(text, MAX_BYTES) : text;
  }

  private byte[] pick() {
    return corpus.get(random.nextInt(corpus.size()));
  }

  private byte[] changeBytes(byte[] text) {
    if (text.length == 0) {
      return word().getBytes(StandardCharsets.UTF_8);
    }
    byte[] changed = text.clone();
    int at = random.nextInt(changed.length);
    switch (random.nextInt(3)) {
      case 0 -> changed[at] ^= (byte) (1 << random.nextInt(8));
      case 1 -> changed[at] = (byte) random.nextInt(256);
      default -> changed = Arrays.copyOf(changed, at);
    }
    return changed;
  }

  private byte[] changeLines(byte[] text) {
    List<String> lines = lines(text);
    int at = random.nextInt(lines.size());
    switch (random.nextInt(9)) {
      case 0 -> lines.remove(at);
      case 1 -> lines.add(at, lines.get(random.nextInt(lines.size())));
      case 2 -> lines.add(at, word());
      case 3 -> {
        List<String> other = lines(pick());
        lines.add(at, other.get(random.nextInt(other.size())));
      }
      case 4 -> {
        int many = 1 << random.nextInt(random.nextInt(20) == 0 ? 15 : 5);
        lines.set(at, lines.get(at).repeat(Math.min(many, 1 + 200_000 / (text.length + 1))));
      }
      default -> lines.set(at, changeWord(lines.get(at)));
    }
    return String.join("\n", lines).getBytes(StandardCharsets.ISO_8859_1);
  }

  /** Puts a word in the place of one that is there, or beside it. */
  private String changeWord(String line) {
    if (line.isBlank()) {
      return line + word();
    }
    String[] words = line.split("(?<=[\\s:,\"\\[\\]{}=.])|(?=[\\s:,\"\\[\\]{}=.])");
    int at = random.nextInt(words.length);
    words[at] =
        switch (random.nextInt(4)) {
          case 0 -> words[at] + word();
          case 1 -> words[random.nextInt(words.length)];
          case 2 -> "";
          default -> word();
        };
    return String.join("", words);
  }

  /** As bytes in disguise, so that a text that is no UTF-8 stays as it is. */
  private String word() {
    byte[] utf8 = WORDS.get(random.nextInt(WORDS.size())).getBytes(StandardCharsets.UTF_8);
    return new String(utf8, StandardCharsets.ISO_8859_1);
  }

  private static List<String> lines(byte[] text) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes(text);
    return new ArrayList<>(
        Arrays.asList(bytes.toString(StandardCharsets.ISO_8859_1).split("\n", -1)));
  }
}
