// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.LinkedHashSet;
import java.util.Set;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuDomain;

/** A domain of a container and the entries on it ({@code struct vfio_domain}). */
final class Domain {
  final IommuDomain hardware;
  final Set<Attachment> entries = new LinkedHashSet<>();

  Domain(IommuDomain hardware) {
    this.hardware = hardware;
  }

  /**
   * Moves the entry's hardware here: its backing group, or one PASID for each member. A member that
   * fails takes those before it back.
   */
  static void attach(IommuDomain to, Attachment entry) {
    if (entry.backing.isPresent()) {
      to.attach(entry.backing.get());
      return;
    }
    int done = 0;
    try {
      for (Device parent : entry.auxParents) {
        to.attachAux(parent);
        done++;
      }
    } finally {
      if (done < entry.auxParents.size()) {
        entry.auxParents.subList(0, done).reversed().forEach(to::detachAux);
      }
    }
  }

  /** Takes the entry's hardware away again. Cannot fail, and goes on to the last member. */
  static void detach(IommuDomain from, Attachment entry) {
    entry.backing.ifPresent(from::detach);
    entry.auxParents.forEach(from::detachAux);
  }
}
