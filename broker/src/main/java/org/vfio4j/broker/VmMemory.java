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
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.iommu.ProcessMemory;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.posix.SystemCalls;
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
  private final SystemCalls calls;
  private final AddressSpace process = ProcessMemory.create();
  private final NavigableMap<Long, RamPiece> pieces = new TreeMap<>(Long::compareUnsigned);
  private final Map<RamFile.Key, RamFile> files = new HashMap<>();
  private final Set<Share> shares = ConcurrentHashMap.newKeySet();

  /** It is said once for a VM: each of its connections announces the same. */
  private boolean toldWithout;

  VmMemory(VmSettings settings, Container container, SystemCalls calls) {
    this.settings = settings;
    this.container = container;
    this.calls = calls;
  }

  /** What one connection has announced. Its calls come from one thread. */
  final class Share implements AutoCloseable {
    private final String address;
    private final Peer peer;

    /** What came without a descriptor: no device can reach it. */
    private final NavigableMap<Long, Long> without = new TreeMap<>(Long::compareUnsigned);

    private Optional<VfioException> failure = Optional.empty();
    private boolean admitted;
    private boolean cutOff;

    private Share(String address, Peer peer) {
      this.address = address;
      this.peer = peer;
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
              VmMemory.this.map(this, iova, size, prot, file, offset);
        }
      } catch (VfioException refused) {
        failure = failure.or(() -> Optional.of(refused));
        throw refused;
      }
    }

    /** Takes ranges back; see {@link Container#unmap}. Bytes that this connection had there. */
    long unmap(long iova, long size, int flags) {
      return VmMemory.this.unmap(this, iova, size, flags);
    }

    /**
     * Everything that the VM starts with has come: pins it, or refuses the VM.
     *
     * @throws VfioException with a sentence that says what to change
     */
    void admit() {
      if (!admitted) {
        VmMemory.this.admit(this);
        admitted = true;
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
      shares.remove(this);
    }
  }

  /** The connection of a device, which has announced nothing yet. */
  Share join(String address, Peer peer) {
    Share share = new Share(address, peer);
    shares.add(share);
    return share;
  }

  /** What all of them have announced, in the order of addresses. */
  synchronized List<Journal.Range> journal() {
    List<Journal.Range> ranges = new ArrayList<>();
    for (RamPiece piece : pieces.values()) {
      RamFile.Key key = piece.file.key;
      ranges.add(
          new Journal.Range(
              piece.iova,
              piece.size,
              piece.prot,
              Optional.of(new Journal.OfFile(key.device(), key.inode(), piece.offset)),
              piece.state == RamPiece.State.PINNED,
              addresses(piece.holders.stream())));
    }
    for (Share share : shares) {
      share.without.forEach(
          (iova, size) -> {
            List<String> holders =
                addresses(shares.stream().filter(s -> size.equals(s.without.get(iova))));
            if (holders.getFirst().equals(share.address)) {
              ranges.add(new Journal.Range(iova, size, 0, Optional.empty(), false, holders));
            }
          });
    }
    ranges.sort((a, b) -> Long.compareUnsigned(a.iova(), b.iova()));
    return ranges;
  }

  private static List<String> addresses(Stream<Share> shares) {
    return shares.map(s -> s.address).sorted().toList();
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
    checkFree(share, iova, size);
    share.without.put(iova, size);
    if (share.admitted && !toldWithout) {
      toldWithout = true;
      Broker.LOG.log(
          INFO,
          "%s: devices cannot reach 0x%x, nor other memory without a descriptor, such as registers"
                  .formatted(settings.name(), iova)
              + " of other devices");
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
                .filter(e -> Long.compareUnsigned(e.getKey() + e.getValue() - 1, iova) >= 0)
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

  private void map(Share share, long iova, long size, int prot, Descriptor file, long offset) {
    FileStatus status = RamFile.look(file);
    RamFile.Key key = RamFile.Key.of(status);
    RamPiece piece;
    synchronized (this) {
      if (same(share, iova, size, prot, key, offset)) {
        return;
      }
      checkFree(share, iova, size);
      awaitRoom(share, iova, size, prot, key, offset);
      Optional<RamPiece> there = equal(iova, size, prot, key, offset);
      piece =
          there.isPresent() ? there.get() : add(iova, size, prot, open(file, status, size), offset);
      piece.holders.add(share);
    }
    if (share.admitted) {
      pin(piece);
    }
  }

  private boolean same(Share share, long iova, long size, int prot, RamFile.Key key, long offset) {
    return equal(iova, size, prot, key, offset).filter(p -> p.holders.contains(share)).isPresent();
  }

  private Optional<RamPiece> equal(long iova, long size, int prot, RamFile.Key key, long offset) {
    return Optional.ofNullable(pieces.get(iova))
        .filter(p -> p.state != RamPiece.State.LEAVING && p.equal(iova, size, prot, key, offset));
  }

  /** Waits until nothing is in the way but what is equal. */
  private void awaitRoom(
      Share share, long iova, long size, int prot, RamFile.Key key, long offset) {
    long deadline = System.nanoTime() + SILENCE_NANOS;
    while (true) {
      List<RamPiece> others = new ArrayList<>(overlapping(iova, size));
      equal(iova, size, prot, key, offset).ifPresent(others::remove);
      if (others.isEmpty()) {
        return;
      }
      long left = deadline - System.nanoTime();
      if (left > 0) {
        await(left);
      } else if (others.stream().allMatch(p -> p.holders.isEmpty())) {
        throw exists(iova, size);
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
    if (!silent.cutOff) {
      silent.cutOff = true;
      Broker.LOG.log(
          WARNING,
          "%s: %s has been silent while the VM's memory changed"
              .formatted(settings.name(), silent.peer.device()));
      silent.peer.disconnect("silent while the memory of its VM changed");
    }
  }

  private RamFile open(Descriptor file, FileStatus status, long size) {
    long mapped = pieces.values().stream().mapToLong(p -> p.size).sum();
    if (mapped + size > settings.memory()
        || status.length() > settings.memory() + Admission.SLACK) {
      throw new VfioException(
          Errno.ENOMEM,
          Reason.LOCKED_MEMORY,
          "the VM has more memory than the %d MiB that it is to have: give it no more, or say so"
              .formatted(settings.memory() >> 20));
    }
    RamFile there = files.get(RamFile.Key.of(status));
    return there != null ? there : RamFile.map(calls, file, status);
  }

  private RamPiece add(long iova, long size, int prot, RamFile file, long offset) {
    boolean inside = offset >= 0 && (offset & 4095) == 0 && size <= file.length() - offset;
    boolean allowed = file.key.writable() || (prot & Container.MAP_WRITE) == 0;
    if (!inside || !allowed) {
      if (!files.containsKey(file.key)) {
        file.close();
      }
      throw inside
          ? new VfioException(
              Errno.EACCES, Reason.BAD_DESCRIPTOR, "memory to write to came read-only")
          : new VfioException(
              Errno.EINVAL,
              Reason.BAD_ADDRESS,
              "0x%x bytes at 0x%x are not in a file of 0x%x"
                  .formatted(size, offset, file.length()));
    }
    files.putIfAbsent(file.key, file);
    file.use();
    RamPiece piece = new RamPiece(iova, size, prot, file, offset);
    pieces.put(iova, piece);
    return piece;
  }

  /** Has the devices reach it. Whoever else wants the same waits for how it ends. */
  private void pin(RamPiece piece) {
    synchronized (this) {
      while (piece.state == RamPiece.State.PINNING) {
        await(SILENCE_NANOS);
      }
      if (piece.state != RamPiece.State.NOTED) {
        return;
      }
      piece.state = RamPiece.State.PINNING;
    }
    RamPiece.State then = RamPiece.State.NOTED;
    try {
      long at = piece.file.addressOf(piece.offset);
      container.map(process, at, piece.iova, piece.size, piece.prot);
      then = RamPiece.State.PINNED;
    } finally {
      synchronized (this) {
        piece.state = then;
        notifyAll();
      }
    }
  }

  private long unmap(Share share, long iova, long size, int flags) {
    boolean all = (flags & ALL) != 0;
    long last = all ? -1 : iova + size - 1;
    List<RamPiece> leaving = new ArrayList<>();
    long bytes;
    synchronized (this) {
      List<RamPiece> mine = held(share, all ? 0 : iova, last);
      NavigableMap<Long, Long> without = share.without.subMap(all ? 0L : iova, true, last, true);
      checkWhole(share, mine, iova, last, all);
      bytes = mine.stream().mapToLong(p -> p.size).sum();
      bytes += without.values().stream().mapToLong(Long::longValue).sum();
      without.clear();
      for (RamPiece piece : mine) {
        while (piece.state == RamPiece.State.PINNING) {
          await(SILENCE_NANOS);
        }
        piece.holders.remove(share);
        if (piece.holders.isEmpty()) {
          leaving.add(piece);
        }
      }
      notifyAll();
    }
    leave(leaving);
    return bytes;
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
        .filter(e -> Long.compareUnsigned(e.getKey() + e.getValue() - 1, last) > 0)
        .map(Map.Entry::getKey);
  }

  /** Nobody holds them any more: devices reach them no longer, then the memory goes. */
  private void leave(Collection<RamPiece> leaving) {
    for (RamPiece piece : leaving) {
      boolean pinned;
      synchronized (this) {
        pinned = piece.state == RamPiece.State.PINNED;
        piece.state = RamPiece.State.LEAVING;
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
            release(piece.file);
          } else {
            piece.state = RamPiece.State.PINNED;
            Broker.LOG.log(ERROR, settings.name() + ": memory that was taken back stays mapped");
          }
          notifyAll();
        }
      }
    }
  }

  private void release(RamFile file) {
    if (file.unuse()) {
      files.remove(file.key, file);
      file.close();
    }
  }

  private void admit(Share share) {
    List<RamPiece> mine;
    synchronized (this) {
      if (share.failure.isPresent()) {
        throw share.failure.get();
      }
      mine = held(share, 0, -1);
    }
    Admission.check(settings, share.peer.credentials(), mine);
    mine.forEach(this::pin);
  }
}
