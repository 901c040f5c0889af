// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * A defect to be planted in the real source. The file says in a comment what it plants, then for
 * each hunk {@code >>> FILE}, the exact old text, {@code ===}, the new text and {@code <<<}.
 *
 * @param name the review's name for it, {@code R07}
 * @param title what it plants
 * @param hunks what is replaced
 */
record Patch(String name, String title, List<Hunk> hunks) {
  /** Old text that must be in the file exactly once. */
  record Hunk(String file, String old, String replacement) {}

  /** All patches of a folder, by name. */
  static List<Patch> all(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(f -> f.toString().endsWith(".patch")).sorted().map(Patch::read).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Patch read(Path file) {
    String name = file.getFileName().toString().replace(".patch", "");
    List<Hunk> hunks = new ArrayList<>();
    StringBuilder title = new StringBuilder();
    String target = "";
    String old = "";
    StringBuilder text = new StringBuilder();
    try {
      for (String line : Files.readAllLines(file)) {
        if (line.startsWith("# ") && target.isEmpty()) {
          title.append(title.isEmpty() ? "" : " ").append(line.substring(2));
        } else if (line.startsWith(">>> ")) {
          target = line.substring(4);
          text.setLength(0);
        } else if (line.equals("===")) {
          old = text.toString();
          text.setLength(0);
        } else if (line.equals("<<<")) {
          hunks.add(new Hunk(target, old, text.toString()));
          target = "";
        } else {
          text.append(line).append('\n');
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return new Patch(name, title.toString(), hunks);
  }

  /**
   * The sources with the defect in them.
   *
   * @param sources text by path below the source folder
   * @throws IllegalStateException if the old text of a hunk is not there exactly once
   */
  Map<String, String> applyTo(Map<String, String> sources) {
    Map<String, String> patched = new LinkedHashMap<>(sources);
    for (Hunk hunk : hunks) {
      String text = patched.getOrDefault(hunk.file, "");
      int at = text.indexOf(hunk.old);
      if (at < 0 || text.indexOf(hunk.old, at + 1) >= 0) {
        throw new IllegalStateException(
            "%s no longer applies to %s; the source says nowhere, or twice:%n%s"
                .formatted(name, hunk.file, hunk.old));
      }
      patched.put(hunk.file, text.replace(hunk.old, hunk.replacement));
    }
    return patched;
  }
}
