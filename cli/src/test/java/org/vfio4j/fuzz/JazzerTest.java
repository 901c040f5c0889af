// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.vfio4j.fuzz.ReaderFuzzTest.Reader;

/**
 * Every reader of text under Jazzer, which sees the branches that an input takes: {@code
 * -Dvfio4j.jazzer.seconds=N} for each reader. What it finds is left in target/fuzz; with a name it
 * belongs into src/test/resources/fuzz, where every later run begins with it.
 */
@EnabledIfSystemProperty(named = "vfio4j.jazzer.seconds", matches = "\\d+")
class JazzerTest {
  private static final Path FOUND = Path.of("target/fuzz");
  private static final int SLOWEST_SECONDS = 10;
  private static final int MEMORY_MIB = 2048;

  @ParameterizedTest
  @EnumSource
  void answersOrRefuses(Reader reader) throws IOException, InterruptedException {
    Path grown = Files.createDirectories(FOUND.resolve(reader.name()));
    Path log = FOUND.resolve(reader + ".log");
    Process process =
        new ProcessBuilder(command(reader, grown))
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    int status;
    try {
      status = process.waitFor();
    } finally {
      process.destroyForcibly();
    }
    List<String> lines = Files.readAllLines(log);
    try (Stream<Path> files = Files.list(grown)) {
      System.out.printf(
          "jazzer %s: %s, %d inputs in the corpus%n", reader, executions(lines), files.count());
    }
    assertThat(status).as(() -> String.join("\n", lines)).isZero();
    assertThat(lines).anyMatch(l -> l.contains("Instrumented org.vfio4j"));
  }

  private static List<String> command(Reader reader, Path grown) {
    String classPath =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+EnableDynamicAgentLoading",
                "-Xmx" + MEMORY_MIB / 2 + "m",
                "--enable-native-access=ALL-UNNAMED",
                "--sun-misc-unsafe-memory-access=allow",
                "-classpath",
                classPath,
                "com.code_intelligence.jazzer.Jazzer",
                "--target_class=" + JazzerTarget.class.getName(),
                "--target_args=" + reader,
                "--instrumentation_includes=org.vfio4j.**",
                "--instrumentation_excludes=org.vfio4j.fuzz.**",
                "--custom_hook_excludes=org.vfio4j.fuzz.**",
                "--reproducer_path=" + FOUND,
                "-artifact_prefix=" + FOUND + "/" + reader + "-",
                "-max_total_time=" + System.getProperty("vfio4j.jazzer.seconds"),
                "-timeout=" + SLOWEST_SECONDS,
                "-rss_limit_mb=" + MEMORY_MIB,
                "-max_len=16384",
                "-seed=" + Long.getLong("vfio4j.seed", 1),
                "-print_final_stats=1",
                grown.toString()));
    reader.folders().forEach(folder -> command.add(folder.toString()));
    return command;
  }

  private static String executions(List<String> lines) {
    return lines.stream()
        .filter(l -> l.startsWith("stat::number_of_executed_units"))
        .map(l -> l.replaceAll("\\D+", "") + " inputs")
        .findFirst()
        .orElse("no figures");
  }
}
