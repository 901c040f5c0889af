// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Collectors;
import org.vfio4j.assign.Check;
import org.vfio4j.assign.Options;
import org.vfio4j.assign.Verdict;
import org.vfio4j.assign.VerdictJson;
import org.vfio4j.assign.request.RequestText;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciIds;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What the commands have in common that check an assignment: their options, and the answer. */
final class AssignmentChoice {
  @Option(
      names = "--host",
      paramLabel = "SOURCE",
      completionCandidates = AskedAssignment.ThisMachine.class,
      description = {
        "The host, where the file does not name it, or another than it names: what 'vfio host'"
            + " reads, SOURCE#NAME for one of several, or: linux, this machine."
      })
  private Optional<String> host = Optional.empty();

  @Mixin private KernelChoice kernel = new KernelChoice();

  @Option(
      names = "--force",
      paramLabel = "ADDRESS",
      description = {
        "Let this function be taken although it carries a disk, a network or the console of the"
            + " host. May be repeated."
      })
  private List<String> forced = List.of();

  /** What the files ask for of the host. */
  AskedAssignment read(List<Path> files) throws IOException {
    return AskedAssignment.read(files, host);
  }

  /**
   * What a file asked for when it was read before.
   *
   * @param known what UUIDs of wrapped functions meant then
   */
  AskedAssignment read(Path file, String text, Map<UUID, PciAddress> known) throws IOException {
    return AskedAssignment.of(List.of(RequestText.of(file.toString(), text)), file, host, known);
  }

  /** The host that the option names, wherever that is read from. */
  Optional<String> absoluteHost() {
    return host.map(
        h ->
            h.equals(AskedAssignment.THIS_MACHINE)
                ? h
                : Path.of(h).toAbsolutePath().normalize().toString());
  }

  /**
   * What may be taken although the host lives on it.
   *
   * @throws org.vfio4j.host.input.BadInputException for what is no address
   */
  List<PciAddress> forced() {
    return LocalDevices.addresses(forced);
  }

  /** The verdict; how far it is is told. */
  Verdict verdict(Console console, AskedAssignment asked, boolean strict) {
    Options options =
        kernel.options(
            Options.DEFAULT
                .strictly(strict)
                .forcing(
                    forced().stream()
                        .map(PciAddress::toString)
                        .collect(Collectors.toUnmodifiableSet())));
    try (ProgressLine progress = ProgressLine.of(console)) {
      return Check.verdict(asked.request(), asked.host(), options, progress);
    }
  }

  /** Prints a verdict. */
  static void print(Console console, boolean json, Verdict verdict, AskedAssignment asked) {
    if (json) {
      Json.print(console, g -> VerdictJson.write(g, verdict));
    } else {
      new CheckRendering(console, asked.host(), PciIds.ofMachine())
          .print(verdict, asked.request().running().size());
    }
  }

  /** The exit status that says it. */
  static int status(Verdict verdict) {
    if (verdict.badInput()) {
      return Main.BAD_INPUT;
    }
    return verdict.admitted() ? Main.OK : Main.REFUSED;
  }
}
