// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.vfio4j.host.input.BadInputException;

/**
 * Reading takes time with the length of a line and with the number of lines, never with a square:
 * what took seconds or ran out of stack once, and forms of every reader, repeated.
 */
class LongLinesTest {

  /** What took time with a square took at least twice that for four lines; now it is 20 ms. */
  private static final long MAX_MILLISECONDS = 1000;

  /** How a line begins. */
  private static final List<String> BEGINNINGS =
      List.of(
          "",
          "Group 1",
          "01:00.0 ",
          "0000:00:00.0 driver=",
          "[    0.100000] DMAR: ",
          "root@h:~# ls ",
          "Capabilities: ",
          "-[0000:00]-",
          "*-pci",
          "| id ",
          "BOOT_IMAGE=vmlinuz ",
          "BOOT_IMAGE=vmlinuz-1 x=",
          "/sys/kernel/iommu_groups/1/devices/");

  /** What is repeated in it. */
  private static final List<String> REPEATED =
      List.of(
          " ",
          "1 ",
          ": ",
          "a:",
          "a=b=c ",
          ") ",
          "> ",
          "<p ",
          "a_",
          "\"",
          "DMAR: ",
          "dmar0: reg_base_addr ",
          "arm-smmu ",
          "ls ",
          "[1;",
          "driver: ",
          "group ",
          "iommu_groups/1/",
          "00:00.0 ");

  private static long milliseconds(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    long before = System.nanoTime();
    try {
      assertThat(HostSource.parse("file", "file", bytes)).isNotEmpty();
    } catch (BadInputException refused) {
      assertThat(refused.getMessage()).startsWith("file:");
    }
    return (System.nanoTime() - before) / 1_000_000;
  }

  @ParameterizedTest
  @MethodSource("beginnings")
  void shouldReadLongLinesInTimeWithTheirLength(String beginning) {
    List<String> slow = new ArrayList<>();
    for (String unit : REPEATED) {
      for (String end : List.of("", "!")) {
        String line = beginning + unit.repeat((TextLine.MAX_LENGTH - 80) / unit.length()) + end;
        long took = milliseconds((line + "\n").repeat(4));
        if (took > MAX_MILLISECONDS) {
          slow.add("%d ms: '%s' and '%s' repeated".formatted(took, beginning, unit));
        }
      }
    }
    assertThat(slow).isEmpty();
  }

  static Stream<String> beginnings() {
    return BEGINNINGS.stream();
  }

  @Test
  void shouldReadALineOfAMebibyteInTimeWithItsLength() {
    for (String unit : REPEATED) {
      String line = unit.repeat((1 << 20) / unit.length());
      assertThat(milliseconds(line)).as(unit).isLessThan(4 * MAX_MILLISECONDS);
    }
  }

  private static String many(int times, IntFunction<String> line) {
    StringBuilder text = new StringBuilder();
    IntStream.range(0, times).forEach(i -> text.append(line.apply(i)));
    return text.toString();
  }

  private static String entry(int i) {
    return "%02x:%02x.%d Host bridge [0600]: X [8086:1234]%n"
        .formatted(i >> 8 & 0xff, i >> 3 & 0x1f, i & 7);
  }

  static Stream<String> manyLines() {
    return Stream.of(
        many(8000, LongLinesTest::entry) + (entry(0) + entry(1)).repeat(5000),
        many(6000, i -> "# h%d%n00:00.0 X [0600]: X [8086:%04x]%n09:00.0 what%n".formatted(i, i)),
        many(9000, i -> "00:00.0 X [0600]: X [8086:%04x]%n".formatted(i) + entry(8)),
        many(
            9000,
            i ->
                ("[    0.000001] Linux version 6.1.0 (a) x%n"
                        + "[    1.000000] pci 0000:00:00.0: Adding to iommu group %d%n")
                    .formatted(i)),
        many(20_000, "iommu: Adding device x%d to group 1%n"::formatted)
            + many(20_000, i -> "iommu: Removing device x%d from group 1%n".formatted(20_000 - i)),
        many(20_000, i -> "DMAR: RMRR base: 0x%x000 end: 0x%xfff%n".formatted(i, i)));
  }

  @ParameterizedTest
  @MethodSource("manyLines")
  void shouldReadManyLinesInTimeWithTheirNumber(String text) {
    assertThat(milliseconds(text)).isLessThan(4 * MAX_MILLISECONDS);
  }

  @Test
  void shouldReadALongLineOfJson() {
    String row =
        "{\"id\":\"0000:%02x:%02x.0\",\"class\":\"0x020000\",\"vendor\":\"0x1af4\",\"device\":"
            + "\"0x0201\",\"iommugroup\":%d}";
    String line = many(200, i -> (i > 0 ? "," : "") + row.formatted(i >> 5, i & 0x1f, i));
    HostTopology host = Samples.only("[" + line + "]\n");
    assertThat(host.functions()).hasSize(200);
    assertThat(host.groups()).hasSize(200);
    assertThat(host.losses()).isEmpty();
  }
}
