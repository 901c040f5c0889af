// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Optional;
import java.util.stream.Collectors;
import org.vfio4j.profile.KernelProfile;
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
      description = {
        "Whose answers: 5.3, 5.10, 6.1, 6.12 or 7.2. Default: those of the kernel that the host"
            + " runs, or of the next older one of these; 6.1 where that is not known."
      })
  private Optional<String> kernel = Optional.empty();

  /**
   * The kernel, or the default one.
   *
   * @throws ParameterException if there is no profile of that name
   */
  KernelProfile profile() {
    return chosen().orElse(KernelProfile.DEFAULT);
  }

  /**
   * The kernel, if one was named.
   *
   * @throws ParameterException if there is no profile of that name
   */
  Optional<KernelProfile> chosen() {
    return kernel.map(name -> KernelProfile.named(name).orElseThrow(() -> unknown(name)));
  }

  private ParameterException unknown(String name) {
    String names =
        KernelProfile.all().stream().map(KernelProfile::name).collect(Collectors.joining(", "));
    return new ParameterException(
        spec.commandLine(), "Unknown kernel '%s': it is one of %s".formatted(name, names));
  }
}
