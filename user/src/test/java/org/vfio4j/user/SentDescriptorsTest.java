// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.InterposedSystemCalls;
import org.vfio4j.user.device.DmaSource;
import org.vfio4j.user.device.IrqSet;
import org.vfio4j.user.device.Region;
import org.vfio4j.user.device.WriteSignal;
import org.vfio4j.user.wire.SetIrqs;

/**
 * B24: a descriptor that goes beside a message is closed by another thread when the message is
 * about to be sent, and somebody else opens a file, which Linux gives the lowest free number. The
 * other side must not be sent that file: it may be another VM's memory.
 */
class SentDescriptorsTest extends LeakCheck {
  private static final long SIZE = 8192;
  private static final long STRANGERS_SIZE = 4096;

  private final InterposedSystemCalls calls = new InterposedSystemCalls(SystemCalls.libc());
  private final List<Descriptor> strangers = new ArrayList<>();

  /** Has memory that can be mapped and a write that can be a signal; notes what it is sent. */
  private static final class Recorder extends BareSession {
    final Descriptor memory = Memfd.create(SystemCalls.libc(), "bar", SIZE);
    final EventFd bell = EventFd.create(SystemCalls.libc());
    final List<Long> mapped = new ArrayList<>();

    @Override
    public List<Region> regions() {
      int flags = Region.READ | Region.WRITE | Region.MMAP;
      Region.Memory there = new Region.Memory(memory, 0);
      return List.of(new Region(SIZE, flags, List.of(), Optional.of(there)));
    }

    @Override
    public List<WriteSignal> writeSignals(int region) {
      return List.of(
          new WriteSignal(0, 4, OptionalLong.of(1), bell),
          new WriteSignal(0, 4, OptionalLong.of(2), bell));
    }

    @Override
    public void dmaMap(long iova, long size, int prot, DmaSource source) {
      if (source instanceof DmaSource.File(Descriptor file, long _)) {
        mapped.add(FileStatus.of(file).length());
      }
    }

    /** When its only client has left. */
    @Override
    public void close() {
      memory.close();
      bell.close();
    }

    @Override
    public void setIrqs(IrqSet set) {
      if (set instanceof IrqSet.EventFds given) {
        for (Optional<Descriptor> one : given.eventFds()) {
          try (EventFd eventFd = EventFd.of(one.orElseThrow())) {
            eventFd.signal();
          }
        }
      }
    }
  }

  @AfterEach
  void closeAll() {
    strangers.forEach(Descriptor::close);
  }

  private Runnable recycling(AutoCloseable closed) {
    return () -> {
      try {
        closed.close();
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
      strangers.add(Memfd.create(SystemCalls.libc(), "vm 2", STRANGERS_SIZE));
    };
  }

  private interface Body {
    void run(Client client, Recorder device) throws Exception;
  }

  /** Both ends send through {@link #calls}. */
  private void connected(Body body) throws Exception {
    int[] pair;
    try (Arena local = Arena.ofConfined()) {
      MemorySegment two = local.allocate(8, 4);
      int type = Constants.SOCK_STREAM | Constants.SOCK_CLOEXEC;
      SystemCallException.check(calls.socketpair(Constants.AF_UNIX, type, 0, two), "socketpair");
      pair = two.toArray(ValueLayout.JAVA_INT);
    }
    try (Recorder device = new Recorder();
        Server server = Server.at(folder.resolve("s")).start(_ -> device)) {
      assertThat(server.adopt(new Descriptor(calls, pair[0], "server's end"))).isTrue();
      try (Client client = Client.over(new Descriptor(calls, pair[1], "client's end"))) {
        body.run(client, device);
      }
    }
    assertThat(calls.done()).as("the call was made").isTrue();
  }

  private static void shouldBeRefused(Runnable command) {
    assertThatThrownBy(command::run)
        .isInstanceOfSatisfying(
            SystemCallException.class, e -> assertThat(e.errno()).isEqualTo(ErrnoNames.EBADF));
  }

  @Test
  void shouldMapTheFileItWasAskedForOrNone() throws Exception {
    Descriptor file = Memfd.create(calls, "ram", SIZE);
    connected(
        (client, device) -> {
          calls.beforeNext("sendmsg", recycling(file));
          client.map(0, SIZE, 3, file, 0);
          assertThat(device.mapped).containsExactly(SIZE);
          shouldBeRefused(() -> client.map(0, SIZE, 3, file, 0));
          client.reset();
          assertThat(device.mapped).as("nothing was sent").hasSize(1);
        });
  }

  @Test
  void shouldSetInterruptsOfItsOwnEventFdsOrNone() throws Exception {
    EventFd eventFd = EventFd.create(calls);
    try (EventFd same = EventFd.of(eventFd.descriptor().duplicate())) {
      connected(
          (client, _) -> {
            SetIrqs set = SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, 0, 0, 1);
            calls.beforeNext("sendmsg", recycling(eventFd));
            client.setIrqs(set, eventFd);
            assertThat(same.take()).as("the device has it").isEqualTo(1);
            shouldBeRefused(() -> client.setIrqs(set, eventFd));
            client.reset();
          });
    }
  }

  @Test
  void shouldHandOutTheMemoryOfTheDeviceOrNone() throws Exception {
    connected(
        (client, device) -> {
          calls.beforeNext("sendmsg", recycling(device.memory));
          try (Client.MappableRegion region = client.region(0)) {
            assertThat(FileStatus.of(region.file().orElseThrow()).length()).isEqualTo(SIZE);
          }
          Served.refused(ErrnoNames.EBADF, () -> client.region(0).close());
          client.reset();
        });
  }

  @Test
  void shouldHandOutTheSignalsOfTheDeviceOrNone() throws Exception {
    connected(
        (client, device) -> {
          try (EventFd same = EventFd.of(device.bell.descriptor().duplicate())) {
            calls.beforeNext("sendmsg", recycling(device.bell));
            List<Client.IoEventFd> handed = client.ioEventFds(0);
            assertThat(handed).extracting(h -> h.entry().fdIndex()).containsExactly(0, 0);
            handed.forEach(h -> h.eventFd().signal());
            assertThat(same.take()).isEqualTo(2);
            handed.forEach(h -> h.eventFd().close());
            Served.refused(ErrnoNames.EBADF, () -> client.ioEventFds(0));
            client.reset();
          }
        });
  }
}
