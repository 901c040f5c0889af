// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import static java.lang.System.Logger.Level.ERROR;
import static java.lang.System.Logger.Level.INFO;
import static java.lang.System.Logger.Level.WARNING;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.iommu.ProcessMemory;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.user.device.DmaSource;
import org.vfio4j.user.device.Peer;

/**
 * The memory of a VM, once. Each of its devices announces all of it over a connection of its own: a
 * range that several have announced alike is one mapping in the container, and stays until the last
 * of them takes it back.
 *
 * <p>QEMU changes the layout in one transaction on all its connections: each unmaps before it maps.
 * A connection that maps what is at odds with another's mapping therefore waits until the others
 * have unmapped theirs. One that stays silent for a second is disconnected.
 *
 * <p>Ranges that come before the client is {@linkplain Share#admit admitted} are noted and answered
 * at once; they are pinned by the admission, which can still refuse.
 */
final class VmMemory {
  private static final long SILENCE_NANOS = 1_000_000_000L;
  private static final int ALL = Container.UNMAP_ALL;

  private final VmSettings settings;
  private final Container container;
  private final VmJournal journal;
  private final RamFiles files;
  private final AddressSpace process = ProcessMemory.create();
  private final NavigableMap<Long, RamPiece> pieces = new TreeMap<>(Long::compareUnsigned);

  /** It is said once for a VM: each of its connections announces the same. */
  private boolean toldWithout;

  VmMemory(VmSettings settings, Container container, VmJournal journal, RamFiles files) {
    this.settings = settings;
    this.container = container;
    this.journal = journal;
    this.files = files;
  }

  /** What one connection has announced. Its calls come from one thread. */
  final class Share implements AutoCloseable {
    /** The place of the device among the VM's. */
    final int index;

    /** Empty while a connection that another process has begun is not served yet. */
    private volatile Optional<Peer> peer;

    /** What came without a descriptor: no device can reach it. */
    private final NavigableMap<Long, Without> without = new TreeMap<>(Long::compareUnsigned);

    private Optional<VfioException> failure = Optional.empty();
    private boolean admitted;
    private boolean cutOff;

    /** Whether something of it could not be taken over from another process. */
    private boolean broken;

    private Share(int index, Optional<Peer> peer) {
      this.index = index;
      this.peer = peer;
    }

    /** Whether something that it announced was refused. */
    boolean failed() {
      return failure.isPresent();
    }

    boolean broken() {
      return broken;
    }

    /** Its connection is served from now on. */
    void served(Peer by) {
      peer = Optional.of(by);
    }

    /**
     * Announces a range.
     *
     * @throws VfioException EEXIST if it overlaps another of this connection, ENOMEM beyond what
     *     the VM is to have, EINVAL, EACCES for what cannot be mapped, and what the kernel answers
     */
    void map(long iova, long size, int prot, DmaSource source) {
      try {
        checkRange(iova, size, prot);
        switch (source) {
          case DmaSource.Messages _ -> note(this, iova, size);
          case DmaSource.File(Descriptor file, long offset) ->
              VmMemory.this.map(this, new RamFile.Range(iova, size, prot, offset), file);
        }
      } catch (VfioException refused) {
        refused(refused);
        throw refused;
      } catch (SystemCallException refused) {
        Errno errno = Errno.of(refused.errno()).orElse(Errno.EIO);
        refused(new VfioException(errno, Reason.NO_MEMORY, String.valueOf(refused.getMessage())));
        throw refused;
      }
    }

    /** Something that it announced is not there: its VM is not started. */
    void refused(VfioException why) {
      failure = failure.or(() -> Optional.of(why));
    }

    /** Takes ranges back; see {@link Container#unmap}. Bytes that this connection had there. */
    long unmap(long iova, long size, int flags) {
      return VmMemory.this.unmap(this, iova, size, flags);
    }

    /**
     * Everything that the VM starts with has come: pins it, or refuses the VM.
     *
     * @param written has it written down that the VM is admitted; if that fails it is not
     * @throws VfioException with a sentence that says what to change
     */
    void admit(Runnable written) {
      if (admitted) {
        return;
      }
      VmMemory.this.admit(this, peer.orElseThrow());
      admitted = true;
      boolean done = false;
      try {
        written.run();
        done = true;
      } finally {
        admitted = done;
      }
    }

    /** Whether what comes now is pinned at once. */
    boolean admitted() {
      return admitted;
    }

    /** Takes everything back. */
    @Override
    public void close() {
      VmMemory.this.unmap(this, 0, 0, ALL);
    }
  }

  /**
   * A range without memory.
   *
   * @param place its place in the journal
   */
  private record Without(long size, int place) {}

  /**
   * The connection of a device, which has announced nothing yet.
   *
   * @param index of the device among the VM's
   */
  Share join(int index, Peer peer) {
    return new Share(index, Optional.of(peer));
  }

  /** The connection of a device that the process before has served. */
  private Share resumed(int index, Journal.OfClient was) {
    Share share = new Share(index, Optional.empty());
    share.admitted = was.admitted();
    if (was.failed()) {
      share.failure =
          Optional.of(
              new VfioException(
                  Errno.EINVAL,
                  Reason.BAD_ADDRESS,
                  "some of its memory was refused, by a process that has died since"));
    }
    return share;
  }

  /**
   * Takes over what the process before had. Devices reach at any moment what they have reached.
   *
   * @param ranges as its journal has them
   * @param clients of the devices that are still connected, by their places; ranges that none of
   *     them holds are given back
   */
  Map<Integer, Share> resume(List<Journal.Range> ranges, Map<Integer, Journal.OfClient> clients) {
    Map<Integer, Share> resumed = new HashMap<>();
    clients.forEach((index, was) -> resumed.put(index, resumed(index, was)));
    List<RamPiece> leaving = new ArrayList<>();
    for (Journal.Range range : ranges) {
      List<Share> holders =
          range.holders().stream().filter(resumed::containsKey).map(resumed::get).toList();
      if (range.memory().isEmpty()) {
        holders.forEach(share -> noted(share, range.iova(), range.size()));
      } else {
        resume(range, holders).filter(p -> p.holders.isEmpty()).ifPresent(leaving::add);
      }
    }
    leave(leaving);
    synchronized (this) {
      files.closeUnused();
    }
    return resumed;
  }

  /**
   * Takes a range over. One that is not there any more, or whose file is not, is taken from the
   * devices by the end of all this: who had it is broken then.
   */
  private Optional<RamPiece> resume(Journal.Range range, List<Share> holders) {
    try {
      return Optional.of(resumed(range, holders));
    } catch (RuntimeException refused) {
      Broker.LOG.log(
          ERROR,
          "%s: memory at 0x%x is not taken over: %s"
              .formatted(settings.name(), range.iova(), refused.getMessage()));
      // A map that was under way comes again, and is refused again.
      boolean mapped = range.reach() == Journal.Reach.PINNED;
      for (Share share : holders) {
        share.broken |= mapped && share.admitted;
        if (!share.admitted) {
          share.refused(lost(range.iova()));
        }
      }
      return Optional.empty();
    }
  }

  private static VfioException lost(long iova) {
    return new VfioException(
        Errno.EINVAL,
        Reason.BAD_ADDRESS,
        "its memory at 0x%x was announced to a process that has died, and is lost".formatted(iova));
  }

  private RamPiece resumed(Journal.Range range, List<Share> holders) {
    RamPiece piece;
    synchronized (this) {
      Journal.OfFile memory = range.memory().orElseThrow();
      RamFile file =
          files
              .resumed(new RamFile.Key(memory.device(), memory.inode(), memory.writable()))
              .orElseThrow(() -> new IllegalStateException("its file was not kept"));
      RamFile.Range at =
          new RamFile.Range(range.iova(), range.size(), range.access(), memory.offset());
      piece = add(at, file);
      piece.holders.addAll(holders);
    }
    boolean done = false;
    try {
      if (range.reach() != Journal.Reach.NOTED) {
        pin(piece);
      }
      synchronized (this) {
        write(piece);
      }
      done = true;
    } finally {
      if (!done) {
        synchronized (this) {
          piece.holders.clear();
        }
        leave(List.of(piece));
      }
    }
    return piece;
  }

  /** Each change is written down before it is acted on. */
  private void write(RamPiece piece) {
    journal.write(piece.place, piece.range());
  }

  /** The same of what is given back, which goes on whatever happens. */
  private void writeIfPossible(Runnable write) {
    try {
      write.run();
    } catch (SystemCallException refused) {
      Broker.LOG.log(
          ERROR,
          "%s: memory was taken back, and that is not written down: %s"
              .formatted(settings.name(), refused.getMessage()));
    }
  }

  private static void checkRange(long iova, long size, int prot) {
    boolean aligned = ((iova | size) & 4095) == 0;
    if (size <= 0 || !aligned || Long.compareUnsigned(iova + size - 1, iova) < 0 || prot == 0) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.BAD_ARGUMENT,
          "no range: 0x%x bytes at 0x%x, access %d".formatted(size, iova, prot));
    }
  }

  /** BARs of other devices, firmware and video memory come so; the last two no device writes to. */
  private synchronized void note(Share share, long iova, long size) {
    Without there = share.without.get(iova);
    if (there != null && there.size == size) {
      // Of a message that the process before has taken, and has not answered.
      return;
    }
    checkFree(share, iova, size);
    noted(share, iova, size);
    if (share.admitted && !toldWithout) {
      toldWithout = true;
      Broker.LOG.log(
          INFO,
          "%s: devices cannot reach 0x%x, nor other memory without a descriptor, such as registers"
                  .formatted(settings.name(), iova)
              + " of other devices");
    }
  }

  private void noted(Share share, long iova, long size) {
    Without without = new Without(size, journal.place());
    boolean done = false;
    try {
      journal.write(
          without.place,
          new Journal.Range(
              iova, size, 0, Optional.empty(), Journal.Reach.NEVER, List.of(share.index)));
      share.without.put(iova, without);
      done = true;
    } finally {
      if (!done) {
        writeIfPossible(() -> journal.clear(without.place));
      }
    }
  }

  private static VfioException exists(long iova, long size) {
    return new VfioException(
        Errno.EEXIST,
        Reason.MAPPING_EXISTS,
        "0x%x bytes at 0x%x overlap a mapping".formatted(size, iova));
  }

  private void checkFree(Share share, long iova, long size) {
    boolean other =
        overlapping(iova, size).stream().anyMatch(p -> p.holders.contains(share))
            || share.without.subMap(iova, true, iova + size - 1, true).size() > 0
            || Optional.ofNullable(share.without.floorEntry(iova))
                .filter(e -> Long.compareUnsigned(e.getKey() + e.getValue().size - 1, iova) >= 0)
                .isPresent();
    if (other) {
      throw exists(iova, size);
    }
  }

  private List<RamPiece> overlapping(long iova, long size) {
    List<RamPiece> found =
        new ArrayList<>(pieces.subMap(iova, true, iova + size - 1, true).values());
    Optional.ofNullable(pieces.lowerEntry(iova))
        .map(Map.Entry::getValue)
        .filter(p -> Long.compareUnsigned(p.last(), iova) >= 0)
        .ifPresent(found::add);
    return found;
  }

  private void map(Share share, RamFile.Range range, Descriptor file) {
    FileStatus status = RamFile.look(file);
    RamFile.Key key = RamFile.Key.of(status);
    RamPiece piece;
    boolean added;
    synchronized (this) {
      Optional<RamPiece> there = equal(range, key).filter(p -> p.holders.contains(share));
      if (there.isEmpty()) {
        checkFree(share, range.iova(), range.size());
        awaitRoom(share, range, key);
        there = equal(range, key);
      }
      piece = there.isPresent() ? there.get() : add(range, use(file, status, range));
      added = piece.holders.add(share);
    }
    boolean done = false;
    try {
      synchronized (this) {
        write(piece);
      }
      if (share.admitted) {
        pin(piece);
      }
      done = true;
    } finally {
      if (!done && added) {
        // What was refused is not there.
        leave(letGo(share, List.of(piece)));
      }
    }
  }

  private Optional<RamPiece> equal(RamFile.Range range, RamFile.Key key) {
    return Optional.ofNullable(pieces.get(range.iova()))
        .filter(p -> p.reach != Journal.Reach.LEAVING && p.equal(range, key));
  }

  /** Waits until nothing is in the way but what is equal. */
  private void awaitRoom(Share share, RamFile.Range range, RamFile.Key key) {
    long deadline = System.nanoTime() + SILENCE_NANOS;
    while (true) {
      List<RamPiece> others = new ArrayList<>(overlapping(range.iova(), range.size()));
      equal(range, key).ifPresent(others::remove);
      if (others.isEmpty()) {
        return;
      }
      long left = deadline - System.nanoTime();
      if (left > 0) {
        await(left);
      } else if (others.stream().allMatch(p -> p.holders.isEmpty())) {
        throw exists(range.iova(), range.size());
      } else {
        others.stream()
            .flatMap(p -> Set.copyOf(p.holders).stream())
            .filter(s -> s != share)
            .forEach(this::cutOff);
        deadline = System.nanoTime() + SILENCE_NANOS;
      }
    }
  }

  /** One wait, maybe for nothing: who calls asks again what it waits for. */
  @SuppressWarnings("WaitNotInLoop")
  private void await(long nanos) {
    try {
      wait(nanos / 1_000_000, (int) (nanos % 1_000_000));
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      throw new VfioException(Errno.EINTR, Reason.CONTAINER_STATE, "interrupted");
    }
  }

  /** A connection that does not unmap what the others of its VM have unmapped. */
  private void cutOff(Share silent) {
    // One that is not served yet has said nothing, and cannot be disconnected.
    silent.peer.ifPresent(
        peer -> {
          if (!silent.cutOff) {
            silent.cutOff = true;
            Broker.LOG.log(
                WARNING,
                "%s: %s has been silent while the VM's memory changed"
                    .formatted(settings.name(), peer.device()));
            peer.disconnect("silent while the memory of its VM changed");
          }
        });
  }

  private RamFile use(Descriptor file, FileStatus status, RamFile.Range range) {
    long mapped = pieces.values().stream().mapToLong(p -> p.size).sum();
    return files.use(file, status, range, mapped);
  }

  private RamPiece add(RamFile.Range range, RamFile file) {
    RamPiece piece = new RamPiece(range, file, journal.place());
    pieces.put(range.iova(), piece);
    return piece;
  }

  /** Has the devices reach it. Whoever else wants the same waits for how it ends. */
  private void pin(RamPiece piece) {
    synchronized (this) {
      while (piece.reach == Journal.Reach.PINNING) {
        await(SILENCE_NANOS);
      }
      if (piece.reach != Journal.Reach.NOTED) {
        return;
      }
      piece.reach = Journal.Reach.PINNING;
    }
    boolean mapped = false;
    boolean done = false;
    try {
      synchronized (this) {
        write(piece);
      }
      long at = piece.file.addressOf(piece.offset);
      container.map(process, at, piece.iova, piece.size, piece.prot);
      mapped = true;
      synchronized (this) {
        piece.reach = Journal.Reach.PINNED;
        write(piece);
      }
      done = true;
    } finally {
      boolean reached = done || (mapped && !unpinned(piece));
      synchronized (this) {
        piece.reach = reached ? Journal.Reach.PINNED : Journal.Reach.NOTED;
        if (!done) {
          writeIfPossible(() -> write(piece));
        }
        notifyAll();
      }
    }
  }

  /** Takes back what could not be written down; whether the devices reach it no longer. */
  private boolean unpinned(RamPiece piece) {
    try {
      container.unmap(process, piece.iova, piece.size);
      return true;
    } catch (VfioException refused) {
      Broker.LOG.log(ERROR, settings.name() + ": memory that was refused stays mapped", refused);
      return false;
    }
  }

  private long unmap(Share share, long iova, long size, int flags) {
    boolean all = (flags & ALL) != 0;
    checkUnmap(iova, size, all);
    long last = all ? -1 : iova + size - 1;
    List<RamPiece> leaving;
    long bytes;
    synchronized (this) {
      List<RamPiece> mine = held(share, all ? 0 : iova, last);
      NavigableMap<Long, Without> without = share.without.subMap(all ? 0L : iova, true, last, true);
      checkWhole(share, mine, iova, last, all);
      bytes = mine.stream().mapToLong(p -> p.size).sum();
      bytes += without.values().stream().mapToLong(Without::size).sum();
      without.values().forEach(w -> writeIfPossible(() -> journal.clear(w.place)));
      without.clear();
      leaving = letGo(share, mine);
    }
    leave(leaving);
    return bytes;
  }

  /** A connection takes ranges back; those of them that nobody holds now. */
  private synchronized List<RamPiece> letGo(Share share, List<RamPiece> ranges) {
    List<RamPiece> leaving = new ArrayList<>();
    for (RamPiece piece : ranges) {
      while (piece.reach == Journal.Reach.PINNING) {
        await(SILENCE_NANOS);
      }
      piece.holders.remove(share);
      if (piece.holders.isEmpty()) {
        leaving.add(piece);
      } else {
        writeIfPossible(() -> write(piece));
      }
    }
    notifyAll();
    return leaving;
  }

  /** As {@code vfio_dma_do_unmap} does: 0 bytes are not everything. */
  private static void checkUnmap(long iova, long size, boolean all) {
    boolean range =
        size != 0
            && ((iova | size) & 4095) == 0
            && Long.compareUnsigned(iova + size - 1, iova) >= 0;
    if (all ? (iova | size) != 0 : !range) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.BAD_ARGUMENT,
          "no range to unmap: 0x%x bytes at 0x%x%s".formatted(size, iova, all ? ", and all" : ""));
    }
  }

  private List<RamPiece> held(Share share, long first, long last) {
    return pieces.subMap(first, true, last, true).values().stream()
        .filter(p -> p.holders.contains(share))
        .toList();
  }

  /** A range that would be cut in two. */
  private void checkWhole(Share share, List<RamPiece> mine, long iova, long last, boolean all) {
    boolean cutAtEnd =
        mine.stream().anyMatch(p -> Long.compareUnsigned(p.last(), last) > 0)
            || tail(share, last).isPresent();
    boolean cutAtStart =
        Optional.ofNullable(pieces.lowerEntry(iova))
                .map(Map.Entry::getValue)
                .filter(p -> p.holders.contains(share))
                .filter(p -> Long.compareUnsigned(p.last(), iova) >= 0)
                .isPresent()
            || (iova != 0 && tail(share, iova - 1).isPresent());
    if (!all && (cutAtEnd || cutAtStart)) {
      throw new VfioException(
          Errno.EINVAL, Reason.MAPPING_BISECTED, "0x%x would cut a mapping in two".formatted(iova));
    }
  }

  private static Optional<Long> tail(Share share, long last) {
    return Optional.ofNullable(share.without.floorEntry(last))
        .filter(e -> Long.compareUnsigned(e.getKey() + e.getValue().size - 1, last) > 0)
        .map(Map.Entry::getKey);
  }

  /**
   * Nobody holds them any more: devices reach them no longer, then the memory goes. But for one
   * that somebody has announced again meanwhile.
   */
  private void leave(Collection<RamPiece> leaving) {
    for (RamPiece piece : leaving) {
      boolean pinned;
      synchronized (this) {
        while (piece.reach == Journal.Reach.PINNING) {
          await(SILENCE_NANOS);
        }
        if (!piece.holders.isEmpty()
            || piece.reach == Journal.Reach.LEAVING
            || !Optional.of(piece).equals(Optional.ofNullable(pieces.get(piece.iova)))) {
          continue;
        }
        pinned = piece.reach == Journal.Reach.PINNED;
        piece.reach = Journal.Reach.LEAVING;
        writeIfPossible(() -> write(piece));
      }
      boolean gone = false;
      try {
        if (pinned) {
          container.unmap(process, piece.iova, piece.size);
        }
        gone = true;
      } finally {
        synchronized (this) {
          if (gone) {
            pieces.remove(piece.iova, piece);
            writeIfPossible(() -> journal.clear(piece.place));
            files.release(piece.file);
          } else {
            piece.reach = Journal.Reach.PINNED;
            writeIfPossible(() -> write(piece));
            Broker.LOG.log(ERROR, settings.name() + ": memory that was taken back stays mapped");
          }
          notifyAll();
        }
      }
    }
  }

  private void admit(Share share, Peer peer) {
    List<RamPiece> mine;
    synchronized (this) {
      if (share.failure.isPresent()) {
        throw share.failure.get();
      }
      mine = held(share, 0, -1);
    }
    Admission.check(settings, peer.credentials(), mine);
    mine.forEach(this::pin);
  }
}
