// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.error;

import java.util.List;
import java.util.Optional;

/**
 * A refused call, whole: what a kernel would fold into one errno.
 *
 * @param errno what the kernel answers
 * @param reason the stable code
 * @param call the user's call that was refused, in the kernel's name for it, or empty below it
 * @param message what was refused and why, one sentence
 * @param devices the devices concerned
 * @param holder who stands in the way, where somebody does
 */
public record Refusal(
    Errno errno,
    Reason reason,
    String call,
    String message,
    List<String> devices,
    Optional<Holder> holder) {

  /** Copies the list. */
  public Refusal {
    devices = List.copyOf(devices);
  }

  /** A refusal from below the user API, before the call's name is known. */
  public static Refusal of(Errno errno, Reason reason, String message, String... devices) {
    return new Refusal(errno, reason, "", message, List.of(devices), Optional.empty());
  }

  /** The same, with who stands in the way. */
  public Refusal heldBy(Holder holder) {
    return new Refusal(errno, reason, call, message, devices, Optional.of(holder));
  }

  /** The same, named after the user's call. A name that is there already stays. */
  public Refusal in(String userCall) {
    return call.isEmpty() ? new Refusal(errno, reason, userCall, message, devices, holder) : this;
  }
}
