// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.Set;
import org.vfio4j.iommu.IommuDomain;

/** A domain of a container and the entries on it ({@code struct vfio_domain}). */
final class Domain {
  final IommuDomain hardware;

  /** Changed by {@link Attachments} alone. */
  private final Set<Attachment> entries = new LinkedHashSet<>();

  Domain(IommuDomain hardware) {
    this.hardware = hardware;
  }

  Collection<Attachment> entries() {
    return Collections.unmodifiableCollection(entries);
  }

  void add(Attachment entry) {
    entries.add(entry);
  }

  void remove(Attachment entry) {
    entries.remove(entry);
  }
}
