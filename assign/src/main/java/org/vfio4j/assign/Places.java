// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;

/**
 * Where on a host a device is: two requests can only meddle with each other where a place of the
 * one is a place of the other. A place is an IOMMU group, a physical function with all that it has
 * switched on, or the parent of mediated devices.
 */
final class Places {
  /** A place by its name on the host, as in {@code group 7}. */
  record Place(String name) {
    static Place ofGroup(int id) {
      return new Place("group " + id);
    }
  }

  private final HostTopology host;
  private final DefinedMdevs defined;

  Places(HostTopology host) {
    this.host = host;
    this.defined = new DefinedMdevs(host);
  }

  /** The places of a device that a VM asks for, at least one. */
  Set<Place> of(DeviceRequest device) {
    return of(defined.parent(device).orElse(device.device()));
  }

  /** The places of a function, or of another parent of mediated devices. */
  private Set<Place> of(String device) {
    Set<Place> places = new HashSet<>();
    places.add(new Place(device));
    PciAddress.tryParse(device).flatMap(host::function).ifPresent(f -> addPlaces(f, places));
    return places;
  }

  Set<Place> of(PciFunction function) {
    Set<Place> places = new HashSet<>();
    places.add(new Place(function.address().toString()));
    addPlaces(function, places);
    return places;
  }

  private static void addPlaces(PciFunction function, Set<Place> places) {
    function.group().value().ifPresent(g -> places.add(Place.ofGroup(g)));
    function.physicalFunction().value().ifPresent(pf -> places.add(new Place(pf.toString())));
  }

  /** The places of all devices of a VM. */
  Set<Place> of(List<DeviceRequest> devices) {
    Set<Place> places = new HashSet<>();
    devices.forEach(d -> places.addAll(of(d)));
    return places;
  }
}
