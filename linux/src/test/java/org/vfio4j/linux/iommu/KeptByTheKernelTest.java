// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.logging.Level;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.GroupState;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.linux.sysfs.Sysfs;
import org.vfio4j.linux.testing.FakeHost;
import org.vfio4j.linux.testing.FakeKernel;
import org.vfio4j.linux.testing.OperatorLog;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.GroupCalls;
import org.vfio4j.linux.uapi.Ioctls;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.OpenFiles;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.WatchedSystemCalls;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;

/** What the kernel does not give back, or does not tell: it is neither forgotten nor guessed. */
class KeptByTheKernelTest {
  private static final long IOVA = 0x100000;
  private static final long SIZE = 0x10000;
  private static final int READ_WRITE = Container.MAP_READ | Container.MAP_WRITE;

  @TempDir Path folder;

  private final AddressSpace memory = ProcessMemory.create();
  @RegisterExtension private final OperatorLog log = new OperatorLog();

  private FakeHost host;

  @BeforeEach
  void boot() {
    host = new FakeHost(folder);
  }

  @AfterEach
  void shouldLeaveNothing() {
    host.shouldBeAsNew();
  }

  private LinuxIommu iommu(SystemCalls calls) {
    return host.iommu(calls);
  }

  private static Container container(LinuxIommu iommu) {
    return FakeHost.container("vm", iommu);
  }

  private static VfioException refusal(Runnable call) {
    return catchThrowableOfType(VfioException.class, call::run);
  }

  private long lockedPages() {
    return host.kernel().process().memory().lockedPages();
  }

  /** System calls whose UNMAP_DMA fails for as long as that is wanted. */
  private static final class RefusedUnmaps extends WatchedSystemCalls {
    boolean refuse = true;

    RefusedUnmaps(SystemCalls calls) {
      super(calls);
    }

    @Override
    protected int before(String call, int request) {
      boolean unmap = call.equals("ioctl") && request == Ioctls.VFIO_IOMMU_UNMAP_DMA;
      return unmap && refuse ? -Errno.EFAULT.number() : 0;
    }
  }

  /** B25: an unmap that the kernel refuses keeps range and memory, and says so. */
  @Test
  void shouldKeepAMappingThatTheKernelWillNotRemove() {
    RefusedUnmaps calls = new RefusedUnmaps(host.kernel());
    LinuxIommu iommu = iommu(calls);
    try (MappedMemory buffer = MappedMemory.anonymous(host.kernel(), SIZE);
        Container vm = container(iommu)) {
      vm.attach(iommu.groupOf(FakeHost.A).orElseThrow());
      vm.map(memory, buffer.address(), IOVA, SIZE, READ_WRITE);
      VfioException refused = refusal(() -> vm.unmap(memory, IOVA, SIZE));
      assertThat(refused.errno()).isEqualTo(Errno.EFAULT);
      assertThat(refused).hasMessageContaining("stay mapped");
      assertThat(refused.refusal().call()).isEqualTo("VFIO_IOMMU_UNMAP_DMA");
      assertThat(log.levels()).contains(Level.SEVERE);
      assertThat(vm.mappings()).isEqualTo(1);
      assertThat(lockedPages()).as("devices still have them").isEqualTo(SIZE / 4096);
      assertThat(refusal(() -> vm.map(memory, buffer.address(), IOVA, 4096, READ_WRITE)).errno())
          .as("nothing else is mapped there")
          .isEqualTo(Errno.EEXIST);

      calls.refuse = false;
      assertThat(vm.unmap(memory, IOVA, SIZE)).isEqualTo(SIZE);
      assertThat(lockedPages()).isZero();
      vm.map(memory, buffer.address(), IOVA, 4096, READ_WRITE);
    }
  }

  /** B25: of several, those that can go do. */
  @Test
  void shouldRemoveWhatCanBeRemoved() {
    int[] refuse = {2 * 3};
    SystemCalls calls =
        new WatchedSystemCalls(host.kernel()) {
          @Override
          protected int before(String call, int request) {
            boolean unmap = call.equals("ioctl") && request == Ioctls.VFIO_IOMMU_UNMAP_DMA;
            return unmap && --refuse[0] >= 3 ? -Errno.EFAULT.number() : 0;
          }
        };
    LinuxIommu iommu = iommu(calls);
    try (MappedMemory buffer = MappedMemory.anonymous(host.kernel(), SIZE);
        Container vm = container(iommu)) {
      vm.attach(iommu.groupOf(FakeHost.A).orElseThrow());
      vm.map(memory, buffer.address(), IOVA, 4096, READ_WRITE);
      vm.map(memory, buffer.address(), IOVA + 4096, 4096, READ_WRITE);
      assertThat(refusal(() -> vm.unmap(memory, IOVA, SIZE)).errno()).isEqualTo(Errno.EFAULT);
      assertThat(vm.mappings()).isEqualTo(1);
      assertThat(lockedPages()).isEqualTo(1);
      assertThat(vm.unmap(memory, IOVA, SIZE)).isEqualTo(4096);
    }
  }

  /** B25: the last detach takes all that is mapped with it, whatever was refused before. */
  @Test
  void shouldEndWhatWasKeptWithTheLastGroup() {
    LinuxIommu iommu = iommu(new RefusedUnmaps(host.kernel()));
    try (MappedMemory buffer = MappedMemory.anonymous(host.kernel(), SIZE);
        Container vm = container(iommu)) {
      IommuGroup group = iommu.groupOf(FakeHost.A).orElseThrow();
      vm.attach(group);
      vm.map(memory, buffer.address(), IOVA, SIZE, READ_WRITE);
      assertThat(refusal(() -> vm.unmap(memory, IOVA, SIZE)).errno()).isEqualTo(Errno.EFAULT);
      vm.detach(group);
      assertThat(vm.mappings()).isZero();
      assertThat(lockedPages()).isZero();
    }
  }

  /** B29: while registers are mapped, the group lingers: no warning, nothing mapped for it. */
  @Test
  void shouldLetAGroupLingerWhoseRegistersAreStillMapped() {
    LinuxIommu iommu = iommu(host.kernel());
    IommuGroup group = iommu.groupOf(FakeHost.A).orElseThrow();
    List<String> freed = new ArrayList<>();
    try (MappedMemory buffer = MappedMemory.anonymous(host.kernel(), SIZE);
        Container vm = container(iommu)) {
      vm.attach(group);
      assertThat(iommu.state(group)).isEqualTo(GroupState.HELD);
      vm.map(memory, buffer.address(), IOVA, SIZE, READ_WRITE);
      DeviceCalls device = iommu.openDevice(FakeHost.A);
      int both = Constants.PROT_READ | Constants.PROT_WRITE;
      MappedMemory registers = MappedMemory.ofFile(device.descriptor(), 0, 4096, both);
      vm.detach(group);
      assertThat(log.levels()).doesNotContain(Level.WARNING, Level.SEVERE);
      assertThat(iommu.state(group)).isEqualTo(GroupState.LINGERING);
      assertThat(lockedPages()).as("the device reaches nothing any more").isZero();
      Container next = FakeHost.container("next", iommu);
      VfioException refused = refusal(() -> next.attach(group));
      assertThat(refused.errno()).isEqualTo(Errno.EBUSY);
      assertThat(refused.reason()).isEqualTo(Reason.USERS_REMAIN);
      assertThat(refused).hasMessageContaining("lingers: vm gave it back");
      assertThat(refused.refusal().devices()).containsExactly(FakeHost.A);
      assertThat(refused.refusal().holder().orElseThrow().name()).isEqualTo("vm");

      iommu.onFree(group, () -> freed.add("free"));
      iommu.settle();
      assertThat(freed).isEmpty();
      registers.close();
      iommu.settle();
      assertThat(freed).containsExactly("free");
      assertThat(iommu.state(group)).isEqualTo(GroupState.FREE);
      next.attach(group);
      assertThat(next.groups()).containsExactly(group);
      next.close();
    }
  }

  /** B29: it lingers in the container that its neighbours go on using, until they have left too. */
  @Test
  void shouldUnmapWhatALingeringGroupReachesWithTheLastNeighbour() {
    LinuxIommu iommu = iommu(host.kernel());
    IommuGroup group = iommu.groupOf(FakeHost.A).orElseThrow();
    IommuGroup neighbour = iommu.groupOf(FakeHost.B).orElseThrow();
    try (MappedMemory buffer = MappedMemory.anonymous(host.kernel(), SIZE);
        Container vm = container(iommu)) {
      vm.attach(group);
      vm.attach(neighbour);
      vm.map(memory, buffer.address(), IOVA, SIZE, READ_WRITE);
      DeviceCalls device = iommu.openDevice(FakeHost.A);
      MappedMemory registers =
          MappedMemory.ofFile(device.descriptor(), 0, 4096, Constants.PROT_READ);
      vm.detach(group);
      assertThat(iommu.state(group)).isEqualTo(GroupState.LINGERING);
      assertThat(lockedPages()).as("the neighbour's").isEqualTo(SIZE / 4096);
      vm.detach(neighbour);
      assertThat(lockedPages()).isZero();
      assertThat(iommu.state(neighbour)).isEqualTo(GroupState.FREE);
      assertThat(iommu.state(group)).isEqualTo(GroupState.LINGERING);
      registers.close();
      assertThat(iommu.state(group)).isEqualTo(GroupState.FREE);
    }
  }

  /**
   * B26: who has a group open is looked for when the locks are left, and not before it is asked.
   */
  @Test
  void shouldLookForTheHolderOutsideTheLocks() {
    List<String> looked = new ArrayList<>();
    IommuGroup[] group = new IommuGroup[1];
    Container[] vm = new Container[1];
    LinuxIommu iommu =
        new LinuxIommu(
            host.kernel(),
            new Sysfs(host.sys()),
            file -> {
              assertThat(Thread.holdsLock(group[0])).as("the group's lock").isFalse();
              Thread other =
                  Thread.ofPlatform().start(() -> looked.add(vm[0].name() + vm[0].info()));
              try {
                other.join(50_000);
              } catch (InterruptedException e) {
                throw new IllegalStateException(e);
              }
              assertThat(looked).as("another thread's use of the container").hasSize(1);
              return Optional.of(new OpenFiles.User(812, "qemu " + file));
            });
    group[0] = iommu.groupOf(FakeHost.A).orElseThrow();
    FakeKernel stranger = new FakeKernel(host.machine());
    try (Container one = container(iommu);
        GroupCalls _ = GroupCalls.open(stranger, 1)) {
      vm[0] = one;
      VfioException refused = refusal(() -> one.attach(group[0]));
      assertThat(refused.errno()).isEqualTo(Errno.EBUSY);
      assertThat(refused.refusal().holder().orElseThrow().name())
          .isEqualTo("process 812 (qemu /dev/vfio/1)");
      assertThat(looked).hasSize(1);
    }
  }
}
