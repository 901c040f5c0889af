// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A device that offers mediated devices.
 *
 * @param device its kernel name: a PCI address, or another name such as {@code mtty}
 * @param types the types that the source names, sorted by id; not necessarily all
 * @param isolation how its mediated devices are kept apart; sysfs does not say
 */
public record MdevOffers(String device, List<MdevType> types, Optional<MdevIsolation> isolation) {

  /** Copies and sorts. */
  public MdevOffers {
    types = types.stream().sorted(Comparator.comparing(MdevType::id)).toList();
  }

  /** The same with what another source says; what this one says of a type counts, if anything. */
  MdevOffers and(MdevOffers other) {
    Map<String, MdevType> all = new LinkedHashMap<>();
    types.forEach(t -> all.put(t.id(), t));
    other.types().forEach(t -> all.merge(t.id(), t, (own, its) -> own.isNameOnly() ? its : own));
    return new MdevOffers(device, List.copyOf(all.values()), isolation.or(other::isolation));
  }

  /** The address, where the parent is a PCI function. */
  public Optional<PciAddress> address() {
    return PciAddress.tryParse(device);
  }
}
