// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Collections;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * How the host was started and set up, as far as the source says.
 *
 * @param commandLine what the kernel was started with
 * @param moduleParameters parameters of modules, as {@code vfio_pci.ids}; those of VFIO and KVM
 * @param signs what the source says of whether the IOMMU works
 */
public record HostSetup(
    Optional<String> commandLine,
    SortedMap<String, String> moduleParameters,
    Set<IommuSign> signs) {

  /** Nothing known. */
  public static final HostSetup UNKNOWN =
      new HostSetup(Optional.empty(), new TreeMap<>(), Set.of());

  /** Copies; what the command line says of the IOMMU is a sign too. */
  public HostSetup {
    moduleParameters = Collections.unmodifiableSortedMap(new TreeMap<>(moduleParameters));
    EnumSet<IommuSign> all = EnumSet.noneOf(IommuSign.class);
    all.addAll(signs);
    commandLine.map(IommuSign::in).ifPresent(all::addAll);
    signs = Collections.unmodifiableSet(all);
  }

  /** What this and another part of the same source say. */
  HostSetup and(HostSetup other) {
    TreeMap<String, String> parameters = new TreeMap<>(moduleParameters);
    parameters.putAll(other.moduleParameters);
    EnumSet<IommuSign> all = EnumSet.noneOf(IommuSign.class);
    all.addAll(signs);
    all.addAll(other.signs);
    return new HostSetup(other.commandLine.or(() -> commandLine), parameters, all);
  }
}
