// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Each script in docs/DEFECTS.md breaks the engine that has its defect, and no other. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class DefectScriptsTest {
  private static final Path MODULE = Path.of(System.getProperty("basedir", "."));
  private static final Pattern SCRIPT =
      Pattern.compile("### ([DR]\\d\\d)\n+```\n(.*?)```", Pattern.DOTALL);

  private final Map<String, String> sources =
      PatchedEngine.sources(MODULE.resolve("src/main/java"));

  /** A script of the document. */
  record Documented(String defect, String script) {
    @Override
    public String toString() {
      return defect;
    }
  }

  static List<Documented> scripts() throws IOException {
    Matcher matcher = SCRIPT.matcher(Files.readString(MODULE.resolve("../docs/DEFECTS.md")));
    List<Documented> found = new ArrayList<>();
    while (matcher.find()) {
      found.add(new Documented(matcher.group(1), matcher.group(2)));
    }
    return found;
  }

  private static List<Patch> defects() {
    return Patch.all(MODULE.resolve("src/test/resources/defects"));
  }

  @Test
  void shouldHaveAScriptForEachDefect() throws IOException {
    assertThat(scripts().stream().map(Documented::defect))
        .containsExactlyElementsOf(defects().stream().map(Patch::name).toList());
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("scripts")
  void shouldFailWithItsPatchAndPassWithout(Documented documented) {
    Patch defect =
        defects().stream()
            .filter(p -> p.name().equals(documented.defect))
            .findFirst()
            .orElseThrow();
    String broken =
        PatchedEngine.load(defect.applyTo(sources), Detector.class).apply(documented.script);
    assertThat(broken).as("with the patch").isNotEmpty();
    Scripts script = Scripts.read(documented.script);
    assertThat(broken.split(Detector.SEPARATOR, -1)[1]).isEqualTo(script.broken());
    assertThat(script.run().map(Broken::script)).as("without").isEmpty();
  }
}
