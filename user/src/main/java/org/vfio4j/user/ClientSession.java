// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Outbox;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.posix.Uses;
import org.vfio4j.user.device.DeviceSession;
import org.vfio4j.user.device.LeftReply;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.MessageException;
import org.vfio4j.user.wire.RegionAccess;

/**
 * A client that has agreed on the version: its commands, one after the other, until it leaves. A
 * command that cannot be done is answered with its errno, and the next is served.
 */
final class ClientSession implements AutoCloseable {
  private static final Logger LOG = System.getLogger("org.vfio4j.user");

  private final UnixSocket socket;
  private final int pid;
  private final String name;
  private final Calls calls;
  private final DeviceSession device;
  private final Commands commands;
  private final ReplyWriter replies;
  private final Optional<LateAnswers> watch;
  private final boolean exact;
  private final Optional<Outbox> outbox;

  /** The command that another process has answered already, and has left to be done; or -1. */
  private int toldBefore = -1;

  /**
   * Takes over the device's session and the calls to the client.
   *
   * @param pid of the client, for events
   * @param name of the device, for messages
   * @param watch answers for what takes too long
   */
  ClientSession(
      UnixSocket socket,
      int pid,
      String name,
      Calls calls,
      DeviceSession device,
      Commands commands,
      ReplyWriter replies,
      Optional<LateAnswers> watch) {
    this.socket = socket;
    this.pid = pid;
    this.name = name;
    this.calls = calls;
    this.device = device;
    this.commands = commands;
    this.replies = replies;
    this.watch = watch;
    exact = device.exact();
    outbox = device.outbox();
  }

  /** The next message has been answered already, if it has this number: it is done only. */
  void toldBefore(int id) {
    toldBefore = id;
  }

  /** Serves until the client leaves. */
  void run(MessageReader reader) {
    if (exact) {
      reader.exact();
    }
    while (next(reader)) {
      handle(reader);
    }
  }

  private boolean next(MessageReader reader) {
    reader.consume();
    if (watch.isEmpty()) {
      return reader.next();
    }
    LateAnswers late = watch.get();
    int waiting = reader.ahead() + socket.available();
    late.taken(reader.size());
    late.done(waiting);
    boolean more = reader.next();
    if (waiting == 0) {
      late.arrived();
    }
    return more;
  }

  /** The message that the reader is at was waited for, and has come now. */
  void arrived() {
    watch.ifPresent(LateAnswers::arrived);
  }

  /** Serves the message that the reader is at. */
  void handle(MessageReader reader) {
    MemorySegment in = reader.buffer();
    int at = reader.at();
    int type = Header.flags(in, at) & Header.TYPE;
    if (type == Header.TYPE_COMMAND) {
      if (CommandEvent.recorded()) {
        serveRecorded(reader);
      } else {
        serve(reader);
      }
    } else if (type == Header.TYPE_REPLY) {
      if (!calls.answer(in, at, reader.size())) {
        LOG.log(Level.DEBUG, "{0}: a reply that nobody waits for", name);
      }
    } else {
      throw new ConnectionException("message of unknown type: type=" + type);
    }
  }

  private void serveRecorded(MessageReader reader) {
    CommandEvent event = new CommandEvent();
    event.begin();
    int command = Header.command(reader.buffer(), reader.at());
    try {
      serve(reader);
    } finally {
      event.end();
      if (event.shouldCommit()) {
        event.device = name;
        event.pid = pid;
        event.command = Command.name(command);
        event.commit();
      }
    }
  }

  private void serve(MessageReader reader) {
    MemorySegment in = reader.buffer();
    int at = reader.at();
    boolean told = toldBefore == Header.id(in, at);
    toldBefore = -1;
    boolean wanted = ReplyWriter.wanted(in, at) && !told;
    boolean watched = watch.isPresent() && wanted;
    if (watched) {
      watch.get().begin(Header.id(in, at), Header.command(in, at));
    }
    begin(reader);
    int errno = 0;
    int size = 0;
    Uses beside = Uses.NONE;
    try {
      if (outbox.isEmpty() && writesRegister(in, at)) {
        // Who goes on with the connection in our place must not write it again.
        take(reader, wanted, 0);
      }
      size = commands.serve(reader, replies.buffer());
      beside = Uses.of(commands.beside());
    } catch (MessageException e) {
      errno = refused(in, at, e.errno().number(), e);
    } catch (VfioException e) {
      errno = refused(in, at, e.errno().number(), e);
    } catch (SystemCallException e) {
      errno = refused(in, at, e.errno(), e);
    } catch (RuntimeException | InternalError e) {
      // InternalError: memory of the device that a client had mapped and somebody cut short.
      LOG.log(Level.ERROR, () -> name + ": the device failed at " + describe(in, at), e);
      errno = Errno.EIO.number();
    }
    try (Uses open = beside) {
      answer(reader, wanted && (!watched || watch.get().claim()), errno, size, open);
    }
  }

  /** The message that the reader is at is begun. */
  void begin(MessageReader reader) {
    if (outbox.isPresent()) {
      MemorySegment in = reader.buffer();
      device.beginning(Header.id(in, reader.at()), Header.command(in, reader.at()));
    }
  }

  /**
   * Takes the message that the reader is at, and answers it with what stands in the buffer behind
   * the place of the header.
   *
   * @param mine whether the client is answered by this session
   * @param errno that it is answered, or 0
   * @param size of the whole reply, in bytes
   * @param beside descriptors that go with it
   */
  void answer(MessageReader reader, boolean mine, int errno, int size, Uses beside) {
    MemorySegment in = reader.buffer();
    int at = reader.at();
    if (outbox.isPresent() && size <= Outbox.CAPACITY && beside == Uses.NONE) {
      int waiting = mine ? replies.put(outbox.get(), in, at, size, errno) : 0;
      reader.consume();
      if (mine) {
        replies.send(outbox.get(), waiting);
      }
    } else {
      take(reader, mine, errno);
      if (mine && errno != 0) {
        replies.fail(in, at, errno);
      } else if (mine) {
        replies.reply(in, at, size, beside);
      }
    }
    answered();
  }

  /**
   * Sends the reply that another process had put into the outbox, whose command may have been left
   * in the socket.
   *
   * @param at whether the reader is at a message that was in the socket
   * @return whether it still is at one that is to be served
   */
  boolean sendLeft(MessageReader reader, boolean at) {
    int waiting = outbox.map(Outbox::waiting).orElse(0);
    if (waiting == 0) {
      return at;
    }
    boolean answered = at && device.begun(Header.id(reader.buffer(), reader.at()));
    if (answered) {
      reader.consume();
    }
    replies.send(outbox.orElseThrow(), waiting);
    answered();
    return at && !answered;
  }

  /** The client has been answered. */
  void answered() {
    if (exact) {
      device.answered();
    }
  }

  /**
   * Takes the message that the reader is at: from now on nobody finds it in the socket.
   *
   * @param wanted whether the client is answered by this session
   * @param errno that it is answered
   */
  void take(MessageReader reader, boolean wanted, int errno) {
    if (exact && wanted) {
      int at = reader.at();
      MemorySegment in = reader.buffer();
      device.answering(new LeftReply(Header.id(in, at), Header.command(in, at), errno, false));
    }
    reader.consume();
  }

  /** A register may do something each time it is written; all other commands can be done twice. */
  private static boolean writesRegister(MemorySegment in, int at) {
    int command = Header.command(in, at);
    boolean one = command == Command.REGION_WRITE;
    boolean whole = Header.size(in, at) >= Header.SIZE + RegionAccess.SIZE;
    boolean config = one && whole && RegionAccess.region(in, at + Header.SIZE) == Pci.CONFIG;
    return command == Command.REGION_WRITE_MULTI || (one && !config);
  }

  private int refused(MemorySegment in, int at, int errno, RuntimeException why) {
    if (LOG.isLoggable(Level.DEBUG)) {
      LOG.log(Level.DEBUG, name + ": refused " + describe(in, at) + ": " + why.getMessage());
    }
    return errno;
  }

  private static String describe(MemorySegment in, int at) {
    return Command.name(Header.command(in, at));
  }

  /** Nobody is answered any more; then the device lets go of all that the client brought. */
  @Override
  public void close() {
    socket.shutdown();
    calls.end();
    watch.ifPresent(LateAnswers::close);
    try {
      device.close();
    } catch (RuntimeException | InternalError e) {
      LOG.log(Level.ERROR, () -> name + ": the device failed when its user left", e);
    }
    calls.close();
  }
}
