// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/** What will happen to a request. */
public sealed interface Verdict {
  /** What the check found. */
  Findings findings();

  /** Every VM of the request, in its order. */
  default List<VmVerdict> vms() {
    return findings().vms();
  }

  /** What the source does not say and the verdict rests on. */
  default List<Assumption> assumed() {
    return findings().assumed();
  }

  /** What no Linux does. */
  default List<Beyond> beyond() {
    return findings().beyond();
  }

  /** What no call refuses and people run into all the same. */
  default List<Warning> warnings() {
    return findings().warnings();
  }

  /** The name of the profile whose kernel answers, as in {@code 6.1}. */
  default String kernel() {
    return findings().kernel().profile().name();
  }

  /**
   * Whether every device is attached, and nothing was assumed or beyond Linux where that counts as
   * a refusal.
   */
  default boolean admitted() {
    return this instanceof Admitted;
  }

  /** All devices of all VMs. */
  default Stream<DeviceVerdict> devices() {
    return vms().stream().flatMap(v -> v.devices().stream());
  }

  /** Whether the request names a device that the host has not, or that is nobody's to give. */
  default boolean badInput() {
    return devices().anyMatch(d -> d.outcome() == DeviceVerdict.Outcome.BAD_INPUT);
  }

  /** Why a strict check refuses what another one admits. */
  enum Strictness {
    /** Something had to be assumed. */
    ASSUMED("assumed"),
    /** Something is asked for that no Linux does. */
    BEYOND_LINUX("beyond-linux");

    private final String word;

    Strictness(String word) {
      this.word = word;
    }

    /** The word for it in a verdict. */
    public String word() {
      return word;
    }
  }

  /**
   * Every device is attached.
   *
   * @param findings what the check found
   */
  record Admitted(Findings findings) implements Verdict {}

  /**
   * A device is refused, or a strict check asks for more.
   *
   * @param findings what the check found
   * @param strictly why, where no device is refused
   */
  record Refused(Findings findings, Set<Strictness> strictly) implements Verdict {
    /** Copies the set, in its order. */
    public Refused {
      strictly = java.util.Collections.unmodifiableSet(new TreeSet<>(strictly));
    }
  }
}
