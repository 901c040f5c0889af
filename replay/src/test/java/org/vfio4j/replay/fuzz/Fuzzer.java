// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.fuzz;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.vfio4j.linux.iommu.Kernels;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.Environment;
import org.vfio4j.replay.SoftEnvironment;
import org.vfio4j.replay.fuzz.Answers.Answer;
import org.vfio4j.replay.kernel.KernelEnvironment;
import org.vfio4j.replay.kernel.KernelVfio;
import org.vfio4j.replay.testing.FakeKernelEnvironment;
import org.vfio4j.testing.Q35;
import org.vfio4j.vfio.KernelBugException;

/**
 * Asks the engine and the running kernel the same questions, by chance, and compares every answer.
 * Runs on QEMU's machine of kernel.md section 11, as root.
 *
 * <p>{@code Fuzzer [--ops N] [--seconds N] [--seed N] [--differences N] [--fake 1]}: with {@code
 * --fake 1} it is the fake kernel of linux's tests that is asked in the engine's place. Ends after
 * so many operations, or so much time where that is given; goes on after a difference until there
 * are so many. Exit status 1 if there was one, or if fewer than half of the answers were successes.
 */
public final class Fuzzer {
  private static final Duration PATIENCE = Duration.ofSeconds(5);
  private static final long REPORT_NANOS = 10_000_000_000L;

  private final PrintStream out;
  private final Map<String, Map<String, Integer>> counts = new TreeMap<>();
  private int operations;
  private int successes;
  private int scripts;
  private int known;
  private int differences;

  private Fuzzer(PrintStream out) {
    this.out = out;
  }

  /** Runs it and ends the process. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    Map<String, Long> options = new TreeMap<>();
    for (int i = 0; i + 1 < arguments.length; i += 2) {
      options.put(arguments[i], Long.parseLong(arguments[i + 1]));
    }
    Optional<String> missing = KernelVfio.missing();
    if (missing.isPresent()) {
      System.err.println(missing.get());
      System.exit(2);
    }
    for (String module : List.of("e1000", "pci-stub")) {
      new ProcessBuilder("modprobe", module).inheritIO().start().waitFor();
    }
    System.exit(new Fuzzer(System.out).run(options));
  }

  private int run(Map<String, Long> options) throws IOException {
    long seed = options.getOrDefault("--seed", System.nanoTime() & 0xffffff);
    long wanted = options.getOrDefault("--ops", options.containsKey("--seconds") ? -1L : 20_000L);
    long most = options.getOrDefault("--differences", 1L);
    long begin = System.nanoTime();
    long end = begin + options.getOrDefault("--seconds", 1L << 20) * 1_000_000_000L;
    String release = Kernels.release();
    KernelProfile profile = Kernels.profile(release);
    out.printf("kernel %s, profile %s, seed %d%n", release, profile, seed);
    boolean fake = options.getOrDefault("--fake", 0L) != 0;
    try (Environment engine =
            fake ? fake(profile) : new SoftEnvironment(Q35.machine(profile), "fuzz");
        KernelEnvironment judge = new KernelEnvironment(SystemCalls.libc(), PATIENCE)) {
      Duel duel = new Duel(profile, engine, judge);
      long next = begin + REPORT_NANOS;
      while ((wanted < 0 || operations < wanted)
          && System.nanoTime() - end < 0
          && differences < most) {
        fight(duel, profile, seed++);
        if (System.nanoTime() - next > 0) {
          out.printf("%d operations, %d differences%n", operations, differences);
          next = System.nanoTime() + REPORT_NANOS;
        }
      }
    }
    return summary((System.nanoTime() - begin) / 1_000_000);
  }

  private static Environment fake(KernelProfile profile) throws IOException {
    return new FakeKernelEnvironment(Q35.machine(profile), Files.createTempDirectory("fake-sys"));
  }

  private void fight(Duel duel, KernelProfile profile, long seed) {
    List<String> lines = new ScriptWriter(seed, profile).write();
    Duel.Outcome outcome;
    try {
      outcome = duel.fight(lines);
    } catch (KernelBugException e) {
      out.println("seed " + seed + " would stop this kernel: " + e.getMessage());
      return;
    }
    scripts++;
    known += outcome.known() ? 1 : 0;
    outcome.judged().forEach(this::count);
    outcome
        .difference()
        .ifPresent(
            difference -> {
              differences++;
              report(duel, seed, lines, difference);
            });
  }

  private void count(Answer answer) {
    operations++;
    successes += answer.succeeded() ? 1 : 0;
    String result = answer.succeeded() ? "ok" : answer.result();
    counts.computeIfAbsent(answer.op(), k -> new TreeMap<>()).merge(result, 1, Integer::sum);
  }

  private void report(Duel duel, long seed, List<String> lines, String difference) {
    out.println("DIFFERENCE, seed " + seed + ", " + difference);
    List<String> shortest = duel.shrink(lines);
    out.println("shortest script that differs:");
    out.println("case seed " + seed);
    shortest.forEach(out::println);
    out.println("end");
    duel.fight(shortest).difference().ifPresent(d -> out.println("where: " + d));
  }

  private int summary(long millis) {
    counts.forEach((op, results) -> out.printf("  %-8s %s%n", op, results));
    out.printf(
        "%d operations in %d scripts, %d %% successes, %d explained, %d differences, %d.%03d s%n",
        operations,
        scripts,
        operations == 0 ? 0 : 100L * successes / operations,
        known,
        differences,
        millis / 1000,
        millis % 1000);
    return differences > 0 || 2L * successes < operations ? 1 : 0;
  }
}
