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
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.user.device.DmaSource;
import org.vfio4j.user.device.IrqSet;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.device.Region;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.SetIrqs;

/**
 * What somebody would find in the socket who went on with a connection while a command is served:
 * the command, but for a write to a register, and nothing more once it is answered.
 */
class ExactReadsTest extends LeakCheck {
  private static final SystemCalls CALLS = SystemCalls.libc();
  private static final int NOTHING = -1;

  /** Notes the command that waits in the server's socket while it is served one. */
  private static final class Looking extends BareSession {
    final List<Integer> waiting = new ArrayList<>();
    private final UnixSocket socket;
    private final MemorySegment header;

    Looking(UnixSocket socket, Arena arena) {
      this.socket = socket;
      header = arena.allocate(Header.SIZE);
    }

    private void look() {
      boolean any = socket.available() > 0 && socket.peek(header, 0, Header.SIZE) > 0;
      socket.dropDescriptors();
      waiting.add(any ? Header.command(header, 0) : NOTHING);
    }

    @Override
    public boolean exact() {
      return true;
    }

    @Override
    public List<Region> regions() {
      List<Region> regions = new ArrayList<>();
      for (int n = 0; n <= Pci.CONFIG; n++) {
        regions.add(Region.registers(4096));
      }
      return regions;
    }

    @Override
    public void read(int region, long offset, MemorySegment target, long at, int count) {
      look();
    }

    @Override
    public void write(int region, long offset, MemorySegment source, long at, int count) {
      look();
    }

    @Override
    public void dmaMap(long iova, long size, int prot, DmaSource source) {
      look();
      if (iova != 0) {
        throw new VfioException(Errno.ENOMEM, Reason.LOCKED_MEMORY, "no more");
      }
    }

    @Override
    public void setIrqs(IrqSet set) {
      look();
      super.setIrqs(set);
    }

    @Override
    public void reset() {
      look();
    }
  }

  private static int[] pair(Arena arena) {
    MemorySegment two = arena.allocate(8, 4);
    int type = Constants.SOCK_STREAM | Constants.SOCK_CLOEXEC;
    SystemCallException.check(CALLS.socketpair(Constants.AF_UNIX, type, 0, two), "socketpair");
    return two.toArray(ValueLayout.JAVA_INT);
  }

  @Test
  void shouldLeaveACommandInTheSocketUntilItIsDone() throws Exception {
    int[] pair = pair(arena);
    int again = CALLS.fcntl(pair[0], Constants.F_DUPFD_CLOEXEC, 0);
    try (UnixSocket same = UnixSocket.of(new Descriptor(CALLS, again, "the server's end again"));
        Descriptor ram = Memfd.create(CALLS, "ram", 8192)) {
      Looking device = new Looking(same, arena);
      try (Server server = Server.at(folder.resolve("s")).start(_ -> device)) {
        assertThat(server.adopt(new Descriptor(CALLS, pair[0], "server's end"))).isTrue();
        try (Client client = Client.over(new Descriptor(CALLS, pair[1], "client's end"))) {
          client.map(0, 4096, 3, ram, 0);
          assertThatThrownBy(() -> client.map(4096, 4096, 3, ram, 4096))
              .isInstanceOf(ErrorReplyException.class);
          client.read32(Pci.BAR0, 0);
          client.write32(Pci.BAR0, 0, 1);
          client.write32(Pci.CONFIG, 4, 1);
          client.setIrqs(SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.TRIGGER, Pci.MSI, 0, 0));
          client.reset();
          assertThat(same.available()).as("everything is answered").isZero();
        }
      }
      assertThat(device.waiting)
          .containsExactly(
              Command.DMA_MAP,
              Command.DMA_MAP,
              Command.REGION_READ,
              NOTHING,
              Command.REGION_WRITE,
              Command.SET_IRQS,
              Command.RESET);
    }
  }
}
