// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Holder;
import org.vfio4j.error.Reason;
import org.vfio4j.error.Refusal;
import org.vfio4j.error.VfioException;

/**
 * Whether a group {@linkplain GroupState#LINGERING lingers}, whose it was, and who waits for it:
 * the same for every {@link Iommu}, which is asked whether somebody still keeps the group. The
 * group's lock, its monitor, covers it.
 */
public final class Lingering {
  private final IommuGroup group;
  private boolean lingers;
  private Optional<Ownership.Owner> last = Optional.empty();
  private final List<Runnable> waiting = new ArrayList<>();

  /** The group does not linger. */
  public Lingering(IommuGroup group) {
    this.group = group;
  }

  /** Whether it lingers. */
  public boolean lingers() {
    synchronized (group) {
      return lingers;
    }
  }

  /**
   * The group is given back, and somebody still keeps it. Whoever owns it now is told of as its
   * last owner. Again is fine, and changes nothing.
   */
  public void begin() {
    synchronized (group) {
      if (!lingers) {
        lingers = true;
        last = group.ownership().who();
      }
    }
  }

  /** Nobody keeps it any more. Those who wait are to be {@linkplain #tell told}. */
  public void end() {
    synchronized (group) {
      lingers = false;
      last = Optional.empty();
    }
  }

  /**
   * Refuses a group that lingers.
   *
   * @param call the system call that found it so
   * @throws VfioException EBUSY; it names the group's devices and its last owner
   */
  public void check(String call) {
    synchronized (group) {
      if (lingers) {
        throw new VfioException(refusal(call));
      }
    }
  }

  private Refusal refusal(String call) {
    List<String> devices = group.devices().stream().<String>map(Device::name).toList();
    Optional<String> owner = last.map(o -> o.holder(group).name());
    return new Refusal(
        Errno.EBUSY,
        Reason.USERS_REMAIN,
        call,
        ("IOMMU group %d lingers: %s gave it back, and a device of it is still open: its registers"
                + " are mapped, or somebody was handed its descriptor")
            .formatted(group.id(), owner.orElse("its last owner")),
        devices,
        owner.map(name -> new Holder(name, devices)));
  }

  /** Has something done once the group does not linger; {@link #tell} does it. */
  public void await(Runnable then) {
    synchronized (group) {
      waiting.add(then);
    }
  }

  /** Does what was waited with, if the group does not linger. Without the group's lock. */
  public void tell() {
    List<Runnable> told;
    synchronized (group) {
      if (lingers) {
        return;
      }
      told = List.copyOf(waiting);
      waiting.clear();
    }
    told.forEach(Runnable::run);
  }
}
