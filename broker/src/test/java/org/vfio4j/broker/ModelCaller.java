// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.user.Client;
import org.vfio4j.user.ConnectionException;
import org.vfio4j.user.ErrorReplyException;

/** Who has come for a device of a {@link BrokerModelTest}, and maybe has it. */
final class ModelCaller implements AutoCloseable {
  /** The answer of who is gone. */
  static final int LOST = -1;

  final int slot;
  final int device;
  private final Descriptor socket;
  private final UnixSocket second;
  private @Nullable Client client;
  boolean gone;

  private ModelCaller(int slot, int device, Descriptor socket) {
    this.slot = slot;
    this.device = device;
    this.socket = socket;
    second = UnixSocket.of(socket.duplicate());
  }

  /** Connects, and says nothing yet. */
  static ModelCaller come(int slot, int device, Path path) {
    return new ModelCaller(slot, device, UnixSocket.connect(SystemCalls.libc(), path).descriptor());
  }

  /** Something asked of a client. */
  interface Command {
    void make(Client client);
  }

  /** What it is answered: 0, an errno, or {@link #LOST}. */
  static int answer(Runnable call) {
    try {
      call.run();
      return 0;
    } catch (ErrorReplyException refused) {
      return refused.errno();
    } catch (ConnectionException | SystemCallException lost) {
      return LOST;
    }
  }

  /** Asks for the device. */
  int begin() {
    return answer(() -> client = Client.over(socket));
  }

  /** Whether the server has closed the connection of one that has said nothing. */
  boolean lost() {
    return second.hungUp();
  }

  /** Whether it has asked for the device. */
  boolean begun() {
    return client != null;
  }

  int ask(Command command) {
    return answer(() -> command.make(Objects.requireNonNull(client)));
  }

  /** Ends within a message. */
  void die() {
    try (Arena arena = Arena.ofConfined()) {
      second.send(arena.allocate(16), 0, 5);
    } catch (SystemCallException _) {
      // It is gone already.
    }
    close();
  }

  @Override
  public void close() {
    gone = true;
    second.shutdown();
    if (client != null) {
      client.close();
    } else if (socket.isOpen()) {
      socket.close();
    }
    second.close();
  }
}
