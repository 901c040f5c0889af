// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.vfio4j.error.Errno;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.DmaAccess;
import org.vfio4j.user.wire.DmaRead;
import org.vfio4j.user.wire.DmaWrite;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.MessageException;

/**
 * What a server asks of its client, answered: memory that was mapped without a descriptor is read
 * and written for it. That has a thread of its own, which may wait for the server to read; the
 * thread that reads from the server must not.
 */
final class DmaAnswers {
  /** The last of the commands to answer. */
  private static final byte[] END = {};

  private final UnixSocket socket;
  private final MessageWriter writer;
  private final ClientMemory memory = new ClientMemory();
  private final BlockingQueue<byte[]> commands = new LinkedBlockingQueue<>();
  private final Thread thread;

  /** Begins; nobody is asked anything yet. The socket stays the caller's. */
  DmaAnswers(UnixSocket socket, MessageWriter writer) {
    this.socket = socket;
    this.writer = writer;
    thread = new Thread(this::answer, "vfio-user client answers");
    thread.setDaemon(true);
    thread.start();
  }

  /** What the server may ask for. */
  ClientMemory memory() {
    return memory;
  }

  /** Takes a command of the server, with its header. Does not wait. */
  void add(byte[] command) {
    commands.add(command);
  }

  /** The thread ends when it has answered what came before. Does not wait for that. */
  void end() {
    commands.add(END);
  }

  boolean isAlive() {
    return thread.isAlive();
  }

  void join() throws InterruptedException {
    thread.join();
  }

  /** DmaAnswers the server's commands until {@link #end}. */
  private void answer() {
    try (Arena own = Arena.ofConfined()) {
      MemorySegment reply = own.allocate(Negotiated.CAPACITY, Long.BYTES);
      while (true) {
        byte[] command = commands.take();
        if (command.length == 0) {
          return;
        }
        serve(MemorySegment.ofArray(command), reply);
      }
    } catch (InterruptedException | SystemCallException _) {
      // Nobody can be answered any more; the thread that reads finds out why.
      socket.shutdown();
    }
  }

  private void serve(MemorySegment in, MemorySegment reply) {
    int command = Header.command(in, 0);
    int size = (int) in.byteSize() - Header.SIZE;
    int flags = Header.TYPE_REPLY;
    int length = Header.SIZE;
    int errno = 0;
    try {
      length += access(command, in, Header.SIZE, size, reply);
    } catch (MessageException e) {
      flags |= Header.ERROR;
      errno = e.errno().number();
    }
    if ((Header.flags(in, 0) & Header.NO_REPLY) == 0) {
      Header.encode(reply, 0, Header.id(in, 0), command, length, flags, errno);
      writer.send(reply, length);
    }
  }

  private int access(int command, MemorySegment in, int at, int size, MemorySegment reply) {
    switch (command) {
      case Command.DMA_READ -> {
        DmaRead read = DmaRead.parse(in, at, size);
        if (read.count() < 0 || read.count() > Negotiated.MAX_TRANSFER) {
          throw new MessageException(Errno.E2BIG, "too much at once: count=" + read.count());
        }
        memory.read(read.address(), read.count(), reply, Header.SIZE + DmaAccess.DATA);
        read.encode(reply, Header.SIZE);
        return DmaAccess.SIZE + (int) read.count();
      }
      case Command.DMA_WRITE -> {
        DmaWrite write = DmaWrite.parse(in, at, size);
        memory.write(write.address(), write.count(), in, at + DmaAccess.DATA);
        write.encode(reply, Header.SIZE);
        return DmaAccess.SIZE;
      }
      default -> throw new MessageException("no such command: command=" + command);
    }
  }
}
