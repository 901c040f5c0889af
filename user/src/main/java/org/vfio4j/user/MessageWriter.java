// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.MemorySegment;
import org.vfio4j.posix.Outbox;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.posix.Uses;

/** Sends whole messages, one at a time: several threads of a side may have some to send. */
final class MessageWriter {
  private final UnixSocket socket;

  MessageWriter(UnixSocket socket) {
    this.socket = socket;
  }

  /**
   * Sends a message. Waits while the other side does not read.
   *
   * @throws org.vfio4j.posix.SystemCallException EPIPE or ECONNRESET if it has gone
   */
  void send(MemorySegment message, int size) {
    send(message, size, Uses.NONE);
  }

  /** Sends what waits in an outbox. */
  synchronized void send(Outbox from, int size) {
    from.send(socket, size);
  }

  /** Sends a message with descriptors beside it, whose uses the caller ends. */
  synchronized void send(MemorySegment message, int size, Uses beside) {
    socket.send(message, 0, size, beside);
  }
}
