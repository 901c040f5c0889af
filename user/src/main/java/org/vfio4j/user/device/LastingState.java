// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/**
 * What of a device outlives its process while its user stays: the model's registers and memory, and
 * beside them configuration space and the MSI-X table. Where nothing outlives it this keeps
 * nothing. Thread-safe.
 *
 * <p>Registers are written whole, by one {@code pwrite} within a page, which the death of the
 * process cannot cut in two. With them goes how much of the user's command they have in them
 * already, so that the process that does the command again leaves that out.
 */
public final class LastingState {
  /** Words of a model's registers at most: with what goes with them they are within a page. */
  public static final int MOST_WORDS = 500;

  /** Of a device whose state ends with this process. */
  static final LastingState NONE = new LastingState(Optional.empty(), 0);

  /** The number of the command, and how many writes of it are done. */
  private static final int MARK = 16;

  private final Optional<SessionFile> file;
  private final int words;
  private final MemorySegment record;
  private final MemorySegment bytes = Arena.ofAuto().allocate(SessionFile.PAGE, Long.BYTES);

  /** Who brings the user's commands; all others are threads of the device's. */
  private Optional<Thread> client = Optional.empty();

  private long command;
  private int writes;
  private long doneCommand;
  private int doneWrites;

  private LastingState(Optional<SessionFile> file, int words) {
    this.file = file;
    this.words = words;
    record = Arena.ofAuto().allocate(MARK + 8L * words, Long.BYTES);
  }

  /** In a file, as it is there. */
  static LastingState in(SessionFile file, int words) {
    LastingState state = new LastingState(Optional.of(file), words);
    file.read(state.record, file.registers());
    state.doneCommand = state.record.get(ValueLayout.JAVA_LONG, 0);
    state.doneWrites = state.record.get(ValueLayout.JAVA_INT, 8);
    return state;
  }

  /**
   * Writes the model's registers down.
   *
   * @param registers all {@link LastingModel#words} of them
   */
  public void write(long... registers) {
    file.ifPresent(f -> write(f, registers));
  }

  private synchronized void write(SessionFile to, long[] registers) {
    if (registers.length != words) {
      throw new IllegalArgumentException("%d words, not %d".formatted(registers.length, words));
    }
    if (client.filter(c -> c == Thread.currentThread()).isPresent()) {
      doneCommand = command;
      doneWrites = writes;
    }
    record.set(ValueLayout.JAVA_LONG, 0, doneCommand);
    record.set(ValueLayout.JAVA_INT, 8, doneWrites);
    MemorySegment.copy(registers, 0, record, ValueLayout.JAVA_LONG, MARK, words);
    to.write(record, to.registers());
  }

  /** The registers as they were written last; zeros before that. */
  public synchronized long[] read() {
    return record.asSlice(MARK).toArray(ValueLayout.JAVA_LONG);
  }

  /**
   * Writes some of the model's memory down.
   *
   * @param at where it is in {@link LastingModel#memory}, in bytes, as in {@code from}
   */
  public void writeMemory(byte[] from, int at, int count) {
    file.ifPresent(f -> store(f, from, at, count, f.memory()));
  }

  private synchronized void store(SessionFile to, byte[] from, int at, int count, long base) {
    for (int done = 0; done < count; ) {
      int some = Math.min(count - done, SessionFile.PAGE);
      MemorySegment.copy(from, at + done, bytes, ValueLayout.JAVA_BYTE, 0, some);
      to.write(bytes.asSlice(0, some), base + at + done);
      done += some;
    }
  }

  /** Reads all of the model's memory. */
  public void readMemory(byte[] to) {
    file.ifPresent(f -> load(f, to, f.memory()));
  }

  private synchronized void load(SessionFile of, byte[] to, long from) {
    for (int done = 0; done < to.length; ) {
      int some = Math.min(to.length - done, SessionFile.PAGE);
      of.read(bytes.asSlice(0, some), from + done);
      MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, 0, to, done, some);
      done += some;
    }
  }

  /**
   * The user's next command begins, or is done again by this process, on the thread that calls.
   *
   * @param number another for each, above zero
   */
  synchronized void command(long number) {
    client = Optional.of(Thread.currentThread());
    command = number;
    writes = 0;
  }

  /** The command writes a register; whether that is to be done, and was not before. */
  boolean begins() {
    return file.isEmpty() || beginsHere();
  }

  private synchronized boolean beginsHere() {
    writes++;
    return command != doneCommand || writes > doneWrites;
  }

  /** Some of configuration space has changed. */
  void writeConfig(EmulatedConfig config, int offset, int count) {
    file.ifPresent(f -> store(f, config.bytes(), offset, count, f.config()));
  }

  /** Configuration space as it was written. */
  void readConfig(EmulatedConfig config) {
    file.ifPresent(f -> load(f, config.bytes(), f.config()));
  }

  /** Some of the MSI-X table has changed. */
  void writeTable(byte[] table, int offset, int count) {
    file.ifPresent(f -> store(f, table, offset, count, f.table()));
  }

  /** The MSI-X table as it was written. */
  void readTable(byte[] table) {
    file.ifPresent(f -> load(f, table, f.table()));
  }
}
