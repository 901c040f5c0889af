// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.soft.SoftVfio;
import org.vfio4j.testing.Stall;
import org.vfio4j.testing.WatchedIommu;

/** B27: a group that joins a VM's live container keeps no other VM waiting. */
class LiveAttachTest {
  private static final String FIRST = "0000:00:02.0";
  private static final String SECOND = "0000:00:03.0";
  private static final String OTHER = "0000:00:04.0";

  /** An IOMMU whose second map, the replay, takes until it is let go, and is refused if told so. */
  private static final class Replaying extends WatchedIommu {
    private final Stall replay = new Stall();
    private volatile boolean refuse;
    private int maps;

    Replaying(Iommu real) {
      super(real);
    }

    @Override
    protected void before(Call call, Object on) {
      if (call == Call.MAP && ++maps == 2) {
        replay.here();
        if (refuse) {
          throw new VfioException(Errno.ENOMEM, Reason.NO_MEMORY, "planned");
        }
      }
    }
  }

  private Optional<Replaying> between = Optional.empty();
  private final SoftMachine machine =
      new SoftMachine(
          KernelProfile.DEFAULT,
          real -> {
            Replaying made = new Replaying(real);
            between = Optional.of(made);
            return made;
          });
  private final Replaying iommu = between.orElseThrow();
  private final SoftVfio vm = machine.process("vm");
  private int container;
  private int firstGroup;
  private int group;

  /** A live container with a page mapped, and a group that needs a domain of its own to join it. */
  private void prepare() {
    add(1, FIRST, IommuUnit.VT_D);
    add(2, SECOND, IommuUnit.VT_D.withCoherent(true));
    add(3, OTHER, IommuUnit.VT_D);
    container = vm.container();
    firstGroup = vm.group(FIRST);
    vm.setContainer(firstGroup, container);
    vm.setIommu(container, 3);
    long vaddr = vm.memory().place(MemorySegment.ofArray(new long[512]));
    vm.map(container, Vfio.MapRequest.of(vaddr, 0, 4096));
    group = vm.group(SECOND);
  }

  private void add(int id, String name, IommuUnit unit) {
    IommuGroup to = machine.addGroup(id, unit, List.of());
    machine.addFunction(SoftFunction.endpoint(name, 1, 1), Optional.of(to));
    machine.bind(name, "vfio-pci");
  }

  private CompletableFuture<Boolean> join() {
    CompletableFuture<Boolean> join = Stall.elsewhere(() -> vm.setContainer(group, container));
    iommu.replay.awaitReached();
    return join;
  }

  @Test
  void shouldLetAnotherVmStartWhileAGroupJoinsALiveContainer() {
    prepare();
    CompletableFuture<Boolean> join = join();
    int devices =
        Stall.elsewhere(
                () -> {
                  try (SoftVfio other = machine.process("other")) {
                    int its = other.container();
                    int itsGroup = other.group(OTHER);
                    other.setContainer(itsGroup, its);
                    other.setIommu(its, 3);
                    other.deviceFd(itsGroup, Optional.of(OTHER));
                    return other.descriptors();
                  }
                })
            .join();
    assertThat(devices).isEqualTo(3);
    assertThat(Stall.elsewhere(() -> vm.checkExtension(container, 3)).join()).isEqualTo(1);
    assertThat(join).as("the group is still joining").isNotDone();
    CompletableFuture<Integer> status = Stall.elsewhere(() -> vm.groupStatus(group, 8));
    iommu.replay.end();
    assertThat(join.join()).isTrue();
    assertThat(status.join()).as("viable, and in a container").isEqualTo(3);
    vm.close();
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  @Test
  void shouldKeepTheContainerAliveForAGroupThatIsJoining() {
    prepare();
    CompletableFuture<Boolean> join = join();
    CompletableFuture<Boolean> leave = Stall.elsewhere(() -> vm.unsetContainer(firstGroup));
    assertThat(machine.unbind(SECOND)).as("the group is joining: its driver waits").isFalse();
    iommu.replay.end();
    assertThat(join.join()).isTrue();
    assertThat(leave.join()).isTrue();
    assertThat(machine.waiting()).isEmpty();
    vm.close();
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  @Test
  void shouldTakeBackAGroupWhoseMemoryCannotBeReplayed() {
    prepare();
    iommu.refuse = true;
    CompletableFuture<Boolean> join = join();
    iommu.replay.end();
    assertThatThrownBy(join::join)
        .isInstanceOf(CompletionException.class)
        .cause()
        .isInstanceOfSatisfying(
            VfioException.class,
            e -> {
              assertThat(e.errno()).isEqualTo(Errno.ENOMEM);
              assertThat(e.refusal().call()).isEqualTo("VFIO_GROUP_SET_CONTAINER");
            });
    assertThat(vm.groupStatus(group, 8)).as("viable, in no container").isEqualTo(1);
    vm.setContainer(group, container);
    vm.close();
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }
}
