// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Holder;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/** B29: a group that was given back while somebody still has a device of it open lingers. */
class LingeringGroupTest {
  private static final String DEVICE = "0000:01:00.0";

  private final SoftIommu iommu = new SoftIommu(KernelProfile.DEFAULT);
  private final SoftFunction device = SoftFunction.endpoint(DEVICE, 1, 1);
  private final IommuGroup group = iommu.addGroup(1, IommuUnit.VT_D, List.of());
  private final Container first = container("first");
  private final Container next = container("next");

  LingeringGroupTest() {
    iommu.addDevice(group, device);
  }

  private Container container(String name) {
    return new Container(name, iommu, KernelProfile.DEFAULT, Type1.V2, new Type1Parameters());
  }

  @Test
  void shouldTellWhoseAGroupIs() {
    assertThat(iommu.state(group)).isEqualTo(GroupState.FREE);
    first.attach(group);
    assertThat(iommu.state(group)).isEqualTo(GroupState.HELD);
    first.detach(group);
    assertThat(iommu.state(group)).isEqualTo(GroupState.FREE);
  }

  @Test
  void shouldRefuseTheNextOwnerOfAGroupThatLingers() {
    first.attach(group);
    Runnable close = iommu.handOut(device);
    first.detach(group);
    assertThat(iommu.state(group)).isEqualTo(GroupState.LINGERING);
    assertThatThrownBy(() -> next.attach(group))
        .isInstanceOfSatisfying(
            VfioException.class,
            e -> {
              assertThat(e.errno()).isEqualTo(Errno.EBUSY);
              assertThat(e.reason()).isEqualTo(Reason.USERS_REMAIN);
              assertThat(e).hasMessageContaining("lingers: first gave it back");
              assertThat(e.refusal().holder()).contains(new Holder("first", List.of(DEVICE)));
            });
    assertThat(group.ownership().who()).as("the refused one has nothing of it").isEmpty();
    close.run();
    next.attach(group);
    assertThat(iommu.state(group)).isEqualTo(GroupState.HELD);
    next.close();
    assertThat(iommu.census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  @Test
  void shouldTellWhoWaitsThatAGroupIsFree() {
    List<String> told = new ArrayList<>();
    first.attach(group);
    Runnable close = iommu.handOut(device);
    first.detach(group);
    iommu.onFree(
        group,
        () -> {
          next.attach(group);
          told.add("next");
        });
    iommu.settle();
    assertThat(told).isEmpty();
    close.run();
    iommu.settle();
    iommu.settle();
    assertThat(told).as("once").containsExactly("next");
    assertThat(next.groups()).containsExactly(group);
    next.close();
    iommu.onFree(group, () -> told.add("at once"));
    assertThat(told).containsExactly("next", "at once");
  }
}
