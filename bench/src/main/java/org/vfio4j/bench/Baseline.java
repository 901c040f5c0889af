// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Stream;

/**
 * The C program of {@code src/main/c}, compiled by {@code bench/run}.
 *
 * @param program where it is
 */
record Baseline(String program) {

  /**
   * What one run measured.
   *
   * @param sum of the results, to be the same as in Java
   * @param times ns per operation of each iteration
   */
  record Run(long sum, double[] times) {}

  /** Runs it with the given arguments and waits. */
  Run run(List<String> arguments) throws IOException, InterruptedException {
    List<String> command = Stream.concat(Stream.of(program), arguments.stream()).toList();
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
    int exit = process.waitFor();
    if (exit != 0) {
      throw new IOException("baseline failed: exit=%d, command=%s".formatted(exit, command));
    }
    List<String> lines = output.lines().toList();
    double[] times = lines.stream().skip(1).mapToDouble(Double::parseDouble).toArray();
    return new Run(Long.parseUnsignedLong(lines.getFirst()), times);
  }
}
