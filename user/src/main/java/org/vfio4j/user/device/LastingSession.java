// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.Outbox;

/**
 * The session of an emulated device that another process can go on with: an {@link EmulatedSession}
 * whose client's memory, eventfds and commands are written down beside the device's state.
 */
final class LastingSession implements DeviceSession {
  private final EmulatedDevice device;
  private final KeptDescriptors kept;
  private final String name;
  private final SessionFile file;
  private final Outbox outbox;
  private final LastingState state;
  private final LastingFiles files;
  private final EmulatedSession session;

  /** By IOVA with its top bit flipped, so that the signed order of keys is the unsigned one. */
  private final NavigableMap<Long, SessionFile.Range> ranges = new TreeMap<>();

  private final BitSet places = new BitSet();

  /** The number of each vector's eventfd in the store; 0 for none. */
  private final int[] eventFds;

  private SessionFile.Begun begun;

  /** Whether {@link #begun} was begun by another process. */
  private boolean left;

  /** A new client's. */
  LastingSession(EmulatedDevice device, LastingDevice.Keeping keeping, Peer peer) {
    this.device = device;
    kept = keeping.kept();
    name = keeping.name();
    eventFds = new int[device.form().vectors()];
    begun = new SessionFile.Begun(SessionFile.Begun.NOTHING, 0, 0, 0, 0);
    files = new LastingFiles(kept, prefix('f'));
    file = SessionFile.create(keeping.calls(), device.form(), peer.agreed(), peer.connection());
    boolean done = false;
    Optional<Outbox> made = Optional.empty();
    Optional<EmulatedSession> begins = Optional.empty();
    try {
      outbox = Outbox.create(keeping.calls());
      made = Optional.of(outbox);
      state = LastingState.in(file, device.form().words());
      device.keep(state);
      session =
          new EmulatedSession(
              device, peer, new UserInterrupts(device.irqs(), this::flags), device::attached);
      begins = Optional.of(session);
      kept.hold("q" + name, outbox.readEnd());
      kept.hold("w" + name, outbox.writeEnd());
      // Last: with it, everything is there.
      kept.hold("j" + name, file.file());
      done = true;
    } finally {
      if (!done) {
        begins.ifPresent(EmulatedSession::close);
        device.keep(LastingState.NONE);
        made.ifPresent(Outbox::close);
        file.close();
      }
    }
  }

  /** The client that another process has served; takes over what it has left, if this returns. */
  LastingSession(
      EmulatedDevice device, LastingDevice.Keeping keeping, Peer peer, LeftSession from) {
    this.device = device;
    kept = keeping.kept();
    name = keeping.name();
    file = from.file();
    outbox = from.outbox();
    eventFds = new int[device.form().vectors()];
    begun = file.begun();
    left = begun.state() != SessionFile.Begun.NOTHING;
    files = new LastingFiles(kept, prefix('f'));
    List<SessionFile.Range> all = file.ranges();
    state = LastingState.in(file, device.form().words());
    device.keep(state);
    boolean done = false;
    try {
      session =
          new EmulatedSession(
              device,
              peer,
              new UserInterrupts(device.irqs(), this::flags),
              (memory, interrupts) -> {
                from.map(memory, all);
                device.resumed(memory, interrupts, () -> connect(interrupts, from.eventFds()));
              });
      done = true;
    } finally {
      if (!done) {
        device.keep(LastingState.NONE);
      }
    }
    from.files().forEach(files::left);
    from.files().clear();
    for (SessionFile.Range range : all) {
      files.use(range.file());
      add(range);
    }
    files.closeUnused();
  }

  private String prefix(char letter) {
    return "%s%s.".formatted(letter, name);
  }

  private void add(SessionFile.Range range) {
    places.set(range.place());
    ranges.put(range.iova() ^ Long.MIN_VALUE, range);
  }

  private static int vector(List<Irq> irqs, int index, int vector) {
    int before = 0;
    for (int n = 0; n < index; n++) {
      before += irqs.get(n).count();
    }
    return before + vector;
  }

  private void flags(int index, int vector, int flags) {
    file.flags(vector(device.irqs(), index, vector), flags);
  }

  /** Gives the client's eventfds to their vectors again; those of none are closed. */
  private void connect(UserInterrupts interrupts, Map<Integer, Descriptor> from) {
    List<Irq> irqs = device.irqs();
    for (int index = 0; index < irqs.size(); index++) {
      for (int n = 0; n < irqs.get(index).count(); n++) {
        int record = vector(irqs, index, n);
        interrupts.restore(index, n, file.flags(record));
        int number = file.eventFd(record);
        Optional<Descriptor> eventFd = Optional.ofNullable(from.remove(number));
        if (eventFd.isPresent()) {
          eventFds[record] = number;
          interrupts.connect(index, n, List.of(eventFd));
        }
      }
    }
    from.values().forEach(Descriptor::close);
    from.clear();
  }

  @Override
  public int flags() {
    return session.flags();
  }

  @Override
  public List<Region> regions() {
    return session.regions();
  }

  @Override
  public List<Irq> irqs() {
    return session.irqs();
  }

  @Override
  public List<WriteSignal> writeSignals(int region) {
    return session.writeSignals(region);
  }

  @Override
  public boolean exact() {
    return true;
  }

  @Override
  public Optional<Outbox> outbox() {
    return Optional.of(outbox);
  }

  @Override
  public boolean begun(int id) {
    return left && begun.id() == id;
  }

  @Override
  public void beginning(int id, int command) {
    long number = begun(id) ? begun.number() : begun.number() + 1;
    left = false;
    write(new SessionFile.Begun(SessionFile.Begun.COMMAND, id, command, 0, number));
    state.command(number);
  }

  @Override
  public void answering(LeftReply reply) {
    write(
        new SessionFile.Begun(
            SessionFile.Begun.STRAIGHT,
            reply.id(),
            reply.command(),
            reply.errno(),
            begun.number()));
  }

  @Override
  public void answered() {
    left = false;
    write(new SessionFile.Begun(SessionFile.Begun.NOTHING, 0, 0, 0, begun.number()));
  }

  private void write(SessionFile.Begun next) {
    begun = next;
    file.begun(next);
  }

  @Override
  public void read(int region, long offset, MemorySegment target, long targetOffset, int count) {
    session.read(region, offset, target, targetOffset, count);
  }

  @Override
  public void write(int region, long offset, MemorySegment source, long sourceOffset, int count) {
    session.write(region, offset, source, sourceOffset, count);
  }

  @Override
  public void dmaMap(long iova, long size, int prot, DmaSource source) {
    SessionFile.Range there = ranges.get(iova ^ Long.MIN_VALUE);
    if (there != null && there.number() == begun.number() && there.size() == size) {
      // The process before has done it, and died before it could say so.
      return;
    }
    session.dmaMap(iova, size, prot, source);
    int number = 0;
    boolean done = false;
    try {
      long offset = 0;
      if (source instanceof DmaSource.File(Descriptor memory, long at)) {
        number = files.use(memory);
        offset = at;
      }
      int place = places.nextClearBit(0);
      SessionFile.Range range =
          new SessionFile.Range(place, iova, size, prot, number, offset, begun.number());
      file.range(range);
      add(range);
      done = true;
    } finally {
      if (!done) {
        files.unuse(number);
        session.dmaUnmap(iova, size, 0);
      }
    }
  }

  @Override
  public long dmaUnmap(long iova, long size, int flags) {
    long bytes = session.dmaUnmap(iova, size, flags);
    if (bytes != 0) {
      boolean all = flags == UserMemory.UNMAP_ALL;
      long first = all ? Long.MIN_VALUE : iova ^ Long.MIN_VALUE;
      long last = all ? Long.MAX_VALUE : iova + size - 1 ^ Long.MIN_VALUE;
      Map<Long, SessionFile.Range> gone = ranges.subMap(first, true, last, true);
      for (SessionFile.Range range : gone.values()) {
        file.clear(range.place());
        places.clear(range.place());
        files.unuse(range.file());
      }
      gone.clear();
    }
    return bytes;
  }

  @Override
  public void setIrqs(IrqSet set) {
    if (set.action() == IrqSet.Action.TRIGGER) {
      switch (set) {
        case IrqSet.EventFds(int index, int start, _, List<Optional<Descriptor>> given) ->
            keep(vector(irqs(), index, start), given);
        case IrqSet.Whole all when all.count() == 0 ->
            write(
                vector(irqs(), all.index(), 0),
                Collections.nCopies(irqs().get(all.index()).count(), 0));
        default -> {
          // It changes no eventfd.
        }
      }
    }
    session.setIrqs(set);
  }

  /** What the vectors have before goes when they are given these, and has its name until then. */
  private void keep(int first, List<Optional<Descriptor>> given) {
    boolean done = false;
    try {
      BitSet taken = new BitSet();
      Arrays.stream(eventFds).forEach(taken::set);
      List<Integer> numbers = new ArrayList<>();
      for (Optional<Descriptor> eventFd : given) {
        int number = eventFd.isPresent() ? taken.nextClearBit(1) : 0;
        taken.set(number);
        eventFd.ifPresent(fd -> kept.hold(prefix('n') + number, fd));
        numbers.add(number);
      }
      write(first, numbers);
      done = true;
    } finally {
      if (!done) {
        given.forEach(fd -> fd.ifPresent(Descriptor::close));
      }
    }
  }

  private void write(int first, List<Integer> numbers) {
    file.eventFds(first, numbers);
    for (int n = 0; n < numbers.size(); n++) {
      eventFds[first + n] = numbers.get(n);
    }
  }

  @Override
  public void reset() {
    session.reset();
  }

  /** What is kept goes last, the file at the very end: it is with it that another goes on. */
  @Override
  public void close() {
    try {
      session.close();
    } finally {
      device.keep(LastingState.NONE);
      files.close();
      outbox.close();
      file.close();
    }
  }
}
