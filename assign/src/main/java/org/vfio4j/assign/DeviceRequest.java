// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.MdevDefinition;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.input.Position;

/**
 * A device that a VM asks for. Two requests are equal if they ask for the same in the same way,
 * wherever they stand.
 *
 * @param mode how
 * @param device a PCI address, or with {@link Mode#MDEV} a UUID, as the kernel writes it
 * @param type with {@link Mode#EMULATED} and {@link Mode#AUX}, the parent's type to take
 * @param token with {@link Mode#WHOLE}, the token that a virtual function of a physical one on
 *     vfio-pci wants, or that the physical function gets ({@code vf-token} of QEMU)
 * @param at where it stands, if it was read from a file
 */
public record DeviceRequest(
    Mode mode, String device, Optional<String> type, Optional<UUID> token, Optional<Position> at) {

  /**
   * Writes the device as the kernel does.
   *
   * @throws IllegalArgumentException if it is no PCI address, or no UUID where the mode wants one;
   *     or if there is a type or a token and the mode has none
   */
  public DeviceRequest {
    device = mode == Mode.MDEV ? uuid(device) : PciAddress.parse(device).toString();
    if (type.isPresent() && mode != Mode.AUX && mode != Mode.EMULATED) {
      throw new IllegalArgumentException("a type is for a mediated device that is to be made");
    }
    if (token.isPresent() && mode != Mode.WHOLE) {
      throw new IllegalArgumentException("a token is for a function that is had whole");
    }
  }

  private static String uuid(String text) {
    return Mdev.parseUuid(text)
        .orElseThrow(() -> new IllegalArgumentException("not a UUID: " + text))
        .toString()
        .toLowerCase(Locale.ROOT);
  }

  private static DeviceRequest of(Mode mode, String device) {
    return new DeviceRequest(mode, device, Optional.empty(), Optional.empty(), Optional.empty());
  }

  /** The function at this PCI address, itself. */
  public static DeviceRequest whole(String address) {
    return of(Mode.WHOLE, address);
  }

  /** The function at this PCI address, behind a mediated device that it backs. */
  public static DeviceRequest wrapped(String address) {
    return of(Mode.WRAPPED, address);
  }

  /** The mediated device with this UUID, which the host has. */
  public static DeviceRequest mdev(UUID uuid) {
    return of(Mode.MDEV, uuid.toString());
  }

  /** A new mediated device on an aux domain of the parent at this PCI address. */
  public static DeviceRequest aux(String address) {
    return of(Mode.AUX, address);
  }

  /** A new mediated device that the driver of the parent at this PCI address isolates. */
  public static DeviceRequest emulated(String address) {
    return of(Mode.EMULATED, address);
  }

  /** The same, of this type of the parent. */
  public DeviceRequest ofType(String other) {
    return new DeviceRequest(mode, device, Optional.of(other), token, at);
  }

  /** The same, standing at this place of a file. */
  public DeviceRequest at(Position place) {
    return new DeviceRequest(mode, device, type, token, Optional.of(place));
  }

  /** The same with this token. */
  public DeviceRequest withToken(UUID value) {
    return new DeviceRequest(mode, device, type, Optional.of(value), at);
  }

  /** The same without a token. */
  DeviceRequest withoutToken() {
    return token.isEmpty() ? this : new DeviceRequest(mode, device, type, Optional.empty(), at);
  }

  /** Whether both ask for the same in the same way, whatever token they give. */
  public boolean sameAs(DeviceRequest other) {
    return withoutToken().equals(other.withoutToken());
  }

  /** Whether both ask for the same device, in whatever way. */
  public boolean sameDevice(DeviceRequest other) {
    return device.equals(other.device);
  }

  /** The same, for another device. */
  public DeviceRequest of(String other) {
    return new DeviceRequest(mode, other, type, token, at);
  }

  /**
   * The definition that is started for it: of several of its UUID that whose parent offers its
   * type. Empty where the host has the device, or it is not defined, or no kernel makes it.
   */
  public Optional<MdevDefinition> definition(HostTopology host) {
    return new DefinedMdevs(host).of(this).filter(d -> !d.isOurs());
  }

  /** Whether a VM can ask for it once only: a parent can give a VM several devices. */
  boolean oncePerVm() {
    return mode != Mode.AUX && mode != Mode.EMULATED;
  }

  /** Whether it takes the function at the address, and not something that another one offers. */
  boolean takesFunction() {
    return mode == Mode.WHOLE || mode == Mode.WRAPPED;
  }

  @Override
  @SuppressWarnings("exports") // The annotation is for the compiler only.
  public boolean equals(@Nullable Object other) {
    return other instanceof DeviceRequest d
        && mode == d.mode
        && device.equals(d.device)
        && type.equals(d.type)
        && token.equals(d.token);
  }

  @Override
  public int hashCode() {
    return Objects.hash(mode, device, type, token);
  }

  @Override
  public String toString() {
    return mode == Mode.WHOLE ? device : mode.key() + " " + device;
  }
}
