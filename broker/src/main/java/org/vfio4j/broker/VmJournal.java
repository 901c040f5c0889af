// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.user.device.Agreed;
import org.vfio4j.user.device.LeftReply;
import org.vfio4j.user.device.Pci;

/**
 * The journal of a VM in a memfd: a record of fixed size for each device and for each range of
 * memory, at a place of its own. A record is written by one {@code pwrite} within a page, which the
 * death of the process cannot cut in two; a crash of the machine ends its VMs too. So nothing is
 * appended, compacted or checked by sums, and a change costs one call whatever there is besides.
 *
 * <p>The head says which version wrote it and how large the records are: a later version adds
 * fields at their ends, and finds zeros there in an older one's. A journal of a later version is
 * not read.
 */
final class VmJournal implements AutoCloseable {
  /** Devices of a VM at most: the holders of a range are the bits of an int. */
  static final int MOST_DEVICES = 32;

  private static final int ENOSPC = 28;

  /** A page that cannot be had now may be there at once: what is given back cannot wait for it. */
  private static final int ATTEMPTS = 3;

  private static final int VERSION = 1;
  private static final long MAGIC = 0x6c6e72756a6f6676L;
  private static final int HEAD = 4096;
  private static final int LONGEST_NAME = HEAD - 64;
  private static final int DEVICE = 256;
  private static final int RANGE = 64;
  private static final int LONGEST_WORD = 32;

  // Of the head.
  private static final int AT_VERSION = 8;
  private static final int AT_DEVICE_SIZE = 12;
  private static final int AT_RANGE_SIZE = 16;
  private static final int AT_MEMORY = 24;

  /** When the process was alive still, on the clock that all processes of a machine have. */
  private static final int AT_BEAT = 32;

  private static final int AT_NAME = 40;

  // Of a device.
  private static final int AT_PHASE = 0;
  private static final int AT_WRAPPED = 4;
  private static final int AT_USED = 8;
  private static final int AT_GROUP = 12;
  private static final int AT_CLIENT = 16;
  private static final int AT_PID = 20;
  private static final int AT_STARTED = 24;
  private static final int AT_ADMITTED = 32;
  private static final int ADMITTED = 1;
  private static final int FAILED = 2;
  private static final int AT_AGREED = 36;
  private static final int AT_VECTORS = 56;

  /** Written by itself, too: id, number and errno, 0 for none. */
  private static final int AT_REPLY = 80;

  private static final int REPLY = 16;
  private static final int AT_ADDRESS = AT_REPLY + REPLY;
  private static final int AT_CONTAINER = AT_ADDRESS + LONGEST_WORD;
  private static final int AT_CONNECTION = AT_CONTAINER + LONGEST_WORD;

  // Of a range.
  private static final int AT_REACH = 0;
  private static final int AT_ACCESS = 4;
  private static final int AT_HOLDERS = 8;
  private static final int AT_WRITABLE = 12;
  private static final int AT_IOVA = 16;
  private static final int AT_SIZE = 24;
  private static final int AT_FILE = 32;

  private final Descriptor file;
  private final MemorySegment device = Arena.ofAuto().allocate(DEVICE, Long.BYTES);
  private final MemorySegment range = Arena.ofAuto().allocate(RANGE, Long.BYTES);

  private final MemorySegment beat = Arena.ofAuto().allocate(Long.BYTES, Long.BYTES);

  /** Places of ranges that are taken. */
  private final BitSet ranges = new BitSet();

  /** A journal that this version cannot read. */
  static final class LaterException extends IllegalStateException {
    private static final long serialVersionUID = 1L;

    LaterException(String message) {
      super(message);
    }
  }

  private VmJournal(Descriptor file) {
    this.file = file;
  }

  /**
   * An empty one.
   *
   * @throws IllegalArgumentException if the name is longer than a page
   */
  static VmJournal create(SystemCalls calls, String name, long memory) {
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    if (bytes.length > LONGEST_NAME) {
      throw new IllegalArgumentException("the name of a VM has %d bytes".formatted(bytes.length));
    }
    Descriptor file = Memfd.create(calls, "journal", HEAD + MOST_DEVICES * DEVICE);
    boolean done = false;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment head = arena.allocate(HEAD, Long.BYTES);
      head.set(ValueLayout.JAVA_LONG, 0, MAGIC);
      head.set(ValueLayout.JAVA_INT, AT_VERSION, VERSION);
      head.set(ValueLayout.JAVA_INT, AT_DEVICE_SIZE, DEVICE);
      head.set(ValueLayout.JAVA_INT, AT_RANGE_SIZE, RANGE);
      head.set(ValueLayout.JAVA_LONG, AT_MEMORY, memory);
      word(head, AT_NAME, name);
      head.set(ValueLayout.JAVA_LONG, AT_BEAT, System.nanoTime());
      VmJournal journal = new VmJournal(file);
      journal.write(head, 0);
      done = true;
      return journal;
    } finally {
      if (!done) {
        file.close();
      }
    }
  }

  /** The file, which stays this object's. */
  Descriptor file() {
    return file;
  }

  private void write(MemorySegment record, long at) {
    long written = 0;
    try (Descriptor.Use use = file.use()) {
      for (int attempt = 0; attempt < ATTEMPTS && written != record.byteSize(); attempt++) {
        written = file.calls().pwrite(use.number(), record, record.byteSize(), at);
      }
    }
    SystemCallException.check((int) Math.min(written, 0), "write to the journal");
    if (written != record.byteSize()) {
      throw new SystemCallException("write to the journal", ENOSPC);
    }
  }

  private static void word(MemorySegment record, int at, String word) {
    byte[] bytes = word.getBytes(StandardCharsets.UTF_8);
    if (at != AT_NAME && bytes.length > LONGEST_WORD) {
      throw new IllegalArgumentException("too long for a journal: " + word);
    }
    MemorySegment.copy(bytes, 0, record, ValueLayout.JAVA_BYTE, at, bytes.length);
  }

  /** Writes what is known of a device. */
  synchronized void write(Journal.OfDevice of) {
    device.fill((byte) 0);
    device.set(ValueLayout.JAVA_INT, AT_PHASE, of.phase().ordinal() + 1);
    device.set(ValueLayout.JAVA_INT, AT_WRAPPED, of.wrapped() ? 1 : 0);
    device.set(ValueLayout.JAVA_INT, AT_USED, of.used() ? 1 : 0);
    device.set(ValueLayout.JAVA_INT, AT_GROUP, of.group().orElse(-1));
    word(device, AT_ADDRESS, of.address());
    word(device, AT_CONTAINER, of.container());
    if (of.client().isPresent()) {
      Journal.OfClient client = of.client().get();
      device.set(ValueLayout.JAVA_INT, AT_CLIENT, 1);
      device.set(ValueLayout.JAVA_INT, AT_PID, client.pid());
      device.set(ValueLayout.JAVA_LONG, AT_STARTED, client.started());
      device.set(
          ValueLayout.JAVA_INT,
          AT_ADMITTED,
          (client.admitted() ? ADMITTED : 0) | (client.failed() ? FAILED : 0));
      Agreed agreed = client.agreed();
      int[] words = {
        agreed.minor(),
        agreed.descriptors(),
        agreed.maxTransfer(),
        agreed.maxMappings(),
        agreed.writeMultiple() ? 1 : 0
      };
      MemorySegment.copy(words, 0, device, ValueLayout.JAVA_INT, AT_AGREED, words.length);
      for (int n = 0; n < client.vectors().size(); n++) {
        device.set(ValueLayout.JAVA_INT, AT_VECTORS + 4L * n, client.vectors().get(n));
      }
      word(device, AT_CONNECTION, client.connection());
      client.reply().ifPresent(reply -> put(device, AT_REPLY, reply));
    }
    write(device, HEAD + (long) of.place() * DEVICE);
  }

  /** A device is the VM's no more. */
  synchronized void remove(int place) {
    device.fill((byte) 0);
    write(device, HEAD + (long) place * DEVICE);
  }

  private static void put(MemorySegment record, int at, LeftReply reply) {
    record.set(ValueLayout.JAVA_INT, at, reply.early() ? 2 : 1);
    record.set(ValueLayout.JAVA_INT, at + 4L, reply.id());
    record.set(ValueLayout.JAVA_INT, at + 8L, reply.command());
    record.set(ValueLayout.JAVA_INT, at + 12L, reply.errno());
  }

  /** Writes what a device's client is about to be answered; empty when it has been. */
  synchronized void write(int index, Optional<LeftReply> reply) {
    MemorySegment only = device.asSlice(0, REPLY).fill((byte) 0);
    reply.ifPresent(r -> put(only, 0, r));
    write(only, HEAD + (long) index * DEVICE + AT_REPLY);
  }

  /**
   * The process lives.
   *
   * @param now of {@link System#nanoTime}, which on Linux is one clock for all processes
   */
  void beat(long now) {
    synchronized (beat) {
      beat.set(ValueLayout.JAVA_LONG, 0, now);
      write(beat, AT_BEAT);
    }
  }

  /** Takes a place for a range, which is empty until it is written. */
  int place() {
    int place = ranges.nextClearBit(0);
    ranges.set(place);
    return place;
  }

  /** Writes what is known of a range. The lock of {@link VmMemory} covers the ranges. */
  void write(int place, Journal.Range of) {
    range.fill((byte) 0);
    range.set(ValueLayout.JAVA_INT, AT_REACH, of.reach().ordinal() + 1);
    range.set(ValueLayout.JAVA_INT, AT_ACCESS, of.access());
    int bits = 0;
    for (int holder : of.holders()) {
      bits |= 1 << holder;
    }
    range.set(ValueLayout.JAVA_INT, AT_HOLDERS, bits);
    range.set(ValueLayout.JAVA_LONG, AT_IOVA, of.iova());
    range.set(ValueLayout.JAVA_LONG, AT_SIZE, of.size());
    if (of.memory().isPresent()) {
      Journal.OfFile memory = of.memory().get();
      range.set(ValueLayout.JAVA_INT, AT_WRITABLE, memory.writable() ? 1 : 0);
      range.set(ValueLayout.JAVA_LONG, AT_FILE, memory.device());
      range.set(ValueLayout.JAVA_LONG, AT_FILE + 8, memory.inode());
      range.set(ValueLayout.JAVA_LONG, AT_FILE + 16, memory.offset());
    }
    write(range, at(place));
  }

  private static long at(int place) {
    return HEAD + MOST_DEVICES * DEVICE + (long) place * RANGE;
  }

  /** Nothing is known of a range any more. */
  void clear(int place) {
    range.fill((byte) 0);
    try {
      write(range, at(place));
    } finally {
      ranges.clear(place);
    }
  }

  /**
   * Reads one.
   *
   * @throws IllegalArgumentException if it is none, or damaged
   * @throws LaterException if it is of a later version
   */
  static Journal.OfVm read(Descriptor file) {
    long length = FileStatus.of(file).length();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment all = arena.allocate(Math.max(length, HEAD), Long.BYTES);
      long read = 0;
      try (Descriptor.Use use = file.use()) {
        long more;
        do {
          more = file.calls().pread(use.number(), all.asSlice(read), length - read, read);
          read += Math.max(more, 0);
        } while (more > 0 && read < length);
      }
      if (read != length || all.get(ValueLayout.JAVA_LONG, 0) != MAGIC) {
        throw new IllegalArgumentException("is no journal");
      }
      int version = all.get(ValueLayout.JAVA_INT, AT_VERSION);
      if (version > VERSION) {
        throw new LaterException(
            ("a later version of this program has left its VMs: their journal is of version %d, and"
                    + " this one reads up to %d. Nothing was touched: start the later one again")
                .formatted(version, VERSION));
      }
      try {
        return read(all);
      } catch (IndexOutOfBoundsException e) {
        throw new IllegalArgumentException("is a damaged journal: " + e.getMessage(), e);
      }
    }
  }

  private static Journal.OfVm read(MemorySegment all) {
    int deviceSize = size(all, AT_DEVICE_SIZE);
    int rangeSize = size(all, AT_RANGE_SIZE);
    MemorySegment record = Arena.ofAuto().allocate(Math.max(DEVICE, RANGE), Long.BYTES);
    List<Journal.OfDevice> devices = new ArrayList<>();
    for (int n = 0; n < MOST_DEVICES; n++) {
      copy(all, HEAD + (long) n * deviceSize, deviceSize, record);
      if (record.get(ValueLayout.JAVA_INT, AT_PHASE) != 0) {
        devices.add(device(n, record));
      }
    }
    List<Journal.Range> ranges = new ArrayList<>();
    long first = HEAD + (long) MOST_DEVICES * deviceSize;
    for (long at = first; at + rangeSize <= all.byteSize(); at += rangeSize) {
      copy(all, at, rangeSize, record);
      if (record.get(ValueLayout.JAVA_INT, AT_REACH) != 0) {
        ranges.add(range(record));
      }
    }
    ranges.sort(Comparator.comparing(Journal.Range::iova, Long::compareUnsigned));
    long memory = all.get(ValueLayout.JAVA_LONG, AT_MEMORY);
    return new Journal.OfVm(
        word(all, AT_NAME, LONGEST_NAME),
        memory,
        all.get(ValueLayout.JAVA_LONG, AT_BEAT),
        ranges,
        devices);
  }

  /** Bytes of a record as the version that wrote it had them. */
  private static int size(MemorySegment head, int at) {
    int size = head.get(ValueLayout.JAVA_INT, at);
    if (size < Long.BYTES || size > HEAD) {
      throw new IllegalArgumentException(
          "is a damaged journal: records of %d bytes".formatted(size));
    }
    return size;
  }

  /** What an earlier version did not write is zero. */
  private static void copy(MemorySegment all, long at, int size, MemorySegment record) {
    record.fill((byte) 0);
    MemorySegment.copy(all, at, record, 0, Math.min(size, record.byteSize()));
  }

  private static String word(MemorySegment record, int at, int most) {
    byte[] bytes = record.asSlice(at, most).toArray(ValueLayout.JAVA_BYTE);
    int length = 0;
    while (length < most && bytes[length] != 0) {
      length++;
    }
    return new String(bytes, 0, length, StandardCharsets.UTF_8);
  }

  private static Journal.OfDevice device(int place, MemorySegment record) {
    int group = record.get(ValueLayout.JAVA_INT, AT_GROUP);
    boolean client = record.get(ValueLayout.JAVA_INT, AT_CLIENT) != 0;
    return new Journal.OfDevice(
        place,
        word(record, AT_ADDRESS, LONGEST_WORD),
        record.get(ValueLayout.JAVA_INT, AT_WRAPPED) != 0,
        record.get(ValueLayout.JAVA_INT, AT_USED) != 0,
        BrokerState.Phase.values()[record.get(ValueLayout.JAVA_INT, AT_PHASE) - 1],
        group < 0 ? OptionalInt.empty() : OptionalInt.of(group),
        word(record, AT_CONTAINER, LONGEST_WORD),
        client ? Optional.of(client(record)) : Optional.empty());
  }

  private static Journal.OfClient client(MemorySegment record) {
    Agreed agreed =
        new Agreed(
            record.get(ValueLayout.JAVA_INT, AT_AGREED),
            record.get(ValueLayout.JAVA_INT, AT_AGREED + 4),
            record.get(ValueLayout.JAVA_INT, AT_AGREED + 8),
            record.get(ValueLayout.JAVA_INT, AT_AGREED + 12),
            record.get(ValueLayout.JAVA_INT, AT_AGREED + 16) != 0);
    List<Integer> vectors = new ArrayList<>();
    for (int n = 0; n < Pci.IRQS; n++) {
      vectors.add(record.get(ValueLayout.JAVA_INT, AT_VECTORS + 4L * n));
    }
    Optional<LeftReply> reply =
        record.get(ValueLayout.JAVA_INT, AT_REPLY) == 0
            ? Optional.empty()
            : Optional.of(
                new LeftReply(
                    record.get(ValueLayout.JAVA_INT, AT_REPLY + 4),
                    record.get(ValueLayout.JAVA_INT, AT_REPLY + 8),
                    record.get(ValueLayout.JAVA_INT, AT_REPLY + 12),
                    record.get(ValueLayout.JAVA_INT, AT_REPLY) == 2));
    return new Journal.OfClient(
        word(record, AT_CONNECTION, LONGEST_WORD),
        record.get(ValueLayout.JAVA_INT, AT_PID),
        record.get(ValueLayout.JAVA_LONG, AT_STARTED),
        (record.get(ValueLayout.JAVA_INT, AT_ADMITTED) & ADMITTED) != 0,
        (record.get(ValueLayout.JAVA_INT, AT_ADMITTED) & FAILED) != 0,
        agreed,
        vectors,
        reply);
  }

  private static Journal.Range range(MemorySegment record) {
    Journal.Reach reach = Journal.Reach.values()[record.get(ValueLayout.JAVA_INT, AT_REACH) - 1];
    Optional<Journal.OfFile> memory =
        reach == Journal.Reach.NEVER
            ? Optional.empty()
            : Optional.of(
                new Journal.OfFile(
                    record.get(ValueLayout.JAVA_LONG, AT_FILE),
                    record.get(ValueLayout.JAVA_LONG, AT_FILE + 8),
                    record.get(ValueLayout.JAVA_INT, AT_WRITABLE) != 0,
                    record.get(ValueLayout.JAVA_LONG, AT_FILE + 16)));
    int bits = record.get(ValueLayout.JAVA_INT, AT_HOLDERS);
    List<Integer> holders = new ArrayList<>();
    for (int n = 0; n < MOST_DEVICES; n++) {
      if ((bits & 1 << n) != 0) {
        holders.add(n);
      }
    }
    return new Journal.Range(
        record.get(ValueLayout.JAVA_LONG, AT_IOVA),
        record.get(ValueLayout.JAVA_LONG, AT_SIZE),
        record.get(ValueLayout.JAVA_INT, AT_ACCESS),
        memory,
        reach,
        holders);
  }

  @Override
  public void close() {
    file.close();
  }
}
