// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.List;
import java.util.stream.Stream;

/** What will happen to a request. */
public sealed interface Verdict {
  /** Every VM of the request, in its order. */
  List<VmVerdict> vms();

  /** What the source does not say and the verdict rests on. */
  List<Assumption> assumed();

  /** The name of the profile whose kernel answers, as in {@code 6.1}. */
  String kernel();

  /** Whether every device is attached, and nothing was assumed where that counts as a refusal. */
  default boolean admitted() {
    return this instanceof Admitted;
  }

  /** All devices of all VMs. */
  default Stream<DeviceVerdict> devices() {
    return vms().stream().flatMap(v -> v.devices().stream());
  }

  /**
   * Every device is attached.
   *
   * @param vms every VM
   * @param assumed what it rests on
   * @param kernel whose kernel answers
   */
  record Admitted(List<VmVerdict> vms, List<Assumption> assumed, String kernel) implements Verdict {
    /** Copies the lists. */
    public Admitted {
      vms = List.copyOf(vms);
      assumed = List.copyOf(assumed);
    }
  }

  /**
   * A device is refused, or too much had to be assumed.
   *
   * @param vms every VM
   * @param assumed what it rests on
   * @param kernel whose kernel answers
   * @param strictly whether the assumptions alone are the refusal
   */
  record Refused(List<VmVerdict> vms, List<Assumption> assumed, String kernel, boolean strictly)
      implements Verdict {
    /** Copies the lists. */
    public Refused {
      vms = List.copyOf(vms);
      assumed = List.copyOf(assumed);
    }
  }
}
