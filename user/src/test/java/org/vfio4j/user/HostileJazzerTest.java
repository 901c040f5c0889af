// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.user.wire.Command;

/**
 * Conversations with a live server under Jazzer, which sees the branches that they take in it: some
 * seconds in the normal build, {@code -Dvfio4j.jazzer.seconds=N} for more. What it finds is left in
 * target/fuzz; with a name it belongs into src/test/resources/fuzz/messages, where every later run
 * begins with it.
 */
class HostileJazzerTest {
  private static final int SECONDS = Integer.getInteger("vfio4j.jazzer.seconds", 4);
  private static final int SLOWEST_SECONDS = 30;
  private static final int MEMORY_MIB = 2048;
  private static final Path FOUND = Path.of("target/fuzz");
  private static final Pattern SHARE = Pattern.compile("by a handler \\((\\d+) % of those sent\\)");

  @TempDir Path folder = Path.of("");

  /** The fuzzer gets nowhere from seeds that are all wrong: each command is right in one. */
  @Test
  void shouldAnswerTheSeeds() throws Exception {
    Held before = Held.now();
    HostileCounts counts = new HostileCounts();
    try (HostileVictim.Log log = new HostileVictim.Log();
        HostileVictim victim = new HostileVictim(folder.resolve("s"))) {
      for (Map.Entry<String, byte[]> seed : HostileSeeds.all().entrySet()) {
        HostileConversation.hold(seed.getValue(), victim, counts);
        victim.check();
      }
      victim.checkServes();
      log.check();
    }
    System.out.println("seeds: " + counts.report());
    for (int command = Command.VERSION; command <= Command.REGION_WRITE_MULTI; command++) {
      boolean ours = command == Command.DMA_READ || command == Command.DMA_WRITE || command == 14;
      assertThat(counts.answered(command, 0) > 0).as(Command.name(command)).isEqualTo(!ours);
    }
    assertThat(Held.now()).isEqualTo(before);
  }

  @Test
  void shouldSurviveGuidedConversations() throws Exception {
    Path seeds = Files.createDirectories(folder.resolve("seeds"));
    for (Map.Entry<String, byte[]> seed : HostileSeeds.all().entrySet()) {
      Files.write(seeds.resolve(seed.getKey()), seed.getValue());
    }
    Path grown = Files.createDirectories(FOUND.resolve("messages"));
    Path log = FOUND.resolve("messages.log");
    ProcessBuilder builder =
        new ProcessBuilder(command(grown, seeds))
            .redirectErrorStream(true)
            .redirectOutput(log.toFile());
    // A connection's buffers are some MiB, which the C library would give back to the kernel each
    // time, to have them again page by page.
    builder.environment().put("MALLOC_MMAP_THRESHOLD_", "33554432");
    builder.environment().put("MALLOC_TRIM_THRESHOLD_", "268435456");
    Process process = builder.start();
    int status;
    try {
      status = process.waitFor();
    } finally {
      process.destroyForcibly();
    }
    List<String> lines = Files.readAllLines(log);
    assertThat(status).as(() -> String.join("\n", lines)).isZero();
    assertThat(lines).anyMatch(line -> line.contains("Instrumented org.vfio4j.user.Commands"));
    assertReported(lines);
  }

  private static void assertReported(List<String> lines) {
    int share = -1;
    boolean within = false;
    for (String line : lines) {
      within = line.startsWith(HostileTarget.REPORT) || within && line.startsWith("  ");
      if (within) {
        System.out.println(line);
        Matcher matcher = SHARE.matcher(line);
        share = matcher.find() ? Integer.parseInt(matcher.group(1)) : share;
      }
    }
    assertThat(share)
        .as(() -> "percent that reach a handler\n" + String.join("\n", lines))
        .isGreaterThan(33);
  }

  private static List<String> command(Path grown, Path seeds) {
    return List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-XX:+EnableDynamicAgentLoading",
        "-Xmx" + MEMORY_MIB / 2 + "m",
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        "-classpath",
        TestClassPath.all(),
        "com.code_intelligence.jazzer.Jazzer",
        "--target_class=" + HostileTarget.class.getName(),
        "--instrumentation_includes=org.vfio4j.**",
        "--instrumentation_excludes=org.vfio4j.user.H*:org.vfio4j.user.ProbeDevice*",
        "--custom_hook_excludes=org.vfio4j.user.H*:org.vfio4j.user.ProbeDevice*",
        "--reproducer_path=" + FOUND,
        "-artifact_prefix=" + FOUND + "/messages-",
        "-max_total_time=" + SECONDS,
        "-timeout=" + SLOWEST_SECONDS,
        "-rss_limit_mb=" + MEMORY_MIB,
        "-max_len=4096",
        "-seed=" + Long.getLong("vfio4j.seed", 1),
        "-print_final_stats=1",
        grown.toString(),
        seeds.toString());
  }
}
