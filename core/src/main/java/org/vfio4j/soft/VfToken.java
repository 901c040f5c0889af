// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.soft;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.vfio.DriverKind;

/**
 * The token that a virtual function's user has to know where vfio-pci has the physical function
 * ({@code vfio_pci_validate_vf_token}). The kernel draws one that nobody knows; the user of the
 * physical function can set another.
 */
final class VfToken {
  private static final Pattern OPTION =
      Pattern.compile("vf_token=([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})");

  private final SoftMachine machine;

  /** Tokens that were set, by physical function. */
  private final Map<String, UUID> set = new HashMap<>();

  /** Functions that have virtual ones, or can. */
  private final Set<String> physical = new HashSet<>();

  VfToken(SoftMachine machine) {
    this.machine = machine;
  }

  void physical(String name) {
    physical.add(name);
  }

  void set(String name, UUID token) {
    physical(name);
    set.put(name, token);
  }

  /**
   * Checks what stands behind a device's name; for a physical function whose virtual ones nobody
   * uses, it becomes the token.
   *
   * @throws VfioException EACCES if a token is wanted, and missing or another one; EINVAL for an
   *     option that is not wanted or not known
   */
  void check(Device device, String option) {
    Optional<UUID> given = given(device, option);
    Optional<String> parent =
        device instanceof SoftFunction f ? f.physicalFunction() : Optional.empty();
    if (parent.isPresent()) {
      String name = parent.get();
      if (!onVfio(name)) {
        refuseUnwanted(device, given);
      } else if (given.isEmpty() || !given.equals(Optional.ofNullable(set.get(name)))) {
        throw denied(
            device, "a virtual function of %s, which is on vfio-pci".formatted(name), given);
      }
    } else if (!isPhysical(device)) {
      refuseUnwanted(device, given);
    } else if (machine.usesVirtual(device.name())) {
      if (given.isEmpty() || !given.equals(Optional.ofNullable(set.get(device.name())))) {
        throw denied(device, "a physical function whose virtual ones are in use", given);
      }
    } else {
      given.ifPresent(token -> set.put(device.name(), token));
    }
  }

  private static Optional<UUID> given(Device device, String option) {
    if (option.isEmpty()) {
      return Optional.empty();
    }
    Matcher matcher = OPTION.matcher(option);
    if (!matcher.matches()) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.BAD_ARGUMENT,
          "%s takes no option '%s'".formatted(device.name(), option),
          device.name());
    }
    return Optional.of(UUID.fromString(matcher.group(1).toLowerCase(Locale.ROOT)));
  }

  private boolean onVfio(String name) {
    return machine
        .device(name)
        .flatMap(_ -> machine.driver(name))
        .filter(DriverKind::offers)
        .isPresent();
  }

  private boolean isPhysical(Device device) {
    return device instanceof SoftFunction f
        && (f.virtualFunctions() > 0 || physical.contains(f.name()));
  }

  private static void refuseUnwanted(Device device, Optional<UUID> given) {
    if (given.isPresent()) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.BAD_ARGUMENT,
          device.name() + " takes no token: neither it nor its physical function has one",
          device.name());
    }
  }

  private static VfioException denied(Device device, String what, Optional<UUID> given) {
    return new VfioException(
        Errno.EACCES,
        Reason.VF_TOKEN,
        "%s is %s: the token is %s"
            .formatted(device.name(), what, given.isPresent() ? "wrong" : "missing"),
        device.name());
  }
}
