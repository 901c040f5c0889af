// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How a broker gives a VM its devices, as the request says it. A check asks for none of this.
 *
 * @param user who runs its VMM, by name or number: the sockets are that user's; the broker's own if
 *     not said
 * @param group who may connect besides, by name or number
 * @param mode permissions of its sockets, three octal digits; 600, and 660 with a group, if not
 *     said
 * @param timeout how long its VMM waits for an answer, above zero and a day at most
 * @param shared that it shares its memory with its devices, where that cannot be seen
 * @param builtIn devices that this project implements, in their order; one may be there more than
 *     once
 * @param handling how its devices of the host are handled, by their address, where not as usual
 * @param qmp the socket at which its QEMU answers QMP, so that devices are plugged while it runs
 */
public record Serving(
    Optional<String> user,
    Optional<String> group,
    Optional<String> mode,
    Optional<Duration> timeout,
    boolean shared,
    List<BuiltIn> builtIn,
    Map<String, Handling> handling,
    Optional<String> qmp) {

  /** Nothing is said. */
  public static final Serving DEFAULT =
      new Serving(
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          false,
          List.of(),
          Map.of(),
          Optional.empty());

  private static final Duration MOST = Duration.ofDays(1);

  /**
   * How a function is handled.
   *
   * @param mmap whether the VM gets a descriptor of it, with which it maps its registers; without
   *     it every access is a message
   * @param reset whether it goes to another VM only after a reset
   */
  public record Handling(boolean mmap, boolean reset) {
    /** With a descriptor, and a reset between two VMs. */
    public static final Handling USUAL = new Handling(true, true);
  }

  /**
   * Copies and checks.
   *
   * @throws IllegalArgumentException if the mode or the time is out of its bounds
   */
  public Serving {
    builtIn = List.copyOf(builtIn);
    handling = Map.copyOf(handling);
    if (mode.filter(m -> !m.matches("0?[0-7]{3}")).isPresent()) {
      throw new IllegalArgumentException("a mode is three octal digits, as in 660");
    }
    if (timeout.filter(t -> !t.isPositive() || t.compareTo(MOST) > 0).isPresent()) {
      throw new IllegalArgumentException("a VMM waits for longer than nothing, a day at most");
    }
  }

  /** The same with one device handled in another way. */
  public Serving handling(DeviceRequest device, Handling how) {
    Map<String, Handling> more = new HashMap<>(handling);
    more.put(device.device(), how);
    return new Serving(user, group, mode, timeout, shared, builtIn, more, qmp);
  }

  /** How this device is handled. */
  public Handling of(DeviceRequest device) {
    return handling.getOrDefault(device.device(), Handling.USUAL);
  }
}
