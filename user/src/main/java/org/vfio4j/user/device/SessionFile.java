// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;

/**
 * What is known of a client of a device of ours, in a memfd: a head, the device's state, and a
 * record of fixed size for each vector and for each range of memory. Each change is one {@code
 * pwrite} at a place of its own, before it is acted on.
 *
 * <p>The head says which version wrote it, and which form the device's state has. Only the same is
 * gone on with; a later one is not touched.
 */
final class SessionFile implements AutoCloseable {
  /** Bytes that are written at once at most. */
  static final int PAGE = 4096;

  private static final int VERSION = 1;
  private static final long MAGIC = 0x6e6f697373657376L;
  private static final int LONGEST_WORD = 32;
  private static final int ENOSPC = 28;

  // Of the head.
  private static final int AT_VERSION = 8;
  private static final int AT_MODEL = 12;
  private static final int AT_WORDS = 16;
  private static final int AT_MEMORY = 20;
  private static final int AT_TABLE = 24;
  private static final int AT_VECTORS = 28;
  private static final int AT_DEVICE = 32;
  private static final int AT_AGREED = AT_DEVICE + LONGEST_WORD;
  private static final int AT_CONNECTION = AT_AGREED + 24;

  /** Written by itself, too. */
  private static final int AT_BEGUN = AT_CONNECTION + LONGEST_WORD;

  private static final int BEGUN = 24;

  // Of a vector.
  private static final int VECTOR = 8;
  private static final int AT_FLAGS = 4;

  // Of a range.
  private static final int RANGE = 64;
  private static final int AT_KIND = 0;
  private static final int AT_PROT = 4;
  private static final int AT_IOVA = 8;
  private static final int AT_SIZE = 16;
  private static final int AT_FILE = 24;
  private static final int AT_OFFSET = 32;
  private static final int AT_NUMBER = 40;
  private static final int MESSAGES = 1;
  private static final int FILE = 2;

  private final Descriptor file;
  private final Form form;

  /** Of the thread that serves the client alone. */
  private final MemorySegment scratch = Arena.ofAuto().allocate(PAGE, Long.BYTES);

  /** For vectors that are signalled. */
  private final MemorySegment flags = Arena.ofAuto().allocate(1);

  /**
   * What the device is, and how large its state.
   *
   * @param device its name
   * @param model the version of the model's state
   * @param words of the model's registers
   * @param memory bytes of the model's
   * @param table bytes of the MSI-X table
   * @param vectors of all interrupts together
   */
  record Form(String device, int model, int words, int memory, int table, int vectors) {}

  /**
   * A command that was begun, and whose client may not be answered.
   *
   * @param state {@link #NOTHING}, {@link #COMMAND} or {@link #STRAIGHT}
   * @param number of the command, counted by this side; of the last one if there is none
   */
  record Begun(int state, int id, int command, int errno, long number) {
    /** Everything is answered. */
    static final int NOTHING = 0;

    /** Its reply goes through the outbox. */
    static final int COMMAND = 1;

    /** Its reply does not: nobody knows whether it was sent, unless the command is there. */
    static final int STRAIGHT = 2;
  }

  /**
   * A range of the client's memory.
   *
   * @param place of its record
   * @param file the number of the file in the store; 0 for memory without a descriptor
   * @param number of the command that made it
   */
  record Range(int place, long iova, long size, int prot, int file, long offset, long number) {}

  /** A file that a later version has written. */
  static final class LaterException extends IllegalStateException {
    private static final long serialVersionUID = 1L;

    LaterException(int version) {
      super(
          ("a later version of this program has left a device of its own: its state is of version"
                  + " %d, and this one reads %d. Nothing was touched: start the later one again")
              .formatted(version, VERSION));
    }
  }

  private SessionFile(Descriptor file, Form form) {
    this.file = file;
    this.form = form;
  }

  /** A new one, with everything zero but its head. */
  static SessionFile create(SystemCalls calls, Form form, Agreed agreed, String connection) {
    SessionFile made = new SessionFile(Memfd.create(calls, "session", 0), form);
    boolean done = false;
    try {
      MemorySegment head = made.scratch;
      head.set(ValueLayout.JAVA_LONG, 0, MAGIC);
      int[] sizes = {
        VERSION, form.model, form.words, form.memory, form.table, form.vectors,
      };
      MemorySegment.copy(sizes, 0, head, ValueLayout.JAVA_INT, AT_VERSION, sizes.length);
      word(head, AT_DEVICE, form.device);
      int[] words = {
        agreed.minor(),
        agreed.descriptors(),
        agreed.maxTransfer(),
        agreed.maxMappings(),
        agreed.writeMultiple() ? 1 : 0
      };
      MemorySegment.copy(words, 0, head, ValueLayout.JAVA_INT, AT_AGREED, words.length);
      word(head, AT_CONNECTION, connection);
      SystemCallException.check(made.truncate(made.range(0)), "ftruncate of a session");
      made.write(head, 0);
      done = true;
      return made;
    } finally {
      if (!done) {
        made.close();
      }
    }
  }

  private int truncate(long length) {
    try (Descriptor.Use use = file.use()) {
      return file.calls().ftruncate(use.number(), length);
    }
  }

  private static void word(MemorySegment record, int at, String word) {
    byte[] bytes = word.getBytes(StandardCharsets.UTF_8);
    if (bytes.length > LONGEST_WORD) {
      throw new IllegalArgumentException("too long for a session: " + word);
    }
    MemorySegment.copy(bytes, 0, record, ValueLayout.JAVA_BYTE, at, bytes.length);
  }

  /**
   * The one that another process has left.
   *
   * @param file taken over, if this returns
   * @throws IllegalArgumentException if it is none, or not of this device
   * @throws LaterException if it is of a later version
   */
  static SessionFile open(Descriptor file, Form form) {
    SessionFile left = new SessionFile(file, form);
    left.check();
    MemorySegment head = left.scratch;
    Form was =
        new Form(
            word(head, AT_DEVICE),
            head.get(ValueLayout.JAVA_INT, AT_MODEL),
            head.get(ValueLayout.JAVA_INT, AT_WORDS),
            head.get(ValueLayout.JAVA_INT, AT_MEMORY),
            head.get(ValueLayout.JAVA_INT, AT_TABLE),
            head.get(ValueLayout.JAVA_INT, AT_VECTORS));
    if (!was.equals(form)) {
      throw new IllegalArgumentException("is of another device: %s, not %s".formatted(was, form));
    }
    return left;
  }

  /** Throws if a later version has written it; see {@link #open}. */
  static void checkVersion(Descriptor file) {
    new SessionFile(file, new Form("", 0, 0, 0, 0, 0)).check();
  }

  private void check() {
    if (FileStatus.of(file).length() < PAGE) {
      throw new IllegalArgumentException("is no session");
    }
    read(scratch, 0);
    int version = scratch.get(ValueLayout.JAVA_INT, AT_VERSION);
    if (scratch.get(ValueLayout.JAVA_LONG, 0) != MAGIC || version < 1) {
      throw new IllegalArgumentException("is no session");
    }
    if (version > VERSION) {
      throw new LaterException(version);
    }
  }

  private static String word(MemorySegment record, int at) {
    byte[] bytes = record.asSlice(at, LONGEST_WORD).toArray(ValueLayout.JAVA_BYTE);
    int length = 0;
    while (length < LONGEST_WORD && bytes[length] != 0) {
      length++;
    }
    return new String(bytes, 0, length, StandardCharsets.UTF_8);
  }

  /** The file, which stays this object's. */
  Descriptor file() {
    return file;
  }

  /** Where the model's registers are. */
  long registers() {
    return PAGE;
  }

  /** Where its memory is. */
  long memory() {
    return registers() + PAGE;
  }

  /** Where configuration space is. */
  long config() {
    return memory() + pages(form.memory);
  }

  /** Where the MSI-X table is. */
  long table() {
    return config() + PAGE;
  }

  private long vector(int n) {
    return table() + pages(form.table) + (long) n * VECTOR;
  }

  private long range(int place) {
    return vector(0) + pages(form.vectors * VECTOR) + (long) place * RANGE;
  }

  private static long pages(int bytes) {
    return (bytes + PAGE - 1L) & -PAGE;
  }

  /** Writes at a place. */
  void write(MemorySegment record, long at) {
    long written;
    try (Descriptor.Use use = file.use()) {
      written = file.calls().pwrite(use.number(), record, record.byteSize(), at);
    }
    SystemCallException.check((int) Math.min(written, 0), "write to a session");
    if (written != record.byteSize()) {
      throw new SystemCallException("write to a session", ENOSPC);
    }
  }

  /** Reads at a place: zeros where nothing was written. */
  void read(MemorySegment record, long at) {
    record.fill((byte) 0);
    long read;
    try (Descriptor.Use use = file.use()) {
      read = file.calls().pread(use.number(), record, record.byteSize(), at);
    }
    SystemCallException.check((int) Math.min(read, 0), "read of a session");
  }

  /** What was agreed on with the client. */
  Agreed agreed() {
    read(scratch, 0);
    return new Agreed(
        scratch.get(ValueLayout.JAVA_INT, AT_AGREED),
        scratch.get(ValueLayout.JAVA_INT, AT_AGREED + 4),
        scratch.get(ValueLayout.JAVA_INT, AT_AGREED + 8),
        scratch.get(ValueLayout.JAVA_INT, AT_AGREED + 12),
        scratch.get(ValueLayout.JAVA_INT, AT_AGREED + 16) != 0);
  }

  /** The name under which the client's connection is kept. */
  String connection() {
    read(scratch, 0);
    return word(scratch, AT_CONNECTION);
  }

  /** Writes what is begun. */
  void begun(Begun begun) {
    scratch.set(ValueLayout.JAVA_INT, 0, begun.state);
    scratch.set(ValueLayout.JAVA_INT, 4, begun.id);
    scratch.set(ValueLayout.JAVA_INT, 8, begun.command);
    scratch.set(ValueLayout.JAVA_INT, 12, begun.errno);
    scratch.set(ValueLayout.JAVA_LONG, 16, begun.number);
    write(scratch.asSlice(0, BEGUN), AT_BEGUN);
  }

  /** What is begun. */
  Begun begun() {
    read(scratch.asSlice(0, BEGUN), AT_BEGUN);
    return new Begun(
        scratch.get(ValueLayout.JAVA_INT, 0),
        scratch.get(ValueLayout.JAVA_INT, 4),
        scratch.get(ValueLayout.JAVA_INT, 8),
        scratch.get(ValueLayout.JAVA_INT, 12),
        scratch.get(ValueLayout.JAVA_LONG, 16));
  }

  /**
   * Writes which eventfds vectors have.
   *
   * @param numbers of the eventfds in the store, 0 for none
   */
  void eventFds(int first, List<Integer> numbers) {
    for (int n = 0; n < numbers.size(); n++) {
      scratch.set(ValueLayout.JAVA_INT, 0, numbers.get(n));
      write(scratch.asSlice(0, Integer.BYTES), vector(first + n));
    }
  }

  /** The number of a vector's eventfd in the store; 0 for none. */
  int eventFd(int n) {
    read(scratch.asSlice(0, VECTOR), vector(n));
    return scratch.get(ValueLayout.JAVA_INT, 0);
  }

  /** Writes what a vector holds back, and whether it is held. */
  void flags(int n, int value) {
    synchronized (flags) {
      flags.set(ValueLayout.JAVA_BYTE, 0, (byte) value);
      write(flags, vector(n) + AT_FLAGS);
    }
  }

  /** The same as it was written. */
  int flags(int n) {
    synchronized (flags) {
      read(flags, vector(n) + AT_FLAGS);
      return flags.get(ValueLayout.JAVA_BYTE, 0);
    }
  }

  /** Writes a range. */
  void range(Range range) {
    MemorySegment record = scratch.asSlice(0, RANGE).fill((byte) 0);
    record.set(ValueLayout.JAVA_INT, AT_KIND, range.file == 0 ? MESSAGES : FILE);
    record.set(ValueLayout.JAVA_INT, AT_PROT, range.prot);
    record.set(ValueLayout.JAVA_LONG, AT_IOVA, range.iova);
    record.set(ValueLayout.JAVA_LONG, AT_SIZE, range.size);
    record.set(ValueLayout.JAVA_INT, AT_FILE, range.file);
    record.set(ValueLayout.JAVA_LONG, AT_OFFSET, range.offset);
    record.set(ValueLayout.JAVA_LONG, AT_NUMBER, range.number);
    write(record, range(range.place));
  }

  /** A range is there no more. */
  void clear(int place) {
    write(scratch.asSlice(0, RANGE).fill((byte) 0), range(place));
  }

  /** All ranges. */
  List<Range> ranges() {
    List<Range> all = new ArrayList<>();
    long length = FileStatus.of(file).length();
    MemorySegment record = scratch.asSlice(0, RANGE);
    for (int place = 0; range(place) < length; place++) {
      read(record, range(place));
      if (record.get(ValueLayout.JAVA_INT, AT_KIND) != 0) {
        all.add(
            new Range(
                place,
                record.get(ValueLayout.JAVA_LONG, AT_IOVA),
                record.get(ValueLayout.JAVA_LONG, AT_SIZE),
                record.get(ValueLayout.JAVA_INT, AT_PROT),
                record.get(ValueLayout.JAVA_INT, AT_FILE),
                record.get(ValueLayout.JAVA_LONG, AT_OFFSET),
                record.get(ValueLayout.JAVA_LONG, AT_NUMBER)));
      }
    }
    return all;
  }

  @Override
  public void close() {
    file.close();
  }
}
