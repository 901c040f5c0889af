// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.vfio4j.assign.RequestReader;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.replay.OpScript;
import org.vfio4j.replay.ScriptException;

/**
 * Every reader of text under mutated files: whatever it is given, it answers, or it refuses with
 * one line, in bounded time and memory.
 */
class ReaderFuzzTest {
  private static final double SECONDS =
      Double.parseDouble(System.getProperty("vfio4j.fuzz.seconds", "6"));
  private static final long SEED = Long.getLong("vfio4j.seed", System.nanoTime());
  private static final long MAX_NANOSECONDS = TimeUnit.SECONDS.toNanos(2);
  private static final long MAX_ALLOCATED = 512L << 20;
  private static final Path KEPT = Path.of("src/test/resources/fuzz");
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  /** A reader and the files its inputs are made from. */
  enum Reader {
    CAPTURE("../examples/hosts", ".json"),
    TEXT("../host/src/test/resources", ""),
    REQUEST("../examples", ".yaml"),
    SCRIPT("../replay/src/test/resources/transcripts", ".vt");

    private final Path folder;
    private final String ending;

    Reader(String folder, String ending) {
      this.folder = Path.of(folder);
      this.ending = ending;
    }

    /** Where its files and those that once were a bug are. */
    List<Path> folders() {
      return Stream.of(folder, KEPT).filter(Files::isDirectory).toList();
    }

    void read(byte[] input) {
      switch (this) {
        case CAPTURE, TEXT -> HostSource.parse("input", "host", input);
        case REQUEST -> RequestReader.read("input", new String(input, StandardCharsets.UTF_8));
        case SCRIPT -> OpScript.parse("input", new String(input, StandardCharsets.UTF_8));
      }
    }

    /** Its own files, and what was once a bug: of its own form, or of every reader. */
    List<byte[]> corpus(boolean ofEveryReader) throws IOException {
      List<byte[]> corpus = new ArrayList<>();
      for (Path root : folders()) {
        try (Stream<Path> files = Files.walk(root)) {
          for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
            boolean kept = ofEveryReader && root.equals(KEPT);
            if (kept || file.toString().endsWith(ending)) {
              corpus.add(Files.readAllBytes(file));
            }
          }
        }
      }
      return corpus;
    }
  }

  /** What became of the inputs of one reader. */
  private static final class Tally {
    long inputs;
    long accepted;
    long refusedAtOnce;
    long refusedLater;
    long slowest;
    long most;
  }

  @ParameterizedTest
  @EnumSource
  void answersOrRefuses(Reader reader) throws IOException, InterruptedException {
    System.out.printf("fuzz %s: seed %d (-Dvfio4j.seed=%d)%n", reader, SEED, SEED);
    Mutator mutator = new Mutator(new Random(SEED), reader.corpus(false));
    Tally tally = new Tally();
    Watched watched = new Watched();
    // The first reads load classes, which is neither slow reading nor memory of the input.
    for (byte[] each : reader.corpus(true)) {
      refusal(reader, each);
    }
    Thread worker =
        Thread.ofPlatform()
            .daemon()
            .start(
                () -> {
                  try {
                    work(reader, mutator, tally, watched);
                  } catch (Throwable t) {
                    watched.failure = t;
                  } finally {
                    watched.over.release();
                  }
                });
    while (!watched.over.tryAcquire(100, TimeUnit.MILLISECONDS)) {
      byte[] input = watched.input;
      long begin = watched.begin;
      if (System.nanoTime() - begin > 5 * MAX_NANOSECONDS && input == watched.input) {
        throw new AssertionError(
            "hangs: %s%n%s".formatted(List.of(worker.getStackTrace()), show(input)));
      }
    }
    System.out.printf(
        "fuzz %s: %d inputs, %d accepted, %d refused later, %d at line 1; "
            + "slowest %d ms, most memory %d KiB%n",
        reader,
        tally.inputs,
        tally.accepted,
        tally.refusedLater,
        tally.refusedAtOnce,
        tally.slowest / 1_000_000,
        tally.most >> 10);
    if (watched.failure != null) {
      throw new AssertionError("seed " + SEED + "\n" + show(watched.input), watched.failure);
    }
    assertThat(3 * (tally.accepted + tally.refusedLater))
        .as("a third of the inputs gets past the first check")
        .isGreaterThanOrEqualTo(tally.inputs);
  }

  /** What the worker is at. */
  private static final class Watched {
    final Semaphore over = new Semaphore(0);
    volatile byte[] input = new byte[0];
    volatile long begin = System.nanoTime();
    volatile Throwable failure;
  }

  private static void work(Reader reader, Mutator mutator, Tally tally, Watched watched) {
    long end = System.nanoTime() + (long) (SECONDS * 1e9 / Reader.values().length);
    while (System.nanoTime() < end) {
      byte[] input = mutator.next();
      watched.begin = System.nanoTime();
      watched.input = input;
      long before = THREADS.getCurrentThreadAllocatedBytes();
      int line = refusal(reader, input);
      long allocated = THREADS.getCurrentThreadAllocatedBytes() - before;
      long took = System.nanoTime() - watched.begin;
      tally.inputs++;
      tally.accepted += line < 0 ? 1 : 0;
      tally.refusedAtOnce += line == 0 || line == 1 ? 1 : 0;
      tally.refusedLater += line > 1 ? 1 : 0;
      tally.slowest = Math.max(tally.slowest, took);
      tally.most = Math.max(tally.most, allocated);
      assertThat(took).as("nanoseconds").isLessThan(MAX_NANOSECONDS);
      assertThat(allocated).as("bytes allocated").isLessThan(MAX_ALLOCATED);
    }
  }

  /** The line of the refusal; -1 if the input is accepted. */
  static int refusal(Reader reader, byte[] input) {
    try {
      reader.read(input);
      return -1;
    } catch (BadInputException refused) {
      checkMessage(refused.getMessage());
      return refused.line();
    } catch (ScriptException refused) {
      checkMessage(refused.getMessage());
      return refused.line();
    }
  }

  private static void checkMessage(String message) {
    assertThat(message).startsWith("input:");
    boolean oneLine =
        message.chars().noneMatch(c -> Character.isISOControl(c) || c == 0x2028 || c == 0x2029);
    assertThat(oneLine).as("one line without control characters: %s", message).isTrue();
    assertThat(message.length()).isLessThan(6000);
  }

  private static String show(byte[] input) {
    return new String(input, 0, Math.min(input.length, 4000), StandardCharsets.UTF_8);
  }

  /** What once was a bug; every reader gets all of it. */
  @Test
  void keptInputs() throws IOException {
    for (Reader reader : Reader.values()) {
      for (byte[] each : reader.corpus(true)) {
        refusal(reader, each);
      }
    }
  }
}
