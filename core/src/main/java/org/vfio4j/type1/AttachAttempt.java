// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.Optional;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.Ownership;

/**
 * An attach under way: what it has taken so far, and the one way out that gives all of it back in
 * reverse. Closing an attempt that was not {@link #keep kept} leaves no trace of it.
 */
final class AttachAttempt implements AutoCloseable {
  private final Hardware hardware;
  private final Ownership.Owner owner;
  private final Attachment entry;

  private boolean owned;
  private boolean opened;
  private Optional<IommuDomain> own = Optional.empty();
  private Optional<IommuDomain> attachedTo = Optional.empty();
  private boolean kept;

  AttachAttempt(Hardware hardware, Ownership.Owner owner, Attachment entry) {
    this.hardware = hardware;
    this.owner = owner;
    this.entry = entry;
  }

  /** Takes the backing group for this container, against all others. */
  void take() {
    if (entry.backing.isPresent()) {
      entry.backing.get().ownership().take(owner);
      owned = true;
      hardware.iommu().open(entry.backing.get());
      opened = true;
    }
  }

  IommuDomain allocate() {
    IommuDomain domain = hardware.allocate(entry);
    own = Optional.of(domain);
    return domain;
  }

  void attach(IommuDomain to) {
    entry.attachTo(to);
    attachedTo = Optional.of(to);
  }

  /**
   * Tries to do with a domain that the container has already; the own one is then given up.
   *
   * @return whether it worked; if not, the entry is back on its own domain
   * @throws VfioException if even the way back was refused
   */
  boolean share(IommuDomain existing) {
    IommuDomain mine = own.orElseThrow();
    entry.detachFrom(mine);
    attachedTo = Optional.empty();
    try {
      attach(existing);
    } catch (VfioException refused) {
      attach(mine);
      return false;
    }
    own = Optional.empty();
    mine.close();
    return true;
  }

  /** The attach has succeeded: nothing is given back. */
  void keep() {
    kept = true;
  }

  @Override
  public void close() {
    if (kept) {
      return;
    }
    attachedTo.ifPresent(entry::detachFrom);
    own.ifPresent(IommuDomain::close);
    if (opened) {
      hardware.iommu().close(entry.backing.orElseThrow());
    }
    if (owned) {
      entry.backing.orElseThrow().ownership().giveBack(owner);
    }
  }
}
