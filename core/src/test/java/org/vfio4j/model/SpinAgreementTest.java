// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.vfio4j.model.World.Backing;
import org.vfio4j.model.World.Member;

/** The engine and the model of it in spin/attach.pml do the same in every state. */
class SpinAgreementTest {
  private static final String WORLDS = "small,medium,large,mixed";

  /** How often each world is explored: the first time includes the compiler's work. */
  private static final int PASSES = Integer.getInteger("vfio4j.spin.passes", 1);

  private static final Map<World, Exploration.Report> EXPLORED = new EnumMap<>(World.class);

  /** Others by name: {@code -Dvfio4j.spin.worlds=wide}. */
  static List<World> worlds() {
    String names = System.getProperty("vfio4j.spin.worlds", WORLDS);
    return Stream.of(names.split(",")).map(World::of).toList();
  }

  /**
   * On a thread of its own: a refusal takes a stack trace, which costs by its length, and those of
   * JUnit and of a pool are long.
   */
  private static Exploration.Report explored(World world) {
    return EXPLORED.computeIfAbsent(
        world,
        w -> CompletableFuture.supplyAsync(() -> passes(w), Thread.ofPlatform()::start).join());
  }

  private static Exploration.Report passes(World world) {
    Exploration.Report report = Exploration.of(world);
    System.out.println(report);
    for (int pass = 1; pass < PASSES; pass++) {
      Exploration.Report again = Exploration.of(world);
      System.out.println(again);
      assertThat(again.found()).isEqualTo(report.found());
      report = again;
    }
    return report;
  }

  @ParameterizedTest
  @MethodSource("worlds")
  void shouldReachAsManyStatesAsThereAreChoices(World world) {
    Exploration.Report report = explored(world);
    long expected = choices(world);
    assertThat(report.found().states()).isEqualTo(expected);
    assertThat(report.found().transitions())
        .isEqualTo(expected * 2 * world.containers * world.members.size());
  }

  /**
   * The choices are independent: a backing group is nobody's or some container's, with any but the
   * empty set of its users; a group without backing is in any set of containers.
   */
  private static long choices(World world) {
    long states = 1;
    for (Backing backing : Backing.values()) {
      long users =
          world.members.stream().filter(m -> m.backing.filter(backing::equals).isPresent()).count();
      states *= 1 + world.containers * ((1L << users) - 1);
    }
    for (Member member : world.members) {
      states *= member.backing.isPresent() ? 1 : 1L << world.containers;
    }
    return states;
  }

  @ParameterizedTest
  @MethodSource("worlds")
  void shouldAgreeWithTheModel(World world) throws IOException, InterruptedException {
    for (String tool : List.of("bash", "spin", "gcc")) {
      assumeTrue(onPath(tool), "needs %s: apt-get install spin gcc".formatted(tool));
    }
    assertThat(verified(world)).isEqualTo(explored(world).found());
  }

  private static boolean onPath(String tool) {
    return Stream.of(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator))
        .anyMatch(folder -> Files.isExecutable(Path.of(folder, tool)));
  }

  /** {@code spin/run --verify}: its line is as the engine's. */
  private static Exploration.Found verified(World world) throws IOException, InterruptedException {
    Path script = Path.of(System.getProperty("basedir", "."), "../spin/run");
    Process process =
        new ProcessBuilder("bash", script.toString(), "--verify", world.title())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(output).isZero();
    String[] fields = output.strip().split(" ");
    assertThat(fields).as(output).startsWith("spin", world.title()).hasSize(13);
    return new Exploration.Found(
        Long.parseLong(fields[2]),
        Long.parseLong(fields[3]),
        Arrays.stream(fields, 6, fields.length).map(Long::valueOf).toList(),
        Long.parseUnsignedLong(fields[5], 16));
  }
}
