// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.MdevParent;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.testing.Stall;
import org.vfio4j.testing.WatchedIommu;
import org.vfio4j.type1.AddressSpace;

/**
 * B27: whatever takes long in a call of one VM, the hardware or a device, keeps no other VM
 * waiting: neither its attaches, maps and resets nor its questions.
 */
class OtherVmsMeanwhileTest {
  private static final String DEVICE = "0000:00:02.0";
  private static final String PARENT = "0000:00:03.0";
  private static final String OTHERS = "0000:00:04.0";
  private static final String MDEV = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
  private static final String BACKED = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002";
  private static final int TYPE1_V2 = 3;

  /** An IOMMU one call of which stalls when that is wanted. */
  private static final class Stalling extends WatchedIommu {
    private final Stall stall = new Stall();
    private volatile Optional<Call> at = Optional.empty();

    Stalling(Iommu real) {
      super(real);
    }

    @Override
    protected void before(Call call, Object on) {
      if (at.filter(c -> c == call).isPresent()) {
        at = Optional.empty();
        stall.here();
      }
    }
  }

  /** A machine one device of which stalls when it is opened, reset or closed. */
  record SlowDevices(SoftMachine machine, Stall stall, Step at) implements Machine {
    enum Step {
      OPEN,
      RESET,
      CLOSE
    }

    private void at(Step step, Device device) {
      if (step == at && device.name().equals(DEVICE)) {
        stall.here();
      }
    }

    @Override
    public KernelProfile profile() {
      return machine.profile();
    }

    @Override
    public VfioCore core() {
      return machine.core();
    }

    @Override
    public Optional<Device> device(String name) {
      return machine.device(name);
    }

    @Override
    public Optional<IommuGroup> groupOf(String device) {
      return machine.groupOf(device);
    }

    @Override
    public Optional<IommuGroup> group(int number) {
      return machine.group(number);
    }

    @Override
    public void refresh(IommuGroup group) {
      machine.refresh(group);
    }

    @Override
    public void openGroup(IommuGroup group) {
      machine.openGroup(group);
    }

    @Override
    public void closeGroup(IommuGroup group) {
      machine.closeGroup(group);
    }

    @Override
    public void checkOption(Device device, String option) {
      machine.checkOption(device, option);
    }

    @Override
    public DeviceFile openDevice(IommuGroup group, Device device, String asked) {
      at(Step.OPEN, device);
      DeviceFile opened = machine.openDevice(group, device, asked);
      return new DeviceFile() {
        @Override
        public Vfio.DeviceInfo info() {
          return opened.info();
        }

        @Override
        public void reset() {
          at(Step.RESET, device);
          opened.reset();
        }

        @Override
        public List<Vfio.Dependent> hotResetInfo() {
          return opened.hotResetInfo();
        }

        @Override
        public int readConfig() {
          return opened.readConfig();
        }

        @Override
        public void close() {
          at(Step.CLOSE, device);
          opened.close();
        }
      };
    }

    @Override
    public void letGo() {
      machine.letGo();
    }
  }

  private Optional<Stalling> between = Optional.empty();
  private final SoftMachine machine =
      new SoftMachine(
          KernelProfile.DEFAULT,
          real -> {
            Stalling made = new Stalling(real);
            between = Optional.of(made);
            return made;
          });
  private final Stalling iommu = between.orElseThrow();
  private int container;
  private int group;

  OtherVmsMeanwhileTest() {
    add(1, DEVICE);
    add(2, PARENT);
    add(3, OTHERS);
    machine.bind(DEVICE, "vfio-pci");
    machine.bind(PARENT, "i915");
    machine.offer(PARENT, new MdevParent.Type("plain", MdevParent.Kind.PLAIN, 1));
    machine.createMdev(PARENT, "plain", MDEV);
    machine.bind(OTHERS, "vfio-pci");
  }

  private void add(int id, String name) {
    IommuGroup to = machine.addGroup(id, IommuUnit.VT_D, List.of());
    machine.addFunction(SoftFunction.endpoint(name, 1, 1).withReset(), Optional.of(to));
  }

  /** The group is in a container, which has no IOMMU yet. */
  private EngineVfio joined(Machine on) {
    return joined(on, DEVICE);
  }

  private EngineVfio joined(Machine on, String device) {
    EngineVfio vm = new EngineVfio("vm", on, new AddressSpace());
    container = vm.container();
    group = vm.group(device);
    vm.setContainer(group, container);
    return vm;
  }

  /** The container has an IOMMU and maps a page. */
  private EngineVfio live(Machine on) {
    return live(on, DEVICE);
  }

  private EngineVfio live(Machine on, String device) {
    EngineVfio vm = joined(on, device);
    vm.setIommu(container, TYPE1_V2);
    map(vm, container, 0);
    return vm;
  }

  private static void map(Vfio vm, AddressSpace memory, int container, long iova) {
    long vaddr = memory.place(MemorySegment.ofArray(new long[512]));
    vm.map(container, Vfio.MapRequest.of(vaddr, iova, 4096));
  }

  private static void map(EngineVfio vm, int container, long iova) {
    map(vm, vm.memory(), container, iova);
  }

  /** All that another VM does in its life. */
  private static void wholeLife(EngineVfio other) {
    int its = other.container();
    int itsGroup = other.group(OTHERS);
    assertThat(other.groupStatus(itsGroup, 8)).isEqualTo(1);
    other.setContainer(itsGroup, its);
    other.setIommu(its, TYPE1_V2);
    map(other, its, 0);
    int device = other.deviceFd(itsGroup, Optional.of(OTHERS));
    other.reset(device);
    assertThat(other.deviceInfo(device).regions()).isPositive();
    assertThat(other.info(its, 4096).pageSizes()).isNotZero();
    assertThat(other.groupStatus(itsGroup, 8)).isEqualTo(3);
    other.unmap(its, Vfio.UnmapRequest.of(0, 4096));
    other.close(device);
    other.unsetContainer(itsGroup);
    other.close();
  }

  /** The call stalls, and meanwhile another VM is started, used and ended, and the host asked. */
  private void shouldGoOnWhile(Machine on, Stall stall, Runnable call) {
    CompletableFuture<Boolean> stalled = Stall.elsewhere(call);
    stall.awaitReached();
    goOn(on, stalled);
    stall.end();
    assertThat(stalled.join()).isTrue();
  }

  private void goOn(Machine on, CompletableFuture<Boolean> stalled) {
    try (EngineVfio other = new EngineVfio("other", on, new AddressSpace())) {
      assertThat(Stall.elsewhere(() -> wholeLife(other)).join()).isTrue();
      assertThat(Stall.elsewhere(machine::waiting).join()).doesNotContain(OTHERS);
      assertThat(stalled).as("the call that takes long").isNotDone();
    }
  }

  /** A call of a VM that has the hardware do something. */
  enum InHardware {
    SET_CONTAINER(WatchedIommu.Call.CLAIM),
    SET_IOMMU(WatchedIommu.Call.ATTACH),
    UNSET_CONTAINER(WatchedIommu.Call.DETACH),
    UNSET_CONTAINER_UNMAPS(WatchedIommu.Call.UNMAP),
    LAST_CLOSE(WatchedIommu.Call.DETACH),
    EXIT(WatchedIommu.Call.UNMAP),
    STATUS(WatchedIommu.Call.VIABLE);

    private final WatchedIommu.Call at;

    InHardware(WatchedIommu.Call at) {
      this.at = at;
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldGoOnWhileTheHardwareIsAtWork(InHardware call) {
    EngineVfio vm =
        switch (call) {
          case SET_CONTAINER, STATUS -> {
            EngineVfio starting = joined(machine);
            starting.unsetContainer(group);
            yield starting;
          }
          case SET_IOMMU -> joined(machine);
          default -> live(machine);
        };
    Consumer<EngineVfio> slow =
        switch (call) {
          case SET_CONTAINER -> v -> v.setContainer(group, container);
          case SET_IOMMU -> v -> v.setIommu(container, TYPE1_V2);
          case UNSET_CONTAINER, UNSET_CONTAINER_UNMAPS -> v -> v.unsetContainer(group);
          case LAST_CLOSE -> v -> v.close(group);
          case EXIT -> EngineVfio::close;
          case STATUS -> v -> v.groupStatus(group, 8);
        };
    iommu.at = Optional.of(call.at);
    shouldGoOnWhile(machine, iommu.stall, () -> slow.accept(vm));
    vm.close();
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  @ParameterizedTest
  @EnumSource
  void shouldGoOnWhileADeviceIsSlow(SlowDevices.Step step) {
    Stall stall = new Stall();
    Machine slow = new SlowDevices(machine, stall, step);
    EngineVfio vm = live(slow);
    if (step == SlowDevices.Step.OPEN) {
      shouldGoOnWhile(slow, stall, () -> vm.deviceFd(group, Optional.of(DEVICE)));
    } else {
      int device = vm.deviceFd(group, Optional.of(DEVICE));
      shouldGoOnWhile(
          slow,
          stall,
          () -> {
            if (step == SlowDevices.Step.RESET) {
              vm.reset(device);
            } else {
              vm.close(device);
            }
          });
    }
    vm.close();
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  /** Who opens a plain mediated device is told of unmaps from then on: the container is asked. */
  @Test
  void shouldGoOnWhileAMediatedDeviceIsOpenedInAContainerThatPins() {
    EngineVfio vm = live(machine);
    int mdev = vm.group(MDEV);
    vm.setContainer(mdev, container);
    iommu.at = Optional.of(WatchedIommu.Call.MAP);
    CompletableFuture<Boolean> map = Stall.elsewhere(() -> map(vm, container, 4096));
    iommu.stall.awaitReached();
    CompletableFuture<Boolean> open = new CompletableFuture<>();
    startAndWait(() -> open.complete(vm.deviceFd(mdev, Optional.of(MDEV)) > 0));
    goOn(machine, open);
    iommu.stall.end();
    assertThat(map.join()).isTrue();
    assertThat(open.join()).isTrue();
    vm.close();
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  /** The kernel's next open waits for the last close in the same way. */
  @Test
  void shouldLetTheNextOwnerWaitForAGroupThatIsBeingLeft() throws InterruptedException {
    EngineVfio vm = live(machine);
    iommu.at = Optional.of(WatchedIommu.Call.DETACH);
    CompletableFuture<Boolean> leave = Stall.elsewhere(() -> vm.close(group));
    iommu.stall.awaitReached();
    EngineVfio next = new EngineVfio("next", machine, new AddressSpace());
    Thread opener = startAndWait(() -> next.group(DEVICE));
    iommu.stall.end();
    assertThat(leave.join()).isTrue();
    opener.join();
    assertThat(next.descriptors()).isEqualTo(1);
    next.close();
    vm.close();
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  @Test
  void shouldKeepTheDriverOfAGroupThatIsBeingLeft() {
    EngineVfio vm = live(machine);
    iommu.at = Optional.of(WatchedIommu.Call.DETACH);
    CompletableFuture<Boolean> leave = Stall.elsewhere(() -> vm.close(group));
    iommu.stall.awaitReached();
    assertThat(machine.unbind(DEVICE)).isFalse();
    assertThat(machine.waiting()).containsExactly(DEVICE);
    iommu.stall.end();
    assertThat(leave.join()).isTrue();
    assertThat(machine.waiting()).isEmpty();
    assertThat(machine.driver(DEVICE)).isEmpty();
    vm.close();
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  /** From 6.1 on the driver of a group's last device takes the group out of its container. */
  enum Forced {
    UNBIND,
    BIND_ANOTHER,
    REMOVE_MDEV,
    UNBIND_PARENT,
    LAST_CLOSE
  }

  private boolean force(Forced by, EngineVfio vm, int device) {
    return switch (by) {
      case UNBIND, UNBIND_PARENT -> machine.unbind(DEVICE);
      case BIND_ANOTHER -> machine.bind(DEVICE, "e1000");
      case REMOVE_MDEV -> machine.removeMdev(BACKED);
      case LAST_CLOSE -> {
        vm.close(device);
        yield machine.waiting().isEmpty();
      }
    };
  }

  @ParameterizedTest
  @EnumSource
  void shouldGoOnWhileAnUnbindTakesAGroupOutOfItsContainer(Forced by) {
    boolean wraps = by == Forced.REMOVE_MDEV || by == Forced.UNBIND_PARENT;
    if (wraps) {
      machine.bind(DEVICE, SoftMachine.WRAPPING_DRIVER);
      machine.createMdev(DEVICE, "backed", BACKED);
    }
    EngineVfio vm = live(machine, wraps ? BACKED : DEVICE);
    int device = -1;
    if (by == Forced.LAST_CLOSE) {
      device = vm.deviceFd(group, Optional.of(DEVICE));
      assertThat(machine.unbind(DEVICE)).isFalse();
    }
    int opened = device;
    iommu.at = Optional.of(WatchedIommu.Call.DETACH);
    CompletableFuture<Boolean> forced = Stall.elsewhere(() -> force(by, vm, opened));
    iommu.stall.awaitReached();
    goOn(machine, forced);
    iommu.stall.end();
    assertThat(forced.join()).isTrue();
    assertThat(machine.waiting()).isEmpty();
    assertThat(machine.driver(DEVICE))
        .isEqualTo(
            switch (by) {
              case BIND_ANOTHER -> Optional.of("e1000");
              case REMOVE_MDEV -> Optional.of(SoftMachine.WRAPPING_DRIVER);
              default -> Optional.empty();
            });
    assertThat(machine.device(BACKED)).isEmpty();
    assertThatThrownBy(() -> vm.groupStatus(group, 8))
        .isInstanceOfSatisfying(
            VfioException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENODEV));
    vm.close();
    machine.unbind(DEVICE);
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  /** As on a kernel, whose second writer waits for the device's lock. */
  @Test
  void shouldLetASecondBindComeAfterOneThatTakesLong() {
    EngineVfio vm = live(machine);
    iommu.at = Optional.of(WatchedIommu.Call.DETACH);
    CompletableFuture<Boolean> first = Stall.elsewhere(() -> machine.bind(DEVICE, "e1000"));
    iommu.stall.awaitReached();
    assertThat(machine.bind(DEVICE, "vfio-pci")).isFalse();
    assertThat(machine.waiting()).containsExactly(DEVICE);
    iommu.stall.end();
    assertThat(first.join()).isTrue();
    assertThat(machine.waiting()).isEmpty();
    assertThat(machine.driver(DEVICE)).contains("vfio-pci");
    assertThat(machine.refusedLater(DEVICE)).isEmpty();
    vm.close();
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }

  /** Starts a call that waits for another one; returns once it does. */
  private static Thread startAndWait(Runnable call) {
    Thread caller = Thread.ofPlatform().daemon().start(call);
    while (caller.getState() != Thread.State.WAITING) {
      assertThat(caller.isAlive()).isTrue();
      Thread.onSpinWait();
    }
    return caller;
  }

  /** SET_IOMMU is all or nothing, also for who asks in the middle of it. */
  @Test
  void shouldLetAGroupWaitForSetIommuOfItsContainer() {
    EngineVfio vm = joined(machine);
    int second = vm.group(OTHERS);
    iommu.at = Optional.of(WatchedIommu.Call.ATTACH);
    CompletableFuture<Boolean> start = Stall.elsewhere(() -> vm.setIommu(container, TYPE1_V2));
    iommu.stall.awaitReached();
    CompletableFuture<Boolean> join = Stall.elsewhere(() -> vm.setContainer(second, container));
    CompletableFuture<Boolean> leave = Stall.elsewhere(() -> vm.unsetContainer(group));
    assertThatThrownBy(() -> vm.info(container, 4096))
        .isInstanceOfSatisfying(
            VfioException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL));
    iommu.stall.end();
    assertThat(start.join() && join.join() && leave.join()).isTrue();
    assertThat(vm.groupStatus(group, 8)).as("viable, in no container").isEqualTo(1);
    vm.close();
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
  }
}
