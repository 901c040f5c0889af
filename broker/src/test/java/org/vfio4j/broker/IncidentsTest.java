// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.vfio4j.linux.testing.FakeHost.A;
import static org.vfio4j.linux.testing.FakeHost.R1;
import static org.vfio4j.linux.testing.FakeHost.R2;

import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.vfio4j.broker.BrokerState.Trouble;
import org.vfio4j.linux.sysfs.KernelEvent;
import org.vfio4j.linux.testing.OnFakeHost;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.user.Client;
import org.vfio4j.user.Server;
import org.vfio4j.user.device.Pci;

/** What happens to devices in use. A real kernel's side is suite incidents of kernel-bench. */
@Timeout(60)
class IncidentsTest extends OnFakeHost {
  private final BlockingQueue<BrokerState.OfVm> told = new LinkedBlockingQueue<>();
  private Broker broker;
  private Vm web;

  @BeforeEach
  void begin() {
    broker = new Broker(iommu, KernelProfile.LINUX_6_1, told::add);
    broker.listen();
    web = broker.vm(VmSettings.of("web", Guest.RAM));
  }

  @AfterEach
  void end() {
    broker.close();
  }

  private static Stream<Optional<Trouble>> troubles(BrokerState.OfVm vm) {
    return vm.devices().stream().map(BrokerState.OfDevice::trouble);
  }

  /** Waits until who watches was told of it. */
  private void await(Trouble what) throws InterruptedException {
    while (troubles(told.take()).noneMatch(Optional.of(what)::equals)) {
      // That was of something else.
    }
  }

  private List<Optional<Trouble>> now() {
    return troubles(broker.state().vms().getFirst()).toList();
  }

  @Test
  void shouldTellThatSomebodyWantsADeviceBackUntilItIsLetGo() throws Exception {
    try (Guest guest = new Guest();
        Server first = Guest.serve(folder, web, R1, PassOptions.WHOLE.withoutReset());
        Server second = Guest.serve(folder, web, R2, PassOptions.WRAPPED.withoutReset())) {
      for (int round = 0; round < 3; round++) {
        try (Client _ = guest.plug(first);
            Client other = guest.plug(second)) {
          assertThat(other.irq(Pci.REQUEST).count()).as("that is not the client's").isZero();
          host.kernel().interrupt(R2, Pci.REQUEST, 0);
          await(Trouble.WANTED);
          assertThat(now()).containsExactly(Optional.empty(), Optional.of(Trouble.WANTED));
          // The kernel asks again and again.
          host.kernel().interrupt(R2, Pci.REQUEST, 0);
          host.kernel().interrupt(R1, Pci.REQUEST, 0);
          await(Trouble.WANTED);
        }
        Guest.awaitIdle(broker);
        assertThat(now()).containsOnly(Optional.empty());
        told.clear();
      }
    }
  }

  @Test
  void shouldTellOfAnErrorUntilTheKernelHasRecoveredFromIt() throws Exception {
    try (Guest guest = new Guest();
        Server server = Guest.serve(folder, web, A, PassOptions.WHOLE)) {
      try (Client _ = guest.plug(server)) {
        broker.heard(new KernelEvent.Recovering(R1, KernelEvent.Recovery.BEGUN));
        assertThat(now()).as("another's").containsExactly(Optional.empty());
        broker.heard(new KernelEvent.Recovering(A, KernelEvent.Recovery.BEGUN));
        await(Trouble.ERROR);
        broker.heard(new KernelEvent.Recovering(A, KernelEvent.Recovery.DONE));
        assertThat(now()).containsExactly(Optional.empty());
        broker.heard(new KernelEvent.Recovering(A, KernelEvent.Recovery.FAILED));
        await(Trouble.FAILED);
        host.kernel().interrupt(A, Pci.REQUEST, 0);
        await(Trouble.WANTED);
        broker.heard(new KernelEvent.Removed(A));
        await(Trouble.GONE);
        broker.heard(new KernelEvent.Recovering(A, KernelEvent.Recovery.DONE));
        assertThat(now()).containsExactly(Optional.of(Trouble.GONE));
      }
      Guest.awaitIdle(broker);
      assertThat(now()).as("whoever has it").containsExactly(Optional.of(Trouble.GONE));
    }
  }
}
