// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Holder;
import org.vfio4j.error.Reason;
import org.vfio4j.error.Refusal;
import org.vfio4j.error.VfioException;

/**
 * To whom a group belongs ({@code owner} and {@code owner_cnt} of {@code struct iommu_group}): the
 * one address space that may attach it, and how often its DMA is claimed for user space. This is
 * where a second address space is refused, whatever IOMMU the group is behind.
 *
 * <p>Every group has one of its own. It is checked and set under the group's own lock, which is the
 * monitor of the group, so that exclusivity does not rest on the default-domain rule.
 */
public final class Ownership {
  /** An address space that can own a group: a container. */
  public interface Owner {
    /**
     * Who it is and through which devices it has the group, for error messages. It is asked without
     * the group's lock, by whoever was refused.
     */
    Holder holder(IommuGroup group);
  }

  private final IommuGroup group;
  private Optional<Owner> owner = Optional.empty();
  private int claims;

  /** Nobody owns the group, and nobody claims it. */
  public Ownership(IommuGroup group) {
    this.group = group;
  }

  /**
   * Makes {@code asker} the one address space that may attach the group. The owner may ask again.
   *
   * @throws VfioException EBUSY if another one owns the group; it names the owner
   */
  public void take(Owner asker) {
    Optional<Owner> other = takeUnlessOwned(asker);
    if (other.isPresent()) {
      throw refusal(other.get());
    }
  }

  private Optional<Owner> takeUnlessOwned(Owner asker) {
    synchronized (group) {
      if (owner.isPresent() && owner.get() != asker) {
        return owner;
      }
      owner = Optional.of(asker);
      return Optional.empty();
    }
  }

  private VfioException refusal(Owner other) {
    String[] devices = group.devices().stream().map(Device::name).toArray(String[]::new);
    return new VfioException(
        Refusal.of(
                Errno.EBUSY,
                Reason.BACKING_GROUP_HELD,
                "IOMMU group " + group.id() + " is attached in another address space",
                devices)
            .heldBy(other.holder(group)));
  }

  /** Ends {@link #take}. Does nothing if {@code former} does not own the group. */
  public void giveBack(Owner former) {
    synchronized (group) {
      if (owner.isPresent() && owner.get() == former) {
        owner = Optional.empty();
      }
    }
  }

  /** Who may attach the group now. */
  public Optional<Owner> who() {
    synchronized (group) {
      return owner;
    }
  }

  /**
   * Claims the group's DMA for user space ({@code iommu_group_claim_dma_owner}). The first claim is
   * the IOMMU's to admit; every further one counts up.
   *
   * @throws VfioException what {@link Iommu#claim} answers; nothing is counted then
   */
  public void claim(Iommu iommu) {
    synchronized (group) {
      if (claims == 0) {
        iommu.claim(group);
      }
      claims++;
    }
  }

  /** Gives one claim back; with the last one the IOMMU's goes too. Cannot fail. */
  public void unclaim(Iommu iommu) {
    synchronized (group) {
      if (claims == 0) {
        throw new IllegalStateException(group + " unclaimed more often than claimed");
      }
      claims--;
      if (claims == 0) {
        iommu.unclaim(group);
      }
    }
  }

  /** How many claims have not been given back. */
  public int claims() {
    synchronized (group) {
      return claims;
    }
  }
}
