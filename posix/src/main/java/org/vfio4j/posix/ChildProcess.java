// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A process that is started with descriptors, by systemd's protocol ({@link GivenDescriptors}).
 * Java's own {@link ProcessBuilder} closes all of them in its children.
 */
@SuppressWarnings("restricted")
public final class ChildProcess {
  private static final int FIRST = 3;

  /** Enough for {@code posix_spawn_file_actions_t} of any C library. */
  private static final int FILE_ACTIONS_SIZE = 512;

  /** Enough for {@code posix_spawnattr_t} and {@code sigset_t} of any C library. */
  private static final int ATTRIBUTES_SIZE = 512;

  private static final int SIGNALS_SIZE = 256;

  /** {@code POSIX_SPAWN_SETSIGDEF}, as glibc and musl number it. */
  private static final short SET_DEFAULT_SIGNALS = 4;

  /** Only the child itself knows its number. */
  private static final String NUMBERED = "LISTEN_PID=$$ exec \"$@\"";

  private static final MethodHandle SPAWN =
      function("posix_spawn", ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle ACTIONS = function("posix_spawn_file_actions_init", ADDRESS);
  private static final MethodHandle DUP2 =
      function("posix_spawn_file_actions_adddup2", ADDRESS, JAVA_INT, JAVA_INT);

  /** Of glibc 2.34 and newer: without it the child has what this process has not closed on exec. */
  private static final Optional<MethodHandle> CLOSE_FROM =
      Linker.nativeLinker()
          .defaultLookup()
          .find("posix_spawn_file_actions_addclosefrom_np")
          .map(f -> handle(f, ADDRESS, JAVA_INT));

  private static final MethodHandle END_ACTIONS =
      function("posix_spawn_file_actions_destroy", ADDRESS);
  private static final MethodHandle ATTRIBUTES = function("posix_spawnattr_init", ADDRESS);
  private static final MethodHandle SET_FLAGS =
      function("posix_spawnattr_setflags", ADDRESS, JAVA_SHORT);
  private static final MethodHandle SET_DEFAULT =
      function("posix_spawnattr_setsigdefault", ADDRESS, ADDRESS);
  private static final MethodHandle END_ATTRIBUTES = function("posix_spawnattr_destroy", ADDRESS);
  private static final MethodHandle NO_SIGNALS = function("sigemptyset", ADDRESS);
  private static final MethodHandle ADD_SIGNAL = function("sigaddset", ADDRESS, JAVA_INT);
  private static final MethodHandle WAITPID = function("waitpid", JAVA_INT, ADDRESS, JAVA_INT);
  private static final MethodHandle KILL = function("kill", JAVA_INT, JAVA_INT);

  private final int pid;

  private ChildProcess(int pid) {
    this.pid = pid;
  }

  private static MethodHandle function(String name, MemoryLayout... arguments) {
    return handle(Linker.nativeLinker().defaultLookup().findOrThrow(name), arguments);
  }

  private static MethodHandle handle(MemorySegment function, MemoryLayout... arguments) {
    return Linker.nativeLinker()
        .downcallHandle(function, FunctionDescriptor.of(JAVA_INT, arguments));
  }

  private static int call(MethodHandle function, Object... arguments) {
    try {
      return (int) function.invokeWithArguments(arguments);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable t) {
      throw new IllegalStateException(t);
    }
  }

  /**
   * Starts one, which {@link Signals#SIGINT} ends even where a shell has had this process ignore
   * it, as it does with what a script starts in the background.
   *
   * @param command looked for in the {@code PATH}; what cannot be started ends with status 126 or
   *     127, as of a shell
   * @param environment all of it
   * @param given by their names, which have no colon; the child has copies of them and no other
   *     descriptor of this process but 0, 1 and 2
   * @throws SystemCallException EAGAIN, ENOMEM, EMFILE
   */
  public static ChildProcess start(
      List<String> command, Map<String, String> environment, Map<String, Descriptor> given) {
    List<Descriptor> copies = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment actions = arena.allocate(FILE_ACTIONS_SIZE, 16);
      SystemCallException.check(-call(ACTIONS, actions), "posix_spawn_file_actions_init");
      try {
        int last = FIRST + given.size();
        int number = FIRST;
        for (Descriptor file : given.values()) {
          // Above all the numbers that the child gets, so that none is taken before it is copied.
          Descriptor copy = file.duplicateFrom(last);
          copies.add(copy);
          try (Descriptor.Use use = copy.use()) {
            SystemCallException.check(-call(DUP2, actions, use.number(), number++), "dup2");
          }
        }
        if (CLOSE_FROM.isPresent()) {
          SystemCallException.check(-call(CLOSE_FROM.get(), actions, last), "closefrom");
        }
        return spawn(arena, actions, command, environment, given);
      } finally {
        call(END_ACTIONS, actions);
      }
    } finally {
      copies.forEach(Descriptor::close);
    }
  }

  private static ChildProcess spawn(
      Arena arena,
      MemorySegment actions,
      List<String> command,
      Map<String, String> environment,
      Map<String, Descriptor> given) {
    List<String> words = new ArrayList<>(List.of("sh", "-c", NUMBERED, "sh"));
    words.addAll(command);
    List<String> variables = new ArrayList<>();
    environment.forEach((name, value) -> variables.add(name + "=" + value));
    variables.add("LISTEN_FDS=" + given.size());
    variables.add("LISTEN_FDNAMES=" + String.join(":", given.keySet()));
    MemorySegment pid = arena.allocate(JAVA_INT);
    MemorySegment attributes = arena.allocate(ATTRIBUTES_SIZE, 16);
    SystemCallException.check(-call(ATTRIBUTES, attributes), "posix_spawnattr_init");
    try {
      heedInterrupts(arena, attributes);
      int result =
          call(
              SPAWN,
              pid,
              arena.allocateFrom("/bin/sh"),
              actions,
              attributes,
              strings(arena, words),
              strings(arena, variables));
      SystemCallException.check(-result, "posix_spawn");
    } finally {
      call(END_ATTRIBUTES, attributes);
    }
    return new ChildProcess(pid.get(JAVA_INT, 0));
  }

  /** What is ignored is ignored by children too, and a JVM does not heed such a signal. */
  private static void heedInterrupts(Arena arena, MemorySegment attributes) {
    MemorySegment signals = arena.allocate(SIGNALS_SIZE, 16);
    call(NO_SIGNALS, signals);
    call(ADD_SIGNAL, signals, Signals.SIGINT);
    SystemCallException.check(
        -call(SET_DEFAULT, attributes, signals), "posix_spawnattr_setsigdefault");
    SystemCallException.check(
        -call(SET_FLAGS, attributes, SET_DEFAULT_SIGNALS), "posix_spawnattr_setflags");
  }

  private static MemorySegment strings(Arena arena, List<String> strings) {
    MemorySegment array = arena.allocate(ADDRESS, strings.size() + 1L);
    for (int n = 0; n < strings.size(); n++) {
      array.setAtIndex(ValueLayout.ADDRESS, n, arena.allocateFrom(strings.get(n)));
    }
    return array;
  }

  /** Its number. */
  public int pid() {
    return pid;
  }

  /**
   * Waits until it ends. To be called once.
   *
   * @return its exit status, or 128 and the signal that ended it
   */
  public int await() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment status = arena.allocate(JAVA_INT);
      // A signal to this process, which its other threads take, may end the call early.
      while (call(WAITPID, pid, status, 0) != pid) {
        if (!ProcessHandle.of(pid).isPresent()) {
          throw new IllegalStateException("process %d was waited for already".formatted(pid));
        }
      }
      int word = status.get(JAVA_INT, 0);
      int signal = word & 0x7f;
      return signal == 0 ? word >> 8 & 0xff : 128 + signal;
    }
  }

  /** Sends it a signal. One that has ended, and was not waited for, does not mind. */
  public void signal(int number) {
    call(KILL, pid, number);
  }
}
