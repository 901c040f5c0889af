// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A script of docs/DEFECTS.md: it breaks the engine that has the defect, and no other.
 *
 * @param world the alphabet with which the explorer finds it
 */
record DefectScript(String defect, String world, String text) {
  private static final Pattern SCRIPT =
      Pattern.compile("### ([DR]\\d\\d), (\\w+)\n+```\n(.*?)```", Pattern.DOTALL);

  static List<DefectScript> all() throws IOException {
    Path module = Path.of(System.getProperty("basedir", "."));
    Matcher matcher = SCRIPT.matcher(Files.readString(module.resolve("../docs/DEFECTS.md")));
    List<DefectScript> found = new ArrayList<>();
    while (matcher.find()) {
      found.add(new DefectScript(matcher.group(1), matcher.group(2), matcher.group(3)));
    }
    return found;
  }

  static DefectScript of(Patch patch) throws IOException {
    return all().stream().filter(s -> s.defect.equals(patch.name())).findFirst().orElseThrow();
  }

  @Override
  public String toString() {
    return defect;
  }
}
