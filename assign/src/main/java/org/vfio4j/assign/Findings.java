// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.List;

/**
 * What a check found.
 *
 * @param host the name of the host
 * @param kernel whose kernel answers
 * @param vms every VM of the request, in its order
 * @param assumed what the source does not say and the verdict rests on
 * @param beyond what the request asks for and no Linux does
 * @param warnings what no call refuses and people run into all the same
 */
public record Findings(
    String host,
    AnsweringKernel kernel,
    List<VmVerdict> vms,
    List<Assumption> assumed,
    List<Beyond> beyond,
    List<Warning> warnings) {
  /** Copies the lists. */
  public Findings {
    vms = List.copyOf(vms);
    assumed = List.copyOf(assumed);
    beyond = List.copyOf(beyond);
    warnings = List.copyOf(warnings);
  }

  /** The same with other VMs. */
  Findings with(List<VmVerdict> other) {
    return new Findings(host, kernel, other, assumed, beyond, warnings);
  }
}
