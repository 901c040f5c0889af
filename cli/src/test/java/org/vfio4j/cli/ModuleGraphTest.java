// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.lang.module.Configuration;
import java.lang.module.ModuleFinder;
import java.lang.module.ResolvedModule;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Which modules come along with each: what the module system itself resolves from a module's
 * descriptor on. What is not in this set cannot be used by the module, not even by reflection.
 */
class ModuleGraphTest {

  /** Of the class path, what has a descriptor and can be part of the graph. */
  private static boolean isPartOfIt(String entry) {
    return entry.endsWith("target/classes")
        || entry.matches(".*/(vfio4j-|jackson-|snakeyaml-engine|picocli-).*\\.jar")
            && !entry.endsWith("-tests.jar");
  }

  @ParameterizedTest
  @CsvSource(
      textBlock =
          """
          core,   core
          posix,  posix
          host,   host core
          assign, assign core host
          linux,  core linux posix
          replay, core linux posix replay
          user,   core posix user
          """)
  void shouldBringAlongNoModuleButThese(String module, String expected) {
    assertThat(ours(module)).containsExactlyInAnyOrder(expected.split(" "));
  }

  private static Set<String> ours(String module) {
    Path[] path =
        Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
            .filter(ModuleGraphTest::isPartOfIt)
            .map(Path::of)
            .toArray(Path[]::new);
    Configuration resolved =
        Configuration.resolve(
            ModuleFinder.of(path),
            List.of(ModuleLayer.boot().configuration()),
            ModuleFinder.of(),
            Set.of("org.vfio4j." + module));
    return resolved.modules().stream()
        .map(ResolvedModule::name)
        .filter(name -> name.startsWith("org.vfio4j."))
        .map(name -> name.substring("org.vfio4j.".length()))
        .collect(Collectors.toCollection(TreeSet::new));
  }
}
