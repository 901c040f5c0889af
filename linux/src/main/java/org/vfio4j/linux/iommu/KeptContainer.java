// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import java.util.Optional;
import org.vfio4j.linux.uapi.ContainerCalls;

/**
 * A container that a process before this one has left, with groups in it. The first of them that is
 * attached brings it to a domain; the others join that domain with nothing asked of the kernel.
 */
final class KeptContainer {
  final ContainerCalls calls;
  private Optional<LinuxDomain> domain = Optional.empty();

  KeptContainer(ContainerCalls calls) {
    this.calls = calls;
  }

  /** Whether a group of it that attaches to that domain is in the domain's container by that. */
  synchronized boolean enters(LinuxDomain next) {
    if (domain.isEmpty()) {
      next.resume(calls);
      domain = Optional.of(next);
      return true;
    }
    boolean same = domain.get() == next;
    if (same) {
      next.joined();
    }
    return same;
  }

  /** No group of it has been attached. */
  synchronized boolean unused() {
    return domain.isEmpty();
  }
}
