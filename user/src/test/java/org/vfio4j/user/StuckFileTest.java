// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.DescriptorKind;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.posix.UnixSocket.Credentials;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.SetIrqs;

/**
 * Files that a client serves itself, so that whoever uses them waits for the client (B3). A server
 * must not use them, and what it cannot avoid, to close them, must hold nobody else.
 */
@Timeout(120)
class StuckFileTest extends Served {
  private static final int PAGE = 4096;

  private static final class Told implements Server.Events {
    final BlockingQueue<String> refused = new LinkedBlockingQueue<>();
    final BlockingQueue<String> abandoned = new LinkedBlockingQueue<>();

    @Override
    public void refused(Credentials peer, String why) {
      refused.add(why);
    }

    @Override
    public void abandoned(String what) {
      abandoned.add(what);
    }
  }

  private Path mountPoint = Path.of("");

  @BeforeEach
  void makeMountPoint() throws Exception {
    mountPoint = Files.createDirectory(folder.resolve("fuse"));
  }

  @Test
  void shouldTellWhichDescriptorsMayBeUsed() throws Exception {
    try (Descriptor memory = Memfd.create(CALLS, "memory", PAGE);
        EventFd event = EventFd.create(CALLS);
        Descriptor none = Descriptor.open(CALLS, "/dev/null", Constants.O_RDWR);
        Descriptor maps = Descriptor.open(CALLS, "/proc/self/maps", Constants.O_RDONLY)) {
      assertThat(DescriptorKind.of(memory)).isEqualTo(DescriptorKind.MEMORY);
      assertThat(DescriptorKind.of(event.descriptor())).isEqualTo(DescriptorKind.EVENTFD);
      assertThat(DescriptorKind.of(none)).isEqualTo(DescriptorKind.OTHER);
      assertThat(DescriptorKind.of(maps)).isEqualTo(DescriptorKind.OTHER);
      assertThat(DescriptorKind.link(none)).isEqualTo("/dev/null");
    }
  }

  @Test
  void shouldTakeMemoryOfFilesOnlyThatTheKernelServes() throws Exception {
    Path shared = Files.write(Path.of("/dev/shm/vfio4j-" + System.nanoTime()), new byte[PAGE]);
    try (Descriptor onDisk = Descriptor.open(CALLS, "/usr/bin/env", Constants.O_RDONLY);
        Descriptor inMemory = Descriptor.open(CALLS, shared.toString(), Constants.O_RDWR)) {
      served(
          (client, device) -> {
            refused(EINVAL, () -> client.map(0, PAGE, 1, onDisk, 0));
            client.map(0, PAGE, BOTH, inMemory, 0);
            assertThat(Objects.requireNonNull(device.dma()).mappings()).isEqualTo(1);
          });
    } finally {
      Files.delete(shared);
    }
  }

  @Test
  void shouldHoldNobodyElseWhileAClientsFileCannotBeClosed() throws Exception {
    FuseMount.assumeHere();
    Told told = new Told();
    ProbeDevice attacked = new ProbeDevice();
    Path path = folder.resolve("attacked");
    Server server = Server.at(path).events(told).start(attacked);
    try (HostileNeighbour neighbour = new HostileNeighbour(folder.resolve("neighbour"));
        FuseMount mount = new FuseMount(mountPoint)) {
      Descriptor file = mount.file();
      Client client = Client.connect(path);
      refused(EINVAL, () -> client.map(0, PAGE, BOTH, file, 0));
      refused(
          EINVAL,
          () ->
              client.setIrqs(
                  SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, Pci.MSIX, 0, 1),
                  EventFd.of(file)));
      // The attacker itself goes on as well: nothing of its was used.
      client.write32(Pci.BAR0, 0x1000, 5);
      assertThat(client.read32(Pci.BAR0, 0x1000)).isEqualTo(5);
      neighbour.round();
      awaitTurnedAway(path, told);
      neighbour.round();
      client.close();
      long begun = System.nanoTime();
      server.close();
      assertThat(Duration.ofNanos(System.nanoTime() - begun))
          .isLessThan(Server.CLOSE_LIMIT.plusSeconds(5));
      assertThat(told.abandoned.poll(1, TimeUnit.SECONDS))
          .contains("close of " + mountPoint.resolve("file"))
          .contains("of a client of user");
      neighbour.round();
      neighbour.check();
    } finally {
      attacked.close();
    }
    // What hung has ended with the mount: the user is let in again.
    try (ProbeDevice device = new ProbeDevice();
        Server again = Server.at(path).start(device);
        Client client = Client.connect(again.path())) {
      client.reset();
      assertThat(device.resets.get()).isEqualTo(1);
    }
  }

  /** Who has sent nothing that waits to be closed does not wait for what others have sent. */
  @Test
  void shouldNotHoldOtherClientsOfTheUserWhoseFilesWait() throws Exception {
    Disposal user = Disposal.of((Integer) Files.getAttribute(folder, "unix:uid"));
    CountDownLatch goOn = new CountDownLatch(1);
    served(
        (client, device) -> {
          try (Descriptor memory = Memfd.create(CALLS, "memory", PAGE)) {
            for (int n = 0; n < 1000; n++) {
              user.later("what hangs", () -> awaitZero(goOn));
            }
            client.map(0, PAGE, BOTH, memory, 0);
            assertThat(Objects.requireNonNull(device.dma()).mappings()).isEqualTo(1);
            client.unmap(0, PAGE);
          } finally {
            goOn.countDown();
          }
        });
  }

  private static void awaitZero(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }

  /** The user whose file hangs gets no new connection, as soon as it has hung for a second. */
  private static void awaitTurnedAway(Path path, Told told) throws InterruptedException {
    @Nullable String why = null;
    while (why == null) {
      UnixSocket.connect(CALLS, path).close();
      why = told.refused.poll(20, TimeUnit.MILLISECONDS);
    }
    assertThat(why).startsWith("this process waits for its close of ");
    assertThatThrownBy(() -> Client.connect(path)).isInstanceOf(ConnectionException.class);
  }
}
