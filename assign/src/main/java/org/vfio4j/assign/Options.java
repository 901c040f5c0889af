// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.Optional;
import java.util.Set;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.profile.KernelVersion;

/**
 * How to check.
 *
 * @param profile whose kernel answers; if not given, the host's own, where its version is known
 * @param release the release of that kernel as the caller wrote it, for the verdict to repeat
 * @param strict whether what the source does not say, and what no Linux does, is a refusal
 * @param forced functions that may be taken although the host depends on them, by address
 */
public record Options(
    Optional<KernelProfile> profile, Optional<String> release, boolean strict, Set<String> forced) {
  /** The host's own kernel, not strict, nothing forced. */
  public static final Options DEFAULT =
      new Options(Optional.empty(), Optional.empty(), false, Set.of());

  /**
   * Copies and checks.
   *
   * @throws IllegalArgumentException if one of {@code forced} is no PCI address as the kernel
   *     writes it
   */
  public Options {
    forced = Set.copyOf(forced);
    for (String address : forced) {
      if (!PciAddress.tryParse(address).map(PciAddress::toString).equals(Optional.of(address))) {
        throw new IllegalArgumentException("not a PCI address as in 0000:01:00.0: " + address);
      }
    }
  }

  /** With a kernel that answers whatever the host's is. */
  public Options(KernelProfile profile, boolean strict, Set<String> forced) {
    this(Optional.of(profile), Optional.empty(), strict, forced);
  }

  /** The same as a kernel of this release would answer, as in {@code 6.8} or {@code 6.1.0-18}. */
  public Options asKernel(KernelVersion version, String written) {
    return new Options(
        Optional.of(KernelProfile.of(version)), Optional.of(written), strict, forced);
  }

  /** The same, strict or not. */
  public Options strictly(boolean value) {
    return new Options(profile, release, value, forced);
  }

  /** The same with functions that may be taken although the host depends on them. */
  public Options forcing(Set<String> addresses) {
    return new Options(profile, release, strict, addresses);
  }

  /**
   * Whose kernel answers for a host: the one that was chosen; or the host's own; or, where that is
   * not known, the default one.
   */
  public AnsweringKernel kernelFor(HostTopology host) {
    if (profile.isPresent()) {
      return new AnsweringKernel(profile.get(), AnsweringKernel.Basis.CHOSEN, release);
    }
    return host.kernel()
        .flatMap(KernelVersion::parse)
        .map(
            v ->
                new AnsweringKernel(KernelProfile.of(v), AnsweringKernel.Basis.HOST, host.kernel()))
        .orElseGet(
            () ->
                new AnsweringKernel(
                    KernelProfile.DEFAULT, AnsweringKernel.Basis.DEFAULT, Optional.empty()));
  }
}
