// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.error.Errno;
import org.vfio4j.linux.iommu.Kernels;
import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.linux.testing.Bound;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.posix.Uses;
import org.vfio4j.posix.testing.OpenDescriptors;
import org.vfio4j.user.Client;
import org.vfio4j.user.ErrorReplyException;
import org.vfio4j.user.Server;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.RegionInfo;
import org.vfio4j.user.wire.SetIrqs;

/**
 * The seed's rows on real VFIO, over sockets and by data: kernel-bench's group behind its bridge
 * has two edu devices and an e1000. A VM is a client of vfio-user with RAM in a file, as QEMU is.
 */
class BrokerGuestTest {
  private static final String FIRST = "0000:02:01.0";
  private static final String SECOND = "0000:02:02.0";
  private static final String NETWORK = "0000:02:03.0";
  private static final String NVME = "0000:03:00.0";
  private static final long RAM = 8 << 20;
  private static final int COUNT = 64;

  /** A register of configuration space that is memory, and that the last close makes as new. */
  private static final int INTERRUPT_LINE = 0x3c;

  private static final int MARKER = 0x5a;

  /** The low half of an e1000's first address. */
  private static final int RECEIVE_ADDRESS = 0x5400;

  private static final SystemCalls CALLS = SystemCalls.libc();

  @TempDir private Path folder;
  private Set<String> before = Set.of();
  private long pinnedBefore;
  private final List<AutoCloseable> held = new ArrayList<>();
  private Broker broker;

  @BeforeEach
  void onlyInTheBench() throws Exception {
    assumeTrue(Bound.possible(), "needs VFIO and edu devices: kernel-bench/run");
    before = OpenDescriptors.now();
    pinnedBefore = pinned();
    broker = new Broker(new LinuxIommu(CALLS), Kernels.running());
  }

  @AfterEach
  void shouldLeaveNothing() throws Exception {
    if (Bound.possible()) {
      broker.close();
      for (AutoCloseable each : held.reversed()) {
        each.close();
      }
      assertThat(OpenDescriptors.now()).isEqualTo(before);
      assertThat(pinned()).as("pages pinned for devices").isEqualTo(pinnedBefore);
    }
  }

  /** Pages of the whole machine that devices may write to. */
  private static long pinned() throws IOException {
    // Each processor counts for itself, and adds it up now and then.
    Files.writeString(Path.of("/proc/sys/vm/stat_refresh"), "1");
    long pages = 0;
    for (String line : Files.readAllLines(Path.of("/proc/vmstat"))) {
      String[] words = line.split(" ");
      switch (words[0]) {
        case "nr_foll_pin_acquired" -> pages += Long.parseLong(words[1]);
        case "nr_foll_pin_released" -> pages -= Long.parseLong(words[1]);
        default -> {}
      }
    }
    return pages;
  }

  /** A VM with one device, as its VMM and its guest's driver use it. */
  private static final class Plugged implements AutoCloseable {
    final Client client;

    private final MappedMemory ram;

    Plugged(Server server, Descriptor file, MappedMemory ram) {
      this.ram = ram;
      client = Client.connect(server.path());
      boolean done = false;
      try {
        client.map(0, RAM, 3, file, 0);
        client.info();
        done = true;
      } finally {
        if (!done) {
          client.close();
        }
      }
    }

    /** Whether an edu copies by DMA within the VM's memory, by registers that it was sent. */
    boolean copies(int seed) {
      client.write32(Pci.CONFIG, 4, 6);
      for (int n = 0; n < COUNT; n++) {
        ram.segment().set(ValueLayout.JAVA_BYTE, 0x1000 + n, (byte) (seed + n));
        ram.segment().set(ValueLayout.JAVA_BYTE, 0x2000 + n, (byte) 0x33);
      }
      transfer(0x1000, 0x40000, 1);
      transfer(0x40000, 0x2000, 3);
      return ram.segment().asSlice(0x1000, COUNT).mismatch(ram.segment().asSlice(0x2000, COUNT))
          < 0;
    }

    private void transfer(int from, int to, int command) {
      client.write32(Pci.BAR0, 0x80, from);
      client.write32(Pci.BAR0, 0x88, to);
      client.write32(Pci.BAR0, 0x90, COUNT);
      client.write32(Pci.BAR0, 0x98, command);
      while ((client.read32(Pci.BAR0, 0x98) & 1) != 0) {
        Thread.onSpinWait();
      }
    }

    @Override
    public void close() {
      client.close();
    }
  }

  private final class Machine implements AutoCloseable {
    final Vm vm;
    private final Descriptor file = Memfd.create(CALLS, "ram", RAM);
    private final MappedMemory ram =
        MappedMemory.ofFile(file, 0, RAM, Constants.PROT_READ | Constants.PROT_WRITE);

    Machine(String name) {
      vm = broker.vm(VmSettings.of(name, RAM));
    }

    Server serve(String address, PassOptions options) {
      return Guest.serve(folder, vm, address, options);
    }

    Plugged plug(Server server) {
      return new Plugged(server, file, ram);
    }

    @Override
    public void close() {
      ram.close();
      file.close();
    }
  }

  private static int errno(Runnable call) {
    return catchThrowableOfType(ErrorReplyException.class, call::run).errno();
  }

  @Test
  void shouldServeAWholeAndAWrappedFunctionOfOneGroupToOneVmByData() {
    try (Bound _ = Bound.to("vfio-pci", FIRST, SECOND, NETWORK);
        Machine web = new Machine("web");
        Machine db = new Machine("db");
        Server whole = web.serve(FIRST, PassOptions.WHOLE);
        Server wrapped = web.serve(SECOND, PassOptions.WRAPPED);
        Server rivals = db.serve(SECOND, PassOptions.WHOLE)) {
      try (Plugged first = web.plug(whole)) {
        assertThat(first.copies(1)).isTrue();
        try (Plugged second = web.plug(wrapped)) {
          assertThat(second.copies(2)).isTrue();
          assertThat(errno(() -> db.plug(rivals).close())).isEqualTo(Errno.EBUSY.number());
          assertThat(first.copies(3)).as("undisturbed").isTrue();
        }
        assertThat(first.copies(4)).as("goes on without the other").isTrue();
        assertThat(errno(() -> db.plug(rivals).close())).isEqualTo(Errno.EBUSY.number());
      }
      Guest.awaitIdle(broker);
      try (Plugged mine = db.plug(rivals)) {
        assertThat(mine.copies(5)).isTrue();
      }
      Guest.awaitIdle(broker);
    }
  }

  /** An edu has no reset of its own; what its bus has is seen at the card beside it. */
  @Test
  void shouldResetItsBusForAGuestThatAsksAndForNoDeviceThatComesLate() {
    try (Bound _ = Bound.to("vfio-pci", FIRST, SECOND, NETWORK);
        Machine web = new Machine("web");
        Server card = web.serve(NETWORK, PassOptions.WHOLE);
        Server wrapped = web.serve(FIRST, PassOptions.WRAPPED)) {
      try (Plugged network = web.plug(card)) {
        network.client.write32(Pci.CONFIG, 4, 2);
        network.client.write32(Pci.BAR0, RECEIVE_ADDRESS, MARKER);
        try (Plugged late = web.plug(wrapped)) {
          assertThat(network.client.read32(Pci.BAR0, RECEIVE_ADDRESS)).isEqualTo(MARKER);
          assertThat(late.copies(1)).isTrue();
          late.client.reset();
          network.client.write32(Pci.CONFIG, 4, 2);
          assertThat(network.client.read32(Pci.BAR0, RECEIVE_ADDRESS)).isNotEqualTo(MARKER);
          assertThat(late.copies(2)).isTrue();
        }
      }
      Guest.awaitIdle(broker);
    }
  }

  @Test
  void shouldKeepAGroupWhoseDeviceSomebodyHasKeptOpen() {
    try (Bound _ = Bound.to("vfio-pci", NVME);
        Machine web = new Machine("web");
        Machine db = new Machine("db");
        Server first = web.serve(NVME, PassOptions.WRAPPED);
        Server rivals = db.serve(NVME, PassOptions.WRAPPED)) {
      MappedMemory registers;
      try (Plugged plugged = web.plug(first);
          Client.MappableRegion bar = plugged.client.region(Pci.BAR0)) {
        plugged.client.write32(Pci.CONFIG, 4, 2);
        plugged.client.write32(Pci.CONFIG, INTERRUPT_LINE, MARKER);
        registers =
            bar.map(bar.info().areas().stream().findFirst().orElse(new RegionInfo.Area(0, 0x1000)));
        int version = registers.segment().get(ValueLayout.JAVA_INT, 8);
        assertThat(version).as("NVMe version, read without us").isNotZero();
        assertThat(plugged.client.read32(Pci.BAR0, 8)).isEqualTo(version);
      }
      while (phaseOf("web") != BrokerState.Phase.DRAINING) {
        Thread.onSpinWait();
      }
      assertThat(errno(() -> db.plug(rivals).close())).isEqualTo(Errno.EBUSY.number());
      registers.close();
      Guest.awaitIdle(broker);
      try (Plugged mine = db.plug(rivals)) {
        assertThat(mine.client.read32(Pci.CONFIG, INTERRUPT_LINE) & 0xff)
            .as("of the first VM nothing")
            .isNotEqualTo(MARKER);
      }
      Guest.awaitIdle(broker);
    }
  }

  /** In a socket that nobody reads it is in no process, and no look at /proc finds it. */
  @Test
  void shouldKeepAGroupWhoseDeviceIsOnItsWayToSomebodyElse() {
    try (Bound _ = Bound.to("vfio-pci", NVME);
        Machine web = new Machine("web");
        Machine db = new Machine("db");
        Server first = web.serve(NVME, PassOptions.WRAPPED);
        Server rivals = db.serve(NVME, PassOptions.WRAPPED);
        Arena arena = Arena.ofConfined()) {
      MemorySegment two = arena.allocate(8, 4);
      int type = Constants.SOCK_STREAM | Constants.SOCK_CLOEXEC;
      SystemCallException.check(CALLS.socketpair(Constants.AF_UNIX, type, 0, two), "socketpair");
      int[] pair = two.toArray(ValueLayout.JAVA_INT);
      try (UnixSocket sender = UnixSocket.of(new Descriptor(CALLS, pair[0], "sender"));
          Descriptor reader = new Descriptor(CALLS, pair[1], "reader")) {
        try (Plugged plugged = web.plug(first);
            Client.MappableRegion bar = plugged.client.region(Pci.BAR0);
            Uses beside = Uses.of(List.of(bar.file().orElseThrow()))) {
          sender.send(arena.allocate(1), 0, 1, beside);
        }
        while (phaseOf("web") != BrokerState.Phase.DRAINING) {
          Thread.onSpinWait();
        }
        assertThat(errno(() -> db.plug(rivals).close())).isEqualTo(Errno.EBUSY.number());
        assertThat(reader.isOpen()).isTrue();
      }
      Guest.awaitIdle(broker);
      db.plug(rivals).close();
      Guest.awaitIdle(broker);
    }
  }

  /** What is pinned stays, and the device goes on; what can no longer be pinned is refused. */
  @Test
  void shouldSurviveAVmThatCutsItsMemoryShort() {
    try (Bound _ = Bound.to("vfio-pci", FIRST, SECOND, NETWORK);
        Machine web = new Machine("web");
        Server server = web.serve(FIRST, PassOptions.WHOLE)) {
      try (Plugged plugged = web.plug(server)) {
        assertThat(plugged.copies(1)).isTrue();
        try (Descriptor.Use use = web.file.use()) {
          SystemCallException.check(CALLS.ftruncate(use.number(), 0), "ftruncate");
        }
        plugged.client.write32(Pci.BAR0, 0x10, 5);
        assertThat(plugged.client.read32(Pci.CONFIG, 0)).isEqualTo(0x11e81234);
        plugged.client.unmap(0, RAM);
        assertThat(errno(() -> plugged.client.map(0, RAM, 3, web.file, 0)))
            .isEqualTo(Errno.EINVAL.number());
        assertThat(plugged.client.read32(Pci.CONFIG, 0)).isEqualTo(0x11e81234);
      }
      Guest.awaitIdle(broker);
    }
  }

  @Test
  void shouldRefuseMemoryThatIsFarLargerThanTheVm() {
    try (Bound _ = Bound.to("vfio-pci", FIRST, SECOND, NETWORK);
        Machine web = new Machine("web");
        Descriptor sparse = Memfd.create(CALLS, "sparse", 60L << 40);
        Server server = web.serve(FIRST, PassOptions.WHOLE)) {
      try (Client client = Client.connect(server.path())) {
        assertThat(errno(() -> client.map(0, RAM, 3, sparse, 0))).isEqualTo(Errno.ENOMEM.number());
        assertThat(errno(client::info)).isEqualTo(Errno.ENOMEM.number());
      }
      Guest.awaitIdle(broker);
      try (Plugged plugged = web.plug(server)) {
        assertThat(plugged.copies(7)).isTrue();
      }
      Guest.awaitIdle(broker);
    }
  }

  private BrokerState.Phase phaseOf(String vm) {
    return broker.state().vms().stream()
        .filter(v -> v.name().equals(vm))
        .findFirst()
        .get()
        .devices()
        .getFirst()
        .phase();
  }

  /** Runs, holes and single vectors, whether the kernel takes them one by one or not. */
  @Test
  void shouldConnectMoreThanSixteenVectorsWithHoles() {
    try (Bound _ = Bound.to("vfio-pci", NVME);
        Machine web = new Machine("web");
        Server server = web.serve(NVME, PassOptions.WRAPPED);
        Plugged plugged = web.plug(server)) {
      List<EventFd> eventFds = new ArrayList<>();
      int vectors = plugged.client.irq(Pci.MSIX).count();
      assertThat(vectors).isGreaterThan(16);
      for (int n = 0; n < vectors; n++) {
        eventFds.add(EventFd.create(CALLS));
      }
      held.addAll(eventFds);
      EventFd[] all = eventFds.toArray(EventFd[]::new);
      int connect = SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER;
      plugged.client.setIrqs(SetIrqs.of(connect, Pci.MSIX, 0, 1), all[0]);
      plugged.client.setIrqs(SetIrqs.of(connect, Pci.MSIX, vectors - 1, 1), all[vectors - 1]);
      plugged.client.setIrqs(SetIrqs.of(connect, Pci.MSIX, 2, 3), all[2], all[3], all[4]);
      for (int n = 0; n < vectors; n++) {
        plugged.client.setIrqs(SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.TRIGGER, Pci.MSIX, n, 1));
        boolean there = n == 0 || n == vectors - 1 || (n >= 2 && n <= 4);
        assertThat(all[n].take()).as("vector %d", n).isEqualTo(there ? 1 : 0);
      }
      plugged.client.setIrqs(SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.TRIGGER, Pci.MSIX, 0, 0));
    }
  }
}
