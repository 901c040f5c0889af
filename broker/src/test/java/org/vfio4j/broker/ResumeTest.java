// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.vfio4j.linux.testing.FakeHost.A;
import static org.vfio4j.linux.testing.FakeHost.B;
import static org.vfio4j.linux.testing.FakeHost.R1;
import static org.vfio4j.linux.testing.FakeHost.R2;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.vfio4j.error.Errno;
import org.vfio4j.iommu.DmaFaultException;
import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.linux.sysfs.Sysfs;
import org.vfio4j.linux.testing.FakeHost;
import org.vfio4j.linux.uapi.Ioctls;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.LastingStore;
import org.vfio4j.posix.testing.MortalCalls;
import org.vfio4j.posix.testing.OpenDescriptors;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.user.Client;
import org.vfio4j.user.ConnectionException;
import org.vfio4j.user.ErrorReplyException;
import org.vfio4j.user.Server;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.device.ServedDevice;
import org.vfio4j.user.wire.SetIrqs;

/** A broker that is killed, and another that goes on in its place: its clients notice nothing. */
class ResumeTest {
  private static final int VENDOR_AND_DEVICE = 0x11e81234;
  private static final long HIGH = 1L << 32;
  private static final long PART = 1 << 20;

  @TempDir private Path folder;
  private FakeHost host;
  private LastingStore store;
  private Set<String> before = Set.of();
  private final List<Process> processes = new CopyOnWriteArrayList<>();
  private final AtomicReference<@Nullable Process> now = new AtomicReference<>();

  /** Whether the VM with several devices has its first no more. */
  private boolean withoutFirst;

  /** How many replies the first process sends at most. */
  private long firstReplies = Long.MAX_VALUE;

  @BeforeEach
  void boot() throws Exception {
    before = OpenDescriptors.now();
    host = new FakeHost(folder);
    store = new LastingStore(host.kernel());
  }

  @AfterEach
  void shouldLeaveNothing() throws Exception {
    assertThat(store.kept()).isEmpty();
    host.shouldBeAsNew();
    processes.forEach(process -> process.calls.unmap());
    assertThat(OpenDescriptors.now()).isEqualTo(before);
  }

  /** A process with a broker. */
  private final class Process {
    final MortalCalls calls;
    final Set<Thread> others = Thread.getAllStackTraces().keySet();
    final Deque<AutoCloseable> begun = new ArrayDeque<>();
    @Nullable Broker broker;
    private Runnable removal = () -> {};

    Process(long life) {
      calls =
          new MortalCalls(host.kernel(), life) {
            @Override
            protected boolean opens(int request) {
              return request == Ioctls.VFIO_GROUP_GET_DEVICE_FD;
            }
          };
    }

    void start() {
      KeptDescriptors kept = store.process(calls);
      LinuxIommu iommu = new LinuxIommu(calls, new Sysfs(host.sys()), kept);
      Broker made = new Broker(iommu, KernelProfile.LINUX_6_1, kept, vm -> {});
      broker = made;
      begun.push(made);
      Vm web = made.vm(VmSettings.of("web", Guest.RAM));
      Vm db = made.vm(VmSettings.of("db", Guest.RAM));
      Map<Integer, ServedDevice> devices = new TreeMap<>();
      if (!withoutFirst) {
        devices.put(0, web.device(R1, PassOptions.WHOLE));
      }
      devices.put(1, web.device(R2, PassOptions.WRAPPED));
      devices.put(2, web.device(A, PassOptions.WHOLE));
      devices.put(3, db.device(B, PassOptions.WHOLE));
      made.resume();
      devices.forEach(
          (n, device) -> {
            Server server = Server.at(socket(n)).calls(calls).kept(kept, "9." + n).start(device);
            begun.push(server);
            if (n == 0) {
              removal =
                  () -> {
                    begun.remove(server);
                    server.close();
                    web.remove(device);
                  };
            }
          });
      kept.closeRest();
    }

    /** Takes the first device away from its VM. */
    void removeFirstOfWeb() {
      removal.run();
    }

    /** Waits until it is killed, and nothing of it is left. */
    void bury() throws Exception {
      calls.bury();
      for (Thread each : Thread.getAllStackTraces().keySet()) {
        // Not those of clients.
        boolean ours = each.getName().matches("(vfio-user )?\\d\\.sock.*|broker asks.*");
        if (ours && !others.contains(each)) {
          each.interrupt();
          each.join();
        }
      }
    }

    /** Ends as told to: everything is given back. */
    void close() throws Exception {
      while (!begun.isEmpty()) {
        begun.pop().close();
      }
    }
  }

  private Path socket(int n) {
    return folder.resolve(n + ".sock");
  }

  private Process start(long life) {
    return start(life, Long.MAX_VALUE);
  }

  private Process start(long life, long replies) {
    Process process = new Process(life);
    process.calls.replies(replies);
    processes.add(process);
    now.set(process);
    try {
      process.start();
    } catch (MortalCalls.Killed _) {
      process.calls.kill();
    } catch (VmJournal.LaterException _) {
      // It ends without touching anything.
      process.calls.kill();
      try {
        process.bury();
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
    return process;
  }

  /** Buries the process when it dies, and starts another, until the last lives on. */
  private Thread undertaker(List<Long> lives) {
    Process first = start(lives.getFirst(), firstReplies);
    return Thread.ofPlatform()
        .start(
            () -> {
              try {
                Process process = first;
                for (long life : lives.subList(1, lives.size())) {
                  process.bury();
                  process = start(life);
                }
              } catch (Exception e) {
                throw new IllegalStateException(e);
              }
            });
  }

  /** What the guest sees of a device of its own, through the store's descriptor. */
  private long dma(String kept, long iova) {
    int fd = Objects.requireNonNull(store.kept().get(kept), kept);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment word = arena.allocate(ValueLayout.JAVA_LONG);
      host.kernel().dma(fd).read(iova, word);
      return word.get(ValueLayout.JAVA_LONG, 0);
    }
  }

  /**
   * A command to a broker that dies. A reply that was lost with it comes as EINTR, and a connection
   * that it had just accepted is lost: both are made again, as a VMM is started again.
   */
  private static <T> T again(Callable<T> call) throws Exception {
    for (int n = 0; ; n++) {
      try {
        return call.call();
      } catch (ErrorReplyException lost) {
        if (lost.errno() != Errno.EINTR.number() || n == 3) {
          throw lost;
        }
      }
    }
  }

  private static void doing(Runnable call) throws Exception {
    again(
        () -> {
          call.run();
          return 0;
        });
  }

  private Client connect(int n) throws Exception {
    long begin = System.nanoTime();
    while (true) {
      try {
        return Client.connect(socket(n));
      } catch (ConnectionException | SystemCallException | ErrorReplyException lost) {
        boolean refused =
            lost instanceof ErrorReplyException e && e.errno() != Errno.EINTR.number();
        if (refused || System.nanoTime() - begin > 10_000_000_000L) {
          throw lost;
        }
        Thread.onSpinWait();
      }
    }
  }

  private Client plug(int n, Guest guest, long high) throws Exception {
    Client client = connect(n);
    doing(() -> client.map(0, Guest.RAM - PART, Guest.READ_WRITE, guest.ram, 0));
    doing(() -> client.map(high, PART, Guest.READ_WRITE, guest.ram, Guest.RAM - PART));
    doing(() -> client.map(0xfff00000L, Arena.ofAuto().allocate(4096), Guest.READ_WRITE));
    doing(client::info);
    return client;
  }

  private void scenario() throws Exception {
    try (Guest guest = new Guest();
        Guest others = new Guest();
        MappedMemory ram =
            MappedMemory.ofFile(SystemCalls.libc(), guest.ram, 0, Guest.RAM, Guest.READ_WRITE);
        EventFd msi = EventFd.create(SystemCalls.libc());
        EventFd error = EventFd.create(SystemCalls.libc());
        Client neighbour = plug(3, others, HIGH);
        Client whole = plug(0, guest, HIGH);
        Client wrapped = plug(1, guest, HIGH)) {
      ram.segment().set(ValueLayout.JAVA_LONG, 8, 4711);
      ram.segment().set(ValueLayout.JAVA_LONG, Guest.RAM - PART, 4712);
      int eventFd = SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER;
      doing(() -> whole.setIrqs(SetIrqs.of(eventFd, Pci.ERROR, 0, 1), error));
      doing(() -> whole.setIrqs(SetIrqs.of(eventFd, Pci.MSI, 0, 1), msi));
      doing(() -> whole.write32(0, 64, 99));
      assertThat(again(() -> whole.read32(0, 64))).isEqualTo(99);
      assertThat(again(() -> wrapped.read32(Pci.CONFIG, 0))).isEqualTo(VENDOR_AND_DEVICE);
      assertThat(dma("d1.0", 8)).isEqualTo(4711);
      assertThat(dma("d1.1", HIGH)).isEqualTo(4712);
      host.kernel().interrupt(R1, Pci.MSI, 0);
      assertThat(msi.await(Duration.ofSeconds(5))).isPositive();
      // The layout changes as QEMU changes it: every connection unmaps before any maps.
      for (Client each : List.of(whole, wrapped)) {
        doing(() -> each.unmap(HIGH, PART));
      }
      for (Client each : List.of(whole, wrapped)) {
        doing(() -> each.map(2 * HIGH, PART, Guest.READ_WRITE, guest.ram, Guest.RAM - PART));
      }
      assertThat(dma("d1.0", 2 * HIGH)).isEqualTo(4712);
      try (Client late = plug(2, guest, 2 * HIGH)) {
        assertThat(again(() -> late.read32(Pci.CONFIG, 0))).isEqualTo(VENDOR_AND_DEVICE);
      }
      doing(() -> whole.setIrqs(SetIrqs.of(SetIrqs.TRIGGER | 1, Pci.MSI, 0, 0)));
      assertThat(again(() -> neighbour.read32(Pci.CONFIG, 0))).isEqualTo(VENDOR_AND_DEVICE);
      assertThat(dma("d2.0", 0)).isZero();
      shouldStop(whole, guest, error);
    }
  }

  /** A map that fails once the guest runs stops it, by the eventfd that another process got. */
  private static void shouldStop(Client client, Guest guest, EventFd error) throws Exception {
    int errno =
        again(
            () -> {
              try {
                client.map(4 * HIGH, PART, Guest.READ_WRITE, guest.ram, Guest.RAM);
                return 0;
              } catch (ErrorReplyException refused) {
                if (refused.errno() == Errno.EINTR.number()) {
                  throw refused;
                }
                return refused.errno();
              }
            });
    assertThat(errno).as("more than it is to have").isEqualTo(Errno.ENOMEM.number());
    assertThat(error.await(Duration.ofSeconds(5))).isPositive();
  }

  private void run(List<Long> lives) throws Exception {
    Thread undertaker = undertaker(lives);
    boolean done = false;
    try {
      scenario();
      done = true;
    } finally {
      if (!done) {
        undertaker.interrupt();
        Objects.requireNonNull(now.get()).calls.kill();
      }
    }
    while (undertaker.isAlive()) {
      // Those that were to die during what is over.
      processes
          .subList(0, Math.min(processes.size(), lives.size() - 1))
          .forEach(p -> p.calls.kill());
      undertaker.join(10);
    }
    Process last = Objects.requireNonNull(now.get());
    Broker broker = Objects.requireNonNull(last.broker);
    long deadline = System.nanoTime() + 10_000_000_000L;
    while (broker.state().vms().stream()
        .flatMap(v -> v.devices().stream())
        .anyMatch(d -> d.phase() != BrokerState.Phase.IDLE)) {
      assertThat(System.nanoTime()).as(broker.state() + " " + store.kept()).isLessThan(deadline);
      Thread.onSpinWait();
    }
    last.close();
  }

  /** Kills the process that lives, and does something before another is started. */
  private Process follow(Runnable between) throws Exception {
    Process before = Objects.requireNonNull(now.get());
    before.calls.kill();
    before.bury();
    between.run();
    return start(1L << 40);
  }

  @Test
  void shouldStopTheVmWhoseMemoryIsLostAndNoOther() throws Exception {
    start(1L << 40);
    try (Guest guest = new Guest();
        Guest others = new Guest();
        EventFd error = EventFd.create(SystemCalls.libc());
        Client neighbour = plug(3, others, HIGH);
        Client client = plug(0, guest, HIGH)) {
      SetIrqs onError = SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, Pci.ERROR, 0, 1);
      client.setIrqs(onError, error);
      assertThat(dma("d1.0", 0)).isZero();
      Process last = follow(() -> store.lose("m1.1"));
      assertThat(error.await(Duration.ofSeconds(5))).isPositive();
      assertThatExceptionOfType(DmaFaultException.class)
          .as("what nobody knows of is not the device's any more")
          .isThrownBy(() -> dma("d1.0", 0));
      assertThat(neighbour.read32(Pci.CONFIG, 0)).isEqualTo(VENDOR_AND_DEVICE);
      assertThat(dma("d2.0", 0)).isZero();
      client.unmapAll();
      last.close();
    }
  }

  @Test
  void shouldTakeFromTheDevicesWhatIsLostAboveAllThatIsNot() throws Exception {
    start(1L << 40);
    try (Guest guest = new Guest();
        Guest more = new Guest();
        EventFd error = EventFd.create(SystemCalls.libc());
        Client client = connect(0)) {
      client.setIrqs(SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, Pci.ERROR, 0, 1), error);
      client.map(0, Guest.RAM - PART, Guest.READ_WRITE, guest.ram, 0);
      client.map(HIGH, PART, Guest.READ_WRITE, more.ram, 0);
      client.info();
      Process last = follow(() -> store.lose("m1.2"));
      assertThat(error.await(Duration.ofSeconds(5))).isPositive();
      assertThat(dma("d1.0", 0)).isZero();
      assertThatExceptionOfType(DmaFaultException.class).isThrownBy(() -> dma("d1.0", HIGH));
      last.close();
    }
  }

  @Test
  void shouldGiveBackADeviceThatWasNotKeptAndGoOnWithTheOthers() throws Exception {
    start(1L << 40);
    try (Guest guest = new Guest();
        Client whole = plug(0, guest, HIGH);
        Client wrapped = plug(1, guest, HIGH)) {
      Process last = follow(() -> store.lose("d1.0"));
      assertThat(wrapped.read32(Pci.CONFIG, 0)).isEqualTo(VENDOR_AND_DEVICE);
      assertThat(dma("d1.1", 0)).isZero();
      assertThatExceptionOfType(ConnectionException.class)
          .isThrownBy(() -> whole.read32(Pci.CONFIG, 0));
      last.close();
    }
  }

  /** QEMU goes on after a map that was refused: it is GET_INFO that ends its start. */
  @Test
  void shouldNotAdmitAVmOfWhichSomethingWasRefused() throws Exception {
    start(1L << 40);
    try (Guest guest = new Guest();
        Client client = Client.connect(socket(0))) {
      client.map(0, Guest.RAM, Guest.READ_WRITE, guest.ram, 0);
      assertThatExceptionOfType(ErrorReplyException.class)
          .isThrownBy(() -> client.map(HIGH, PART, Guest.READ_WRITE, guest.ram, 0));
      Process last = follow(() -> {});
      assertThatExceptionOfType(ErrorReplyException.class).isThrownBy(client::info);
      last.close();
    }
  }

  /** A connection that has ended while nobody served it. */
  @Test
  void shouldGiveBackWhatAClientHadThatHasGone() throws Exception {
    start(1L << 40);
    try (Guest guest = new Guest();
        Client stays = plug(1, guest, HIGH)) {
      Client gone = plug(0, guest, HIGH);
      Process last =
          follow(
              () -> {
                gone.close();
                store.lose("s9.0.1");
              });
      assertThat(stays.read32(Pci.CONFIG, 0)).isEqualTo(VENDOR_AND_DEVICE);
      try (Client again = plug(0, guest, HIGH)) {
        assertThat(again.read32(Pci.CONFIG, 0)).isEqualTo(VENDOR_AND_DEVICE);
      }
      last.close();
    }
  }

  /** The VM gets another device, and loses one: the places of those that stay are the same. */
  @Test
  void shouldGoOnWithDevicesAsTheyAreNow() throws Exception {
    Process first = start(1L << 40);
    try (Guest guest = new Guest();
        Client wrapped = plug(1, guest, HIGH)) {
      first.removeFirstOfWeb();
      withoutFirst = true;
      Process last = follow(() -> {});
      assertThat(wrapped.read32(Pci.CONFIG, 0)).isEqualTo(VENDOR_AND_DEVICE);
      assertThat(dma("d1.1", 0)).isZero();
      assertThat(store.kept()).doesNotContainKey("d1.0");
      last.close();
    }
  }

  @Test
  void shouldTouchNothingThatALaterVersionHasLeft() throws Exception {
    start(1L << 40);
    try (Guest guest = new Guest();
        Client client = plug(0, guest, HIGH)) {
      follow(() -> store.write("v1.1", 8, 2)).calls.kill();
      Map<String, Integer> kept = store.kept();
      assertThat(kept).containsKeys("v1.1", "d1.0", "g9");
      store.write("v1.1", 8, 1);
      Process last = start(1L << 40);
      assertThat(client.read32(Pci.CONFIG, 0)).isEqualTo(VENDOR_AND_DEVICE);
      last.close();
    }
  }

  /** How many calls the scenario takes. */
  @Test
  void shouldServeWithoutDying() throws Exception {
    long many = 1L << 40;
    run(List.of(many));
    System.out.println("calls: " + (many - Objects.requireNonNull(now.get()).calls.left()));
  }

  @Timeout(20)
  @ParameterizedTest
  @MethodSource("lives")
  void shouldGoOnWhereverItIsKilled(long life) throws Exception {
    run(List.of(life, 1L << 40));
  }

  /** Three times in a row, wherever: also while it takes over. */
  @Timeout(120)
  @Test
  void shouldGoOnHoweverOftenItIsKilled() throws Exception {
    long seed = Long.getLong("vfio4j.seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    for (int n = 0; n < Integer.getInteger("vfio4j.deaths.rounds", 20); n++) {
      List<Long> lives = new ArrayList<>();
      for (int deaths = 0; deaths < 3; deaths++) {
        lives.add((long) random.nextInt(deaths == 0 ? 600 : 250));
      }
      lives.add(1L << 40);
      now.set(null);
      processes.clear();
      run(lives);
      processes.forEach(process -> process.calls.unmap());
    }
  }

  /** A reply that was lost, and so was who found that: wherever that one was killed. */
  @Timeout(20)
  @ParameterizedTest
  @MethodSource("lostReplies")
  void shouldAnswerWhatTwoHaveNot(int replies, long life) throws Exception {
    firstReplies = replies;
    run(List.of(1L << 40, life, 1L << 40));
  }

  static List<Arguments> lostReplies() {
    List<Arguments> all = new ArrayList<>();
    long step = Math.min(5, Long.getLong("vfio4j.deaths.step", 5));
    // Of VERSION and GET_INFO.
    for (int replies : List.of(0, 4)) {
      for (long life = Long.getLong("vfio4j.deaths.first", 1); life < 140; life += step) {
        all.add(Arguments.of(replies, life));
      }
    }
    return all;
  }

  static List<Long> lives() {
    Set<Long> lives = new HashSet<>();
    long step = Long.getLong("vfio4j.deaths.step", 11);
    for (long n = Long.getLong("vfio4j.deaths.first", 1); n < 640; n += step) {
      lives.add(n);
    }
    return lives.stream().sorted().toList();
  }
}
