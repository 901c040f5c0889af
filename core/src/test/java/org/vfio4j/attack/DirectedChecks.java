// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.testing.WatchedIommu;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/**
 * Rules that no user of the VFIO API can reach, straight at the container: mediated devices that
 * share a group, a detach of what was never attached, a function whose mode changes under its user.
 */
final class DirectedChecks {
  private final SoftIommu iommu = new SoftIommu(KernelProfile.DEFAULT);
  private final FaultyIommu faults = new FaultyIommu(iommu);
  private final SoftFunction parent = SoftFunction.endpoint("0000:00:04.0", 0x1234, 0x11e8);
  private final IommuGroup physical = iommu.addGroup(1, IommuUnit.VT_D, List.of());
  private final Container container =
      new Container("c", faults, KernelProfile.DEFAULT, Type1.V2, new Type1Parameters());

  private DirectedChecks() {
    iommu.addDevice(physical, parent);
  }

  static void run() {
    new DirectedChecks().detachOfStrangers();
    new DirectedChecks().auxGroupOfTwo();
    new DirectedChecks().auxGroupOfTwoThatFails();
    new DirectedChecks().auxBesideItsParent();
    new DirectedChecks().scopeOfWhoJoins();
  }

  private IommuGroup auxGroup(int id, int members) {
    IommuGroup group = iommu.addGroup(id, IommuUnit.NONE, List.of());
    for (int i = 0; i < members; i++) {
      Isolation isolation = new Isolation.Aux(parent);
      iommu.addDevice(group, new MediatedDevice("x" + id + i, "aux", parent, isolation));
    }
    return group;
  }

  /** R5: an unknown group is no error, and nothing changes; twice is no error either. */
  private void detachOfStrangers() {
    IommuGroup stranger = iommu.addGroup(2, IommuUnit.VT_D, List.of());
    container.attach(physical);
    SoftIommu.Census before = iommu.census();
    container.detach(stranger);
    Violation.when(!iommu.census().equals(before), "I5", "detach of a stranger changed something");
    container.detach(physical);
    container.detach(physical);
    expectEmpty();
  }

  /** D9: a detach goes on to the last member. */
  private void auxGroupOfTwo() {
    iommu.enableAux(parent, true);
    IommuGroup two = auxGroup(2, 2);
    IommuGroup one = auxGroup(3, 1);
    container.attach(one);
    container.attach(two);
    container.detach(two);
    Violation.when(iommu.census().pasids() != 1, "I7", "one detach took another's PASID");
    container.detach(one);
    expectEmpty();
  }

  /** D10: a member whose attach fails takes those before it back. */
  private void auxGroupOfTwoThatFails() {
    iommu.enableAux(parent, true);
    IommuGroup two = auxGroup(2, 2);
    faults.arm(3, 1, Errno.ENOMEM);
    Optional<Errno> answer = attach(two);
    boolean second = faults.fired().equals(Optional.of(WatchedIommu.Call.ATTACH_AUX));
    faults.arm(0, 0, Errno.ENOMEM);
    Violation.when(
        !second || !answer.equals(Optional.of(Errno.ENOMEM)),
        "fault",
        "the second member's attach was to fail: " + answer);
    expectEmpty();
    container.attach(two);
    container.detach(two);
    expectEmpty();
  }

  /** D3: an aux device never counts as a user of its parent's whole group. */
  private void auxBesideItsParent() {
    container.attach(physical);
    iommu.enableAux(parent, true);
    IommuGroup aux = auxGroup(2, 1);
    container.attach(aux);
    Violation.when(container.useCount(physical) != 1, "I7", "an aux device counts as a user");
    Violation.when(iommu.census().pasids() != 1, "I7", "an aux device is attached without a PASID");
    container.detach(aux);
    Violation.when(
        iommu.domainOf(physical).isEmpty(), "I1", "an aux device took its parent's hardware along");
    container.detach(physical);
    expectEmpty();
  }

  /** D5: who joins a backing group may write anywhere, also when its first user has left. */
  private void scopeOfWhoJoins() {
    IommuGroup wrapped = iommu.addGroup(2, IommuUnit.NONE, List.of());
    Isolation isolation = new Isolation.Backed(parent);
    iommu.addDevice(wrapped, new MediatedDevice("w", "backed", parent, isolation));
    AddressSpace memory = new AddressSpace();
    long vaddr = memory.place(Arena.ofAuto().allocate(World.PAGE, World.PAGE));
    container.attach(physical);
    container.attach(wrapped);
    container.map(memory, vaddr, 0, World.PAGE, Container.MAP_READ | Container.MAP_WRITE);
    container.startDirtyTracking();
    container.detach(physical);
    for (int read = 0; read < 2; read++) {
      long[] bits = new long[1];
      container.dirtyBitmap(0, World.PAGE, World.PAGE, bits);
      Violation.when(
          bits[0] == 0,
          "D5",
          "a page reads clean though a wrapped function may have written to it");
    }
    container.detach(wrapped);
    expectEmpty();
  }

  private Optional<Errno> attach(IommuGroup group) {
    try {
      container.attach(group);
      return Optional.empty();
    } catch (VfioException refused) {
      return Optional.of(refused.errno());
    }
  }

  private void expectEmpty() {
    Violation.when(
        !iommu.census().equals(SoftIommu.Census.EMPTY), "leak", iommu.census().toString());
  }
}
