// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What Jazzer calls, in a process of its own: one conversation for each input, with a server that
 * stays. Coverage of all its threads counts, and they are done when the input is.
 */
public final class HostileTarget {
  /** After so many inputs the server goes, for what it leaves behind to be counted. */
  private static final int PER_SERVER = 4096;

  /** After so many the neighbour is asked whether it noticed. */
  private static final int PER_ROUND = 256;

  static final String REPORT = "hostile conversations: ";

  private static final HostileTarget TARGET = new HostileTarget();

  private final HostileCounts counts = new HostileCounts();
  private final HostileVictim.Log log = new HostileVictim.Log();
  private final Path folder;
  private final HostileNeighbour neighbour;
  private final Held before;
  private HostileVictim victim;
  private long inputs;

  private HostileTarget() {
    try {
      folder = Files.createTempDirectory("vfio4j-fuzz");
      neighbour = new HostileNeighbour(folder.resolve("neighbour"));
      before = Held.now();
      victim = newVictim();
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private HostileVictim newVictim() throws IOException, InterruptedException {
    return new HostileVictim(folder.resolve("victim"));
  }

  /** Anything that is thrown is a finding. */
  public static void fuzzerTestOneInput(byte[] input) throws IOException, InterruptedException {
    TARGET.hold(input);
  }

  /** Prints the figures; without them the run has failed. */
  public static void fuzzerTearDown() throws IOException {
    TARGET.finish();
  }

  private void hold(byte[] input) throws IOException, InterruptedException {
    HostileConversation.hold(input, victim, counts);
    victim.check();
    log.check();
    inputs++;
    if (inputs % PER_ROUND == 0) {
      neighbour.round();
      neighbour.check();
    }
    if (inputs % PER_SERVER == 0) {
      leave();
      victim = newVictim();
    }
  }

  private void leave() throws IOException {
    victim.checkServes();
    victim.check();
    victim.close();
    assertThat(Held.now()).as("nothing is left behind").isEqualTo(before);
  }

  private void finish() throws IOException {
    leave();
    neighbour.round();
    neighbour.check();
    neighbour.close();
    log.check();
    log.close();
    Files.delete(folder);
    System.out.printf(
        "%s%,d inputs, %,d rounds of a neighbour, %s%n",
        REPORT, inputs, neighbour.rounds(), counts.report());
  }
}
