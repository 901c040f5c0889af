// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.testing.FakeHost;
import org.vfio4j.linux.uapi.Ioctls;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.WatchedSystemCalls;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.Stall;
import org.vfio4j.vfio.EngineVfio;
import org.vfio4j.vfio.Vfio;

/**
 * B27: a driver that leaves takes its group out of a VM's container, which lasts as long as the
 * kernel unmaps the VM's memory, and keeps no other VM waiting.
 */
class SlowUnbindTest {
  private static final int TYPE1_V2 = 3;
  private static final String MDEV = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

  /** UNSET_CONTAINER, which unmaps, stalls. */
  private static final class SlowUnset extends WatchedSystemCalls {
    private final Stall stall = new Stall();

    SlowUnset(SystemCalls calls) {
      super(calls);
    }

    @Override
    protected int before(String call, int request) {
      if (request == Ioctls.VFIO_GROUP_UNSET_CONTAINER) {
        stall.here();
      }
      return 0;
    }
  }

  @TempDir Path folder;

  private FakeHost host;
  private SlowUnset calls;
  private LinuxMachine machine;
  private EngineVfio vm;

  @BeforeEach
  void boot() {
    host = new FakeHost(folder);
    calls = new SlowUnset(host.kernel());
    machine = new LinuxMachine(KernelProfile.LINUX_6_1, host.iommu(calls));
    vm = machine.process("vm");
  }

  /** The descriptors of a group in a live container, and of a device of it. */
  private record Started(int group, int device) {}

  private Started start(EngineVfio of, String name) {
    int container = of.container();
    int group = of.group(name);
    of.setContainer(group, container);
    of.setIommu(container, TYPE1_V2);
    try (MappedMemory buffer = MappedMemory.anonymous(host.kernel(), 4096)) {
      of.map(container, Vfio.MapRequest.of(buffer.address(), 0, 4096));
      of.unmap(container, Vfio.UnmapRequest.of(0, 4096));
    }
    return new Started(group, of.deviceFd(group, Optional.of(name)));
  }

  private void shouldGoOnWhile(Supplier<Boolean> unbind) {
    CompletableFuture<Boolean> stalled = Stall.elsewhere(unbind);
    calls.stall.awaitReached();
    EngineVfio other = machine.process("other");
    assertThat(Stall.elsewhere(() -> start(other, FakeHost.B)).join().device).isPositive();
    assertThat(stalled).as("the unbind").isNotDone();
    calls.stall.end();
    assertThat(stalled.join()).isTrue();
    other.close();
    vm.close();
    host.shouldBeAsNew();
  }

  @Test
  void shouldGoOnWhileAWrappedDeviceIsRemoved() {
    machine.wrap(FakeHost.A, 1);
    machine.create(FakeHost.A, MDEV);
    vm.close(start(vm, MDEV).device);
    shouldGoOnWhile(() -> machine.remove(MDEV));
    assertThat(machine.available(FakeHost.A)).isEqualTo(1);
  }

  /** Whoever asks about the group is the one who finds that its driver has left. */
  @Test
  void shouldGoOnWhileAGroupWithoutDriverIsTakenOut() {
    Started started = start(vm, FakeHost.A);
    vm.close(started.device);
    host.bind(FakeHost.A, "none");
    shouldGoOnWhile(
        () ->
            catchThrowableOfType(VfioException.class, () -> vm.groupStatus(started.group, 8))
                    .errno()
                == Errno.ENODEV);
  }
}
