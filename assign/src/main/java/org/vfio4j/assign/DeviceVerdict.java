// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What becomes of one requested device.
 *
 * @param request what was asked
 * @param group its VFIO group
 * @param backingGroup the IOMMU group whose hardware moves with it
 * @param container the address space it got, by name
 * @param domain the number of its domain in there, oldest 1
 * @param users how many VFIO groups of that address space use its backing group
 * @param sharing other devices of that address space that use it
 * @param outcome how it ended
 * @param refusal why, if refused
 * @param steps what has to be done on the host first
 */
public record DeviceVerdict(
    DeviceRequest request,
    OptionalInt group,
    OptionalInt backingGroup,
    Optional<String> container,
    OptionalInt domain,
    OptionalInt users,
    List<String> sharing,
    Outcome outcome,
    Optional<DeviceRefusal> refusal,
    List<Step> steps) {

  /** How it ended. */
  public enum Outcome {
    /** The VM has it. */
    ATTACHED("attached"),
    /** It was refused. */
    REFUSED("refused"),
    /** The host has no such device, or it is nobody's to give. */
    BAD_INPUT("bad-input"),
    /** It was not asked for. A check tries every device; who carries a verdict out may stop. */
    NOT_TRIED("not-tried");

    private final String word;

    Outcome(String word) {
      this.word = word;
    }

    /** The word for it in a verdict. */
    public String word() {
      return word;
    }
  }

  /** Copies the lists. */
  public DeviceVerdict {
    sharing = List.copyOf(sharing);
    steps = List.copyOf(steps);
  }

  /** Whether it was refused, by the host or because there is no such device. */
  public boolean refused() {
    return outcome == Outcome.REFUSED || outcome == Outcome.BAD_INPUT;
  }

  /** The same with fixes for its refusal. */
  public DeviceVerdict withFixes(List<Fix> fixes) {
    return new DeviceVerdict(
        request,
        group,
        backingGroup,
        container,
        domain,
        users,
        sharing,
        outcome,
        refusal.map(r -> r.with(fixes)),
        steps);
  }
}
