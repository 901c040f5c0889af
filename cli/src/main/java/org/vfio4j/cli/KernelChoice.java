// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Optional;
import org.vfio4j.assign.Options;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.profile.KernelVersion;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Which kernel's answers a command gives. */
final class KernelChoice {

  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--kernel",
      paramLabel = "VERSION",
      completionCandidates = Tried.class,
      description = {
        "Whose answers: any version of Linux, as in 6.8 or 6.1.0-18-amd64; 5.3, 5.10, 6.1, 6.12 and"
            + " 7.2 were tried, others are put together from what came when. Default: those of the"
            + " kernel that the host runs, for check; 6.1 where that is not known."
      })
  private Optional<String> kernel = Optional.empty();

  /** The versions that were tried, for the completion of shells. */
  static final class Tried extends CompletionWords {
    Tried() {
      super(KernelProfile.all().stream().map(KernelProfile::name).toArray(String[]::new));
    }
  }

  /**
   * The kernel, or the default one.
   *
   * @throws ParameterException if there is no profile of that name
   */
  KernelProfile profile() {
    return version().map(KernelProfile::of).orElse(KernelProfile.DEFAULT);
  }

  /**
   * How to check with that kernel, if one was named; else with the host's own.
   *
   * @throws ParameterException if it is no version
   */
  Options options(Options others) {
    return version().map(v -> others.asKernel(v, kernel.orElseThrow())).orElse(others);
  }

  private Optional<KernelVersion> version() {
    return kernel.map(text -> KernelVersion.parse(text).orElseThrow(() -> unknown(text)));
  }

  private ParameterException unknown(String text) {
    return new ParameterException(
        spec.commandLine(), "No version of Linux as in 6.8 or 6.1.0-18: '%s'".formatted(text));
  }
}
