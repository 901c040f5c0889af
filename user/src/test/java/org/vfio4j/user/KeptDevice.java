// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.GivenDescriptors;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.NotifySocket;
import org.vfio4j.posix.Signals;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.user.device.Agreed;
import org.vfio4j.user.device.DeviceSession;
import org.vfio4j.user.device.LeftClient;
import org.vfio4j.user.device.LeftReply;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.device.Peer;
import org.vfio4j.user.device.ServedDevice;

/**
 * A device whose register and whose client outlive its process, for {@code dist/try-systemd}: what
 * is written to the register is added to it. All that it knows is in one file of the descriptor
 * store.
 */
final class KeptDevice implements ServedDevice {
  private static final SystemCalls CALLS = SystemCalls.libc();
  private static final int PROT_READ_WRITE = 3;
  private static final int LENGTH = 4096;

  /** How often a client counts on when it is told to end. */
  private static final int LAST = 20;

  /** Where the file has what. */
  private static final int REGISTER = 0;

  private static final int HAS_CLIENT = 8;
  private static final int HAS_REPLY = 12;
  private static final int REPLY = 16;
  private static final int AGREED = 32;
  private static final int CONNECTION = 64;

  private final MemorySegment state;

  private KeptDevice(MemorySegment state) {
    this.state = state;
  }

  private int get(int at) {
    return state.get(ValueLayout.JAVA_INT, at);
  }

  private void set(int at, int value) {
    state.set(ValueLayout.JAVA_INT, at, value);
  }

  @Override
  public DeviceSession attach(Peer peer) {
    Agreed agreed = peer.agreed();
    set(AGREED, agreed.minor());
    set(AGREED + 4, agreed.descriptors());
    set(AGREED + 8, agreed.maxTransfer());
    set(AGREED + 12, agreed.maxMappings());
    set(AGREED + 16, agreed.writeMultiple() ? 1 : 0);
    state.setString(CONNECTION, peer.connection());
    set(HAS_REPLY, 0);
    set(HAS_CLIENT, 1);
    return new Session();
  }

  @Override
  public Optional<LeftClient> left() {
    if (get(HAS_CLIENT) == 0) {
      return Optional.empty();
    }
    Agreed agreed =
        new Agreed(
            get(AGREED), get(AGREED + 4), get(AGREED + 8), get(AGREED + 12), get(AGREED + 16) == 1);
    Optional<LeftReply> reply =
        get(HAS_REPLY) == 0
            ? Optional.empty()
            : Optional.of(new LeftReply(get(REPLY), get(REPLY + 4), get(REPLY + 8), false));
    return Optional.of(
        new LeftClient(state.getString(CONNECTION), agreed, reply, System.nanoTime()));
  }

  @Override
  public DeviceSession resume(Peer peer) {
    return new Session();
  }

  @Override
  public void lost() {
    set(HAS_CLIENT, 0);
  }

  private final class Session extends BareSession {
    @Override
    public boolean exact() {
      return true;
    }

    @Override
    public void answering(LeftReply reply) {
      set(REPLY, reply.id());
      set(REPLY + 4, reply.command());
      set(REPLY + 8, reply.errno());
      set(HAS_REPLY, 1);
    }

    @Override
    public void answered() {
      set(HAS_REPLY, 0);
    }

    @Override
    public void read(int region, long offset, MemorySegment target, long at, int count) {
      target.set(ValueLayout.JAVA_INT_UNALIGNED, at, get(REGISTER));
    }

    @Override
    public void write(int region, long offset, MemorySegment source, long at, int count) {
      set(REGISTER, get(REGISTER) + source.get(ValueLayout.JAVA_INT_UNALIGNED, at));
    }

    @Override
    public void close() {
      set(HAS_CLIENT, 0);
    }
  }

  private static void serve(Path socket) throws InterruptedException {
    Map<String, String> environment = System.getenv();
    NotifySocket store = NotifySocket.of(CALLS, environment).orElseThrow();
    Signals.endAtOnce(Signals.SIGTERM);
    KeptDescriptors kept =
        new KeptDescriptors(
            store, GivenDescriptors.take(CALLS, environment, ProcessHandle.current().pid()));
    Optional<Descriptor> before = kept.take("state");
    Descriptor file = before.orElseGet(() -> Memfd.create(CALLS, "state", LENGTH));
    if (before.isEmpty()) {
      kept.hold("state", file);
    }
    MappedMemory memory = MappedMemory.ofFile(file, 0, LENGTH, PROT_READ_WRITE);
    Server server = Server.at(socket).kept(kept, "1.0").start(new KeptDevice(memory.segment()));
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  server.close();
                  file.close();
                }));
    kept.closeRest();
    store.ready();
    System.out.printf(
        "serving as %s, %s%n",
        System.getProperty("build", "?"), before.isPresent() ? "after another" : "the first");
    server.join();
  }

  /**
   * Counts in the register, and notices whether something is lost or done twice. Told to end, it
   * ends as a VM does: not at once.
   */
  private static void use(Path socket) {
    CountDownLatch last = new CountDownLatch(LAST);
    AtomicBoolean told = new AtomicBoolean();
    Thread hook =
        new Thread(
            () -> {
              System.out.println("told to end");
              told.set(true);
              try {
                last.await();
                System.out.println("ended");
              } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
              }
            });
    Runtime.getRuntime().addShutdownHook(hook);
    try (Client client = Client.connect(socket)) {
      int first = client.read32(Pci.BAR0, REGISTER);
      System.out.println("connected, the register has " + first);
      for (int n = first + 1; last.getCount() > 0; n++) {
        boolean answered = add(client);
        int now = read(client);
        if (!answered && now == n - 1) {
          // Taken by a process that has died before it did it.
          add(client);
          now = read(client);
        }
        if (now != n) {
          System.out.printf("wrong: %d, and it is %d%n", n, now);
          Runtime.getRuntime().halt(1);
        }
        System.out.println(n);
        if (told.get()) {
          last.countDown();
        }
        LockSupport.parkNanos(20_000_000);
      }
    } catch (ConnectionException e) {
      System.out.println("lost: " + e.getMessage());
      Runtime.getRuntime().halt(1);
    }
  }

  /** Whether it was answered: if not, what is read tells whether it was done. */
  private static boolean add(Client client) {
    try {
      client.write32(Pci.BAR0, REGISTER, 1);
      return true;
    } catch (ErrorReplyException _) {
      return false;
    }
  }

  private static int read(Client client) {
    while (true) {
      try {
        return client.read32(Pci.BAR0, REGISTER);
      } catch (ErrorReplyException _) {
        // The reply went with the process; reading again does no harm.
        Thread.onSpinWait();
      }
    }
  }

  /** {@code serve SOCKET}, as a service; or {@code use SOCKET}. */
  public static void main(String[] arguments) throws InterruptedException {
    Path socket = Path.of(arguments[1]);
    if (arguments[0].equals("serve")) {
      serve(socket);
    } else {
      use(socket);
    }
  }
}
