// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.MemorySegment;
import org.vfio4j.error.Errno;
import org.vfio4j.posix.Outbox;
import org.vfio4j.posix.Uses;
import org.vfio4j.user.device.LeftReply;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.Header;

/** Answers a client's commands: each once, and none that wants no reply. */
final class ReplyWriter {
  private final MessageWriter writer;
  private final MemorySegment reply;

  /**
   * @param reply where replies are put together, with room for the header before what is answered
   */
  ReplyWriter(MessageWriter writer, MemorySegment reply) {
    this.writer = writer;
    this.reply = reply;
  }

  MemorySegment buffer() {
    return reply;
  }

  /** Whether a command wants a reply. */
  static boolean wanted(MemorySegment in, int at) {
    return (Header.flags(in, at) & Header.NO_REPLY) == 0;
  }

  /**
   * Sends what stands in the buffer behind the place of the header.
   *
   * @param in has the command
   * @param at where it begins
   * @param size of the whole reply, in bytes
   * @param beside descriptors that go with it
   */
  void reply(MemorySegment in, int at, int size, Uses beside) {
    if (wanted(in, at)) {
      int command = Header.command(in, at);
      Header.encode(reply, 0, Header.id(in, at), command, size, Header.TYPE_REPLY, 0);
      writer.send(reply, size, beside);
    }
  }

  /**
   * Puts an answer where it waits for {@link #send}.
   *
   * @param size of the whole reply, in bytes, {@link Outbox#CAPACITY} at most
   * @param errno that the command failed with; then its reply is its header and no more
   * @return bytes that wait
   */
  int put(Outbox outbox, MemorySegment in, int at, int size, int errno) {
    int flags = Header.TYPE_REPLY | (errno == 0 ? 0 : Header.ERROR);
    int whole = errno == 0 ? size : Header.SIZE;
    Header.encode(reply, 0, Header.id(in, at), Header.command(in, at), whole, flags, errno);
    outbox.put(reply, whole);
    return whole;
  }

  /** Sends what waits there. */
  void send(Outbox outbox, int size) {
    writer.send(outbox, size);
  }

  /**
   * Answers a command that another process may have answered: in a header and no more, since one
   * that nobody waits for ends nothing then. A reply with more than that is replaced by an error.
   */
  void standIn(LeftReply left) {
    boolean whole =
        left.command() == Command.DMA_MAP
            || left.command() == Command.SET_IRQS
            || left.command() == Command.RESET;
    int errno = left.errno() == 0 && !whole ? Errno.EINTR.number() : left.errno();
    int flags = Header.TYPE_REPLY | (errno == 0 ? 0 : Header.ERROR);
    Header.encode(reply, 0, left.id(), left.command(), Header.SIZE, flags, errno);
    writer.send(reply, Header.SIZE);
  }

  /** Says that the command failed: such a reply is its header and no more. */
  void fail(MemorySegment in, int at, int errno) {
    if (wanted(in, at)) {
      int flags = Header.TYPE_REPLY | Header.ERROR;
      int command = Header.command(in, at);
      Header.encode(reply, 0, Header.id(in, at), command, Header.SIZE, flags, errno);
      writer.send(reply, Header.SIZE);
    }
  }
}
