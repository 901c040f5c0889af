// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.race;

import org.jetbrains.lincheck.datastructures.IntGen;
import org.jetbrains.lincheck.datastructures.Operation;
import org.jetbrains.lincheck.datastructures.Param;
import org.jetbrains.lincheck.datastructures.Validate;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.Container;

/** For Lincheck: two containers, one backing group, which two VFIO groups bring along. */
@Param(name = "container", gen = IntGen.class, conf = "0:1")
@Param(name = "group", gen = IntGen.class, conf = "0:1")
public class TwoContainersModel {
  private final Fixture fixture = new Fixture(KernelProfile.DEFAULT);
  private final Fixture.Function function = new Fixture.Function("0000:00:02.0");
  private final IommuGroup backing = fixture.group(IommuUnit.VT_D, function);
  private final IommuGroup[] groups = {backing, fixture.mdev(new Isolation.Backed(function))};
  private final Container[] containers = {fixture.container("one"), fixture.container("two")};

  @Operation
  public String attach(@Param(name = "container") int container, @Param(name = "group") int group) {
    try {
      containers[container].attach(groups[group]);
      return "attached";
    } catch (VfioException refused) {
      return refused.errno().name();
    }
  }

  @Operation
  public void detach(@Param(name = "container") int container, @Param(name = "group") int group) {
    containers[container].detach(groups[group]);
  }

  /**
   * What is told without the container's lock may be behind an attach under way, which another has
   * been refused for already. It is right when nothing is under way.
   */
  @Validate
  public void counted() {
    for (Container container : containers) {
      if (container.useCount(backing) != container.groups().size()) {
        throw new IllegalStateException(container + " counts " + container.useCount(backing));
      }
    }
    if (containers[0].useCount(backing) > 0 && containers[1].useCount(backing) > 0) {
      throw new IllegalStateException("both containers have the group");
    }
  }
}
