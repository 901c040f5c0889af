// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.assign.RefusalCode;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;

class ExplainCommandTest {
  private static final int ROWS = 38;

  private static final Knowledge KNOWLEDGE = new Knowledge();

  static List<Symptom> symptoms() {
    return KNOWLEDGE.symptoms();
  }

  @Test
  void shouldKnowEachRowAndEachCodeOnce() {
    assertThat(KNOWLEDGE.symptoms()).hasSize(ROWS);
    List<String> codes = new ArrayList<>();
    Stream.of(Reason.values()).forEach(r -> codes.add(r.name()));
    Stream.of(RefusalCode.Host.values()).forEach(c -> codes.add(c.name()));
    assertThat(KNOWLEDGE.codes().stream().map(Code::name))
        .containsExactlyInAnyOrderElementsOf(codes);
    assertThat(KNOWLEDGE.codes()).allSatisfy(c -> assertThat(c.fixes()).isNotEmpty());
  }

  @ParameterizedTest
  @MethodSource("symptoms")
  void shouldFindEachSampleUnderItsOwnTitle(Symptom symptom) {
    assertThat(symptom.samples()).isNotEmpty();
    assertThat(symptom.causes()).isNotEmpty();
    assertThat(symptom.fixes()).isNotEmpty();
    for (String sample : symptom.samples()) {
      assertThat(KNOWLEDGE.symptomsOf(sample)).first().isEqualTo(symptom);
    }
    for (String code : symptom.codes()) {
      assertThat(KNOWLEDGE.code(code)).isPresent();
    }
  }

  @Test
  void shouldNameEachErrnoThatTheEngineAnswersWith() throws IOException {
    Pattern pair = Pattern.compile("Errno\\.(\\w+),\\s*Reason\\.(\\w+)");
    try (Stream<Path> files = Files.walk(Ran.ROOT.resolve("core/src/main/java"))) {
      for (Path file : files.filter(f -> f.toString().endsWith(".java")).toList()) {
        Matcher matcher = pair.matcher(Files.readString(file));
        while (matcher.find()) {
          Code code = KNOWLEDGE.code(matcher.group(2)).orElseThrow();
          assertThat(code.answersWith(Errno.valueOf(matcher.group(1))))
              .as(matcher.group())
              .isTrue();
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Reason.class)
  void shouldExplainEachReason(Reason reason) {
    Ran ran = Ran.vfio("explain", reason);
    assertThat(ran.status()).isZero();
    assertThat(ran.lines()).first().isEqualTo(reason.name());
    assertThat(ran.out()).contains("What helps");
  }

  @ParameterizedTest
  @ValueSource(strings = {"EBUSY", "ebusy", "16", "-16", "-EBUSY", "Device or resource busy"})
  void shouldListWhatAnErrnoCanMean(String errno) {
    Ran ran = Ran.vfio("explain", errno);
    assertThat(ran.status()).isZero();
    assertThat(ran.lines()).first().isEqualTo("EBUSY (16) can mean");
    assertThat(ran.out()).contains("BACKING_GROUP_HELD", "GROUP_OPEN", "VFIO_SET_IOMMU");
  }

  @Test
  void shouldFindAMessageWithinALogLineGivenAsWords() {
    Object[] words =
        "explain qemu-kvm: -device vfio-pci,host=01:00.0: vfio 0000:01:00.0: group 1 is not viable"
            .split(" ");
    words = Stream.of(words).filter(w -> !w.equals("-device")).toArray();
    Ran ran = Ran.vfio(words);
    assertThat(ran.status()).isZero();
    assertThat(ran.lines()).first().isEqualTo("The group is not viable (QEMU)");
    assertThat(ran.out()).contains("Could be told before: yes", "vfio explain GROUP_NOT_VIABLE");
  }

  @Test
  void shouldTakeAMessageThatBeginsWithADash() {
    Ran ran = Ran.vfio("explain", "--", "-device vfio-pci: group 1 is not viable");
    assertThat(ran.status()).isZero();
  }

  @Test
  void shouldSuggestWhereNothingIsKnown() {
    Ran ran = Ran.vfio("explain", "GROUP_OPN");
    assertThat(ran.status()).isEqualTo(1);
    assertThat(ran.out()).contains("Nothing is known", "GROUP_OPEN");
    Ran json = Ran.vfio("explain", "GROUP_OPN", "--json");
    assertThat(json.status()).isEqualTo(1);
    assertThat(json.out())
        .contains("\"found\": false")
        .containsPattern("\"suggestions\": \\[\\s+\"GROUP_OPEN");
  }

  @Test
  void shouldPrintWhatIsKnownAsJson() {
    Ran code = Ran.vfio("explain", "RMRR_LOCKED", "--json");
    assertThat(code.out())
        .contains("\"code\": \"RMRR_LOCKED\"", "\"errno\": \"EPERM\"", "\"fixes\": [");
    Ran message = Ran.vfio("explain", "VF token required", "--json");
    assertThat(message.out()).contains("\"symptoms\": [", "\"foreseeable\": \"yes\"", "VF_TOKEN");
  }
}
