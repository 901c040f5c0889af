// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.System.Logger.Level;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.Outbox;

/**
 * A client's use of a device of ours, as another process has left it among its descriptors, which
 * are kept under the server's name behind a letter: {@code j} the {@link SessionFile}, {@code q}
 * and {@code w} the ends of the outbox, {@code f} the client's memory, {@code n} its eventfds.
 *
 * @param files the client's memory, by its numbers
 * @param eventFds by their numbers
 */
record LeftSession(
    SessionFile file,
    Outbox outbox,
    Map<Integer, Descriptor> files,
    Map<Integer, Descriptor> eventFds)
    implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger("org.vfio4j.user");

  /** Copies the maps, which are emptied by who takes things over. */
  LeftSession {
    files = new HashMap<>(files);
    eventFds = new HashMap<>(eventFds);
  }

  /**
   * Takes over what there is. What nobody can go on with is closed.
   *
   * @param name of the server
   * @throws SessionFile.LaterException if a later version has left it
   */
  static Optional<LeftSession> take(KeptDescriptors kept, String name, SessionFile.Form form) {
    Optional<Descriptor> session = kept.take("j" + name);
    Optional<Descriptor> readEnd = kept.take("q" + name);
    Optional<Descriptor> writeEnd = kept.take("w" + name);
    Map<Integer, Descriptor> files = kept.takeAll("f%s.".formatted(name));
    Map<Integer, Descriptor> eventFds = kept.takeAll("n%s.".formatted(name));
    if (session.isPresent() && readEnd.isPresent() && writeEnd.isPresent()) {
      try {
        return Optional.of(
            new LeftSession(
                SessionFile.open(session.get(), form),
                Outbox.of(readEnd.get(), writeEnd.get()),
                files,
                eventFds));
      } catch (IllegalArgumentException other) {
        LOG.log(
            Level.ERROR,
            "what the process before has left of %s %s"
                .formatted(form.device(), other.getMessage()));
      }
    }
    // The session last: without the others nobody goes on with it.
    eventFds.values().forEach(Descriptor::close);
    files.values().forEach(Descriptor::close);
    writeEnd.ifPresent(Descriptor::close);
    readEnd.ifPresent(Descriptor::close);
    session.ifPresent(Descriptor::close);
    return Optional.empty();
  }

  /** The client, as the server goes on with it. */
  LeftClient client() {
    SessionFile.Begun begun = file.begun();
    Optional<LeftReply> straight =
        begun.state() == SessionFile.Begun.STRAIGHT
            ? Optional.of(new LeftReply(begun.id(), begun.command(), begun.errno(), false))
            : Optional.empty();
    return new LeftClient(file.connection(), file.agreed(), straight, System.nanoTime());
  }

  /** Maps the client's memory again. */
  void map(UserMemory memory, List<SessionFile.Range> ranges) {
    for (SessionFile.Range range : ranges) {
      Optional<Descriptor> of = Optional.ofNullable(files.get(range.file()));
      if (range.file() != 0 && of.isEmpty()) {
        throw new VfioException(
            Errno.EIO, Reason.BAD_DESCRIPTOR, "some of the client's memory was not kept");
      }
      memory.map(range.iova(), range.size(), range.prot(), of, range.offset());
    }
  }

  @Override
  public void close() {
    eventFds.values().forEach(Descriptor::close);
    files.values().forEach(Descriptor::close);
    outbox.close();
    file.close();
  }
}
