// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.testing;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What four real kernels answered to the scripts of {@code src/test/resources/transcripts}. */
public final class Transcripts {
  private Transcripts() {}

  /** Runs a test once for each script on each kernel; it takes the names of both. */
  @ParameterizedTest(name = "{0} on {1}")
  @CsvSource({
    "basics,5.10", "basics,6.1", "basics,6.12", "basics,7.2",
    "dma,5.10", "dma,6.1", "dma,6.12", "dma,7.2",
    "no-intremap,5.10", "no-intremap,6.1", "no-intremap,6.12", "no-intremap,7.2"
  })
  @Target(ElementType.METHOD)
  @Retention(RetentionPolicy.RUNTIME)
  public @interface Each {}

  /** Descriptor numbers by first appearance within a case, which is all that a script sees. */
  public static List<String> normal(List<String> lines) {
    Map<String, Integer> seen = new HashMap<>();
    List<String> normal = new ArrayList<>();
    for (String line : lines) {
      if (line.startsWith("CASE ")) {
        seen.clear();
      }
      int arrow = line.lastIndexOf(" -> ");
      if (arrow > 0 && line.substring(0, arrow).contains(" = ") && !line.contains("-> -")) {
        String fd = line.substring(arrow + 4);
        seen.putIfAbsent(fd, seen.size());
        normal.add(line.substring(0, arrow) + " -> #" + seen.get(fd));
      } else {
        normal.add(line);
      }
    }
    return normal;
  }
}
