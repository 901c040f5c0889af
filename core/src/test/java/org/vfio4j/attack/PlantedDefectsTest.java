// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Each defect of the review, planted in the real source, is found; without it nothing is. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class PlantedDefectsTest {
  private static final Path MODULE = Path.of(System.getProperty("basedir", "."));
  private static final String OPERATIONS = "30000";

  private final Map<String, String> sources =
      PatchedEngine.sources(MODULE.resolve("src/main/java"));

  static List<Patch> defects() {
    return Patch.all(MODULE.resolve("src/test/resources/defects"));
  }

  @Test
  void shouldFindNothingInTheEngineAsItIs() {
    assertThat(PatchedEngine.load(sources, Detector.class).apply(OPERATIONS)).isEmpty();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("defects")
  void shouldFindThePlantedDefect(Patch defect) throws IOException {
    Map<String, String> patched = defect.applyTo(sources);
    Function<String, String> detector = PatchedEngine.load(patched, Detector.class);
    String answer = detector.apply(OPERATIONS);
    assertThat(answer).as("%s: %s", defect.name(), defect.title()).isNotEmpty();
    String[] found = answer.split(Detector.SEPARATOR, -1);
    String when = found[2].equals("0") ? "directed check" : found[2] + " random operations";
    System.out.printf("%s %s%n", defect.name(), defect.title());
    System.out.printf("    %s: %s%n", when, found[1]);
    DefectScript documented = DefectScript.of(defect);
    String explored = detector.apply("explore " + documented.world());
    assertThat(explored).as("%s, by the explorer", defect.name()).isNotEmpty();
    String[] shortest = explored.split(Detector.SEPARATOR, -1);
    System.out.printf(
        "    explorer, %s, %s transitions: %s%n", shortest[4], shortest[2], shortest[1]);
    shortest[3].lines().forEach(line -> System.out.println("      " + line));
    assertThat(shortest[3].strip())
        .as("the script in docs/DEFECTS.md")
        .isEqualTo(documented.text().strip());
    Scripts script = Scripts.read(documented.text());
    assertThat(detector.apply(documented.text()).split(Detector.SEPARATOR, -1)[1])
        .as("by the script")
        .isEqualTo(script.broken());
    assertThat(script.run().map(Broken::script)).as("by the script, without the defect").isEmpty();
  }

  @Test
  void shouldHaveAScriptForEachDefect() throws IOException {
    assertThat(DefectScript.all().stream().map(DefectScript::defect))
        .containsExactlyElementsOf(defects().stream().map(Patch::name).toList());
  }

  @Test
  void shouldPlantEveryBehaviouralDefectOfTheReview() {
    assertThat(defects().stream().map(Patch::name))
        .containsExactly(
            "D01", "D02", "D03", "D04", "D05", "D06", "D07", "D08", "D09", "D10", "D12", "D16",
            "R02", "R03", "R05", "R07", "R10", "R12", "R13", "R14", "R15");
  }

  @Test
  void shouldRefuseAPatchThatNoLongerApplies() {
    Patch stale =
        new Patch(
            "X", "", List.of(new Patch.Hunk("org/vfio4j/type1/Attaching.java", "no such", "")));
    assertThatIllegalStateException()
        .isThrownBy(() -> stale.applyTo(sources))
        .withMessageContaining("no longer applies");
  }
}
