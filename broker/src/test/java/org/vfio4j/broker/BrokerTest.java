// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.vfio4j.linux.testing.FakeHost.A;
import static org.vfio4j.linux.testing.FakeHost.BESIDE_HOST_DRIVEN;
import static org.vfio4j.linux.testing.FakeHost.HOST_DRIVEN;
import static org.vfio4j.linux.testing.FakeHost.R1;
import static org.vfio4j.linux.testing.FakeHost.R2;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.testing.OnFakeHost;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.user.Client;
import org.vfio4j.user.ErrorReplyException;
import org.vfio4j.user.Server;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.device.Region;
import org.vfio4j.user.device.ServedDevice;
import org.vfio4j.user.wire.SetIrqs;

/** The seed's rows, over sockets: who gets which functions of a group, and what of their memory. */
class BrokerTest extends OnFakeHost {
  private static final long MIB = 1 << 20;
  private static final int VENDOR_AND_DEVICE = 0x11e81234;

  /** In the group of {@code BESIDE_HOST_DRIVEN}. */
  private static final String BEHIND_THE_BRIDGE = "0000:02:02.0";

  private Broker broker;
  private Vm web;
  private Vm db;

  @BeforeEach
  void begin() {
    broker = new Broker(iommu, KernelProfile.LINUX_6_1);
    web = broker.vm(VmSettings.of("web", Guest.RAM));
    db = broker.vm(VmSettings.of("db", Guest.RAM));
  }

  @AfterEach
  void end() {
    broker.close();
  }

  private static int errno(Runnable call) {
    return catchThrowableOfType(ErrorReplyException.class, call::run).errno();
  }

  private BrokerState.OfVm stateOf(String name) {
    return broker.state().vms().stream().filter(v -> v.name().equals(name)).findFirst().get();
  }

  @Test
  void shouldGiveOneVmAWholeAndAWrappedFunctionOfAGroupAndRefuseASecond() {
    try (Guest guest = new Guest();
        Guest other = new Guest();
        Server whole = Guest.serve(folder, web, R1, PassOptions.WHOLE);
        Server wrapped = Guest.serve(folder, web, R2, PassOptions.WRAPPED);
        Server rivals = Guest.serve(folder, db, R2, PassOptions.WRAPPED)) {
      try (Client first = guest.plug(whole)) {
        calls.sinceLast();
        try (Client second = guest.plug(wrapped)) {
          assertThat(calls.sinceLast())
              .as("the hardware is not touched, and no memory mapped again")
              .doesNotContainKeys("SET_CONTAINER", "SET_IOMMU", "MAP_DMA");
          assertThat(stateOf("web").groups()).containsExactly(new BrokerState.OfGroup(9, 2));
          assertThat(stateOf("web").pinned()).as("counted once").isEqualTo(Guest.RAM);
          assertThat(errno(() -> other.plug(rivals).close())).isEqualTo(Errno.EBUSY.number());
          assertThat(second.read32(Pci.CONFIG, 0)).isEqualTo(VENDOR_AND_DEVICE);
        }
        assertThat(errno(() -> other.plug(rivals).close())).isEqualTo(Errno.EBUSY.number());
        assertThat(first.read32(Pci.CONFIG, 0)).isEqualTo(VENDOR_AND_DEVICE);
      }
      Guest.awaitIdle(broker);
      assertThat(errno(() -> other.plug(rivals).close()))
          .as("what cannot be reset keeps what the first VM has left in it")
          .isEqualTo(Errno.EBUSY.number());
    }
    try (Guest other = new Guest();
        Server rivals = Guest.serve(folder, db, R1, PassOptions.WHOLE.withoutReset());
        Client mine = other.plug(rivals)) {
      assertThat(mine.read32(Pci.CONFIG, 0)).isEqualTo(VENDOR_AND_DEVICE);
      assertThat(stateOf("db").groups()).containsExactly(new BrokerState.OfGroup(9, 1));
    }
  }

  @Test
  void shouldTellWhoWatchesOfEachChange() {
    List<BrokerState.OfVm> told = new CopyOnWriteArrayList<>();
    try (Broker watched = new Broker(iommu, KernelProfile.LINUX_6_1, told::add);
        Guest guest = new Guest()) {
      Vm vm = watched.vm(VmSettings.of("watched", Guest.RAM));
      try (Server server = Guest.serve(folder, vm, A, PassOptions.WHOLE)) {
        guest.plug(server).close();
        Guest.awaitIdle(watched);
      }
    }
    assertThat(told).extracting(BrokerState.OfVm::pinned).startsWith(0L, Guest.RAM).endsWith(0L);
    assertThat(told.getLast().devices())
        .extracting(BrokerState.OfDevice::phase)
        .containsExactly(BrokerState.Phase.IDLE);
  }

  /** QEMU gives as many at once as one message carries, and from the next hole on. */
  @Test
  void shouldSignalVectorsOfMsiThatWereGivenBeforeTheLast() {
    int connect = SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER;
    try (Guest guest = new Guest();
        EventFd one = EventFd.create(SystemCalls.libc());
        EventFd two = EventFd.create(SystemCalls.libc());
        EventFd three = EventFd.create(SystemCalls.libc());
        EventFd four = EventFd.create(SystemCalls.libc());
        Server server = Guest.serve(folder, web, A, PassOptions.WHOLE);
        Client client = guest.plug(server)) {
      client.setIrqs(SetIrqs.of(connect, Pci.MSI, 0, 2), one, two);
      client.setIrqs(SetIrqs.of(connect, Pci.MSI, 2, 1), three);
      client.setIrqs(SetIrqs.of(connect, Pci.MSI, 1, 1), four);
      for (int vector = 0; vector < 3; vector++) {
        host.kernel().interrupt(A, Pci.MSI, vector);
      }
      assertThat(List.of(one.take(), two.take(), three.take(), four.take()))
          .containsExactly(1L, 0L, 1L, 1L);
    }
  }

  @Test
  void shouldTryAFunctionOutAndKeepNothing() {
    web.tryOut(A);
    assertThat(stateOf("web").groups()).isEmpty();
    try (Guest guest = new Guest();
        Server server = Guest.serve(folder, db, A, PassOptions.WHOLE);
        Client _ = guest.plug(server)) {
      assertThatThrownBy(() -> web.tryOut(A))
          .isInstanceOfSatisfying(
              VfioException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EBUSY))
          .hasMessageContaining("db");
    }
  }

  /** Nobody uses it, but the kernel resets no bus with a function that VFIO does not have. */
  @Test
  void shouldNotResetABusWithAFunctionThatHasNoDriver() {
    host.bind(HOST_DRIVEN, "none");
    try (Guest guest = new Guest();
        Server server = Guest.serve(folder, web, BESIDE_HOST_DRIVEN, PassOptions.WHOLE);
        Client client = guest.plug(server)) {
      assertThat(client.info().flags() & ServedDevice.RESET).isZero();
      assertThat(client.read32(Pci.CONFIG, 0)).isEqualTo(VENDOR_AND_DEVICE);
    }
    host.bind(HOST_DRIVEN, "e1000");
  }

  /** Behind a bridge a function is reset with its bus, or not at all. */
  @Test
  void shouldResetABusOnlyWhileNothingElseOnItIsInUse() {
    host.bind(HOST_DRIVEN, "vfio-pci");
    try (Guest guest = new Guest();
        Guest other = new Guest();
        Server first = Guest.serve(folder, web, BESIDE_HOST_DRIVEN, PassOptions.WHOLE);
        Server second = Guest.serve(folder, web, BEHIND_THE_BRIDGE, PassOptions.WRAPPED);
        Server theirFirst = Guest.serve(folder, db, BESIDE_HOST_DRIVEN, PassOptions.WHOLE);
        Server theirSecond = Guest.serve(folder, db, BEHIND_THE_BRIDGE, PassOptions.WRAPPED)) {
      calls.sinceLast();
      Client running = guest.plug(first);
      assertThat(calls.sinceLast()).containsEntry("MAP_DMA", 2);
      Client late = guest.plug(second);
      assertThat(calls.sinceLast())
          .as("VFIO_DEVICE_PCI_HOT_RESET has the number of MAP_DMA")
          .doesNotContainKey("MAP_DMA");
      late.close();
      running.close();
      Guest.awaitIdle(broker);
      try (Client one = other.plug(theirFirst);
          Client two = other.plug(theirSecond)) {
        assertThat(one.read32(Pci.CONFIG, 0)).isEqualTo(VENDOR_AND_DEVICE);
        assertThat(two.read32(Pci.CONFIG, 0))
            .as("the first's reset was its too")
            .isEqualTo(VENDOR_AND_DEVICE);
      }
      Guest.awaitIdle(broker);
    }
  }

  @Test
  void shouldRefuseAtGetInfoAVmWhoseMemoryDevicesWouldNotReach() {
    try (Guest guest = new Guest();
        Server server = Guest.serve(folder, web, A, PassOptions.WHOLE)) {
      try (Client without = Client.connect(server.path())) {
        without.map(0, Guest.RAM - 4 * MIB, Guest.READ_WRITE, guest.ram, 0);
        assertThat(errno(without::info)).isEqualTo(Errno.ENOMEM.number());
      }
      try (Client twice = Client.connect(server.path())) {
        twice.map(0, Guest.RAM, Guest.READ_WRITE, guest.ram, 0);
        errno(() -> twice.map(1L << 32, 4 * MIB, Guest.READ_WRITE, guest.ram, 0));
        assertThat(errno(twice::info)).as("more than memory:").isEqualTo(Errno.ENOMEM.number());
      }
    }
  }

  /** A memfd that was never made longer, or was cut to nothing. */
  @Test
  void shouldRefuseMemoryWithNothingInIt() {
    try (Descriptor empty = Memfd.create(SystemCalls.libc(), "empty", 0);
        Server server = Guest.serve(folder, web, A, PassOptions.WHOLE);
        Client client = Client.connect(server.path())) {
      assertThat(errno(() -> client.map(0, MIB, Guest.READ_WRITE, empty, 0)))
          .isEqualTo(Errno.EINVAL.number());
    }
  }

  @Test
  void shouldHandItsRegistersAndInterruptsToTheVm() {
    try (Guest guest = new Guest();
        EventFd msi = EventFd.create(SystemCalls.libc());
        Server server = Guest.serve(folder, web, A, PassOptions.WHOLE);
        Client client = guest.plug(server)) {
      try (Client.MappableRegion bar = client.region(Pci.BAR0)) {
        assertThat(bar.info().flags() & Region.MMAP).isNotZero();
        assertThat(bar.file()).isPresent();
      }
      client.write32(Pci.BAR0, 0x10, 77);
      assertThat(client.read32(Pci.BAR0, 0x10)).isEqualTo(77);
      client.setIrqs(SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, Pci.MSI, 0, 1), msi);
      host.kernel().interrupt(A, Pci.MSI, 0);
      assertThat(msi.take()).as("signalled by the kernel").isEqualTo(1);
      client.setIrqs(SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.TRIGGER, Pci.MSI, 0, 0));
      client.setIrqs(SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.TRIGGER, Pci.MSI, 0, 0));
    }
  }

  @Test
  void shouldStopAVmWhoseMemoryCannotFollowItsGuest() {
    try (Guest guest = new Guest();
        EventFd error = EventFd.create(SystemCalls.libc());
        Server server = Guest.serve(folder, web, A, PassOptions.WHOLE);
        Client client = guest.plug(server)) {
      client.setIrqs(SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, Pci.ERROR, 0, 1), error);
      int refused = errno(() -> client.map(1L << 32, MIB, Guest.READ_WRITE, guest.ram, 0));
      assertThat(refused).isEqualTo(Errno.ENOMEM.number());
      assertThat(error.take()).isEqualTo(1);
    }
  }

  @Test
  void shouldGiveNoDescriptorWhereNoneIsWanted() {
    try (Guest guest = new Guest();
        Server server = Guest.serve(folder, web, A, PassOptions.WHOLE.withoutMmap());
        Client client = guest.plug(server)) {
      try (Client.MappableRegion bar = client.region(Pci.BAR0)) {
        assertThat(bar.info().flags() & Region.MMAP).isZero();
        assertThat(bar.file()).isEmpty();
      }
    }
  }

  @Test
  void shouldReadHowLongQemuWaits() {
    String two =
        "qemu\0-device\0{\"driver\":\"vfio-user-pci\",\"x-msg-timeout\":80000}"
            + "\0-device\0vfio-user-pci,socket=x,x-msg-timeout=70000\0";
    assertThat(Patience.read(two)).contains(Duration.ofSeconds(70));
    assertThat(Patience.read(two + "-device\0{\"driver\":\"vfio-user-pci\"}\0"))
        .contains(Duration.ofSeconds(5));
    assertThat(Patience.read("qemu\0-device\0e1000\0")).isEqualTo(Optional.empty());
  }

  @Test
  void shouldSeeHowAProcessHasAFile() {
    RamFile.Key key = new RamFile.Key(1L << 32, 1042, true);
    String shared = "7f00-7f80 rw-s 00000000 00:01 1042   /memfd:ram (deleted)";
    String other = "7f00-7f80 rw-p 00000000 00:01 1043   /memfd:ram (deleted)";
    assertThat(PeerMaps.read(List.of(other, shared), key)).isEqualTo(PeerMaps.Sharing.SHARED);
    assertThat(PeerMaps.read(List.of(shared, shared.replace("rw-s", "rw-p")), key))
        .isEqualTo(PeerMaps.Sharing.PRIVATE);
    assertThat(PeerMaps.read(List.of(other), key)).isEqualTo(PeerMaps.Sharing.UNKNOWN);
  }
}
