// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

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
      description = "Whose answers: 5.3, 5.10, 6.1, 6.12 or 7.2. Default: 6.1.")
  private String kernel = KernelProfile.DEFAULT.name();

  /**
   * The kernel.
   *
   * @throws ParameterException if there is no profile of that name
   */
  KernelProfile profile() {
    return KernelProfile.named(kernel).orElseThrow(this::unknown);
  }

  private ParameterException unknown() {
    String names =
        KernelProfile.all().stream().map(KernelProfile::name).collect(Collectors.joining(", "));
    return new ParameterException(
        spec.commandLine(), "Unknown kernel '%s': it is one of %s".formatted(kernel, names));
  }
}
