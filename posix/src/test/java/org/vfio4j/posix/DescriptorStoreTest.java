// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.posix.testing.OpenDescriptors;

/** Descriptors that outlive a process: who keeps them, and who is given them. */
class DescriptorStoreTest {
  private static final SystemCalls CALLS = SystemCalls.libc();

  @TempDir private Path folder;
  private Set<String> before = Set.of();

  @BeforeEach
  void count() throws Exception {
    before = OpenDescriptors.now();
  }

  @AfterEach
  void shouldLeaveNothingOpen() throws Exception {
    assertThat(OpenDescriptors.now()).isEqualTo(before);
  }

  private static Descriptor file(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    Descriptor file = Memfd.create(CALLS, "text", bytes.length);
    try (Arena arena = Arena.ofConfined();
        Descriptor.Use use = file.use()) {
      CALLS.pwrite(use.number(), arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes), bytes.length, 0);
    }
    return file;
  }

  private static String text(Descriptor file) {
    try (Arena arena = Arena.ofConfined();
        Descriptor.Use use = file.use()) {
      MemorySegment bytes = arena.allocate(256);
      long read = CALLS.pread(use.number(), bytes, 256, 0);
      return new String(
          bytes.asSlice(0, read).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
    }
  }

  private interface Use {
    void of(NotifyListener listener, NotifySocket socket) throws Exception;
  }

  private void withStore(int most, Use use) throws Exception {
    NotifyListener listener = NotifyListener.at(CALLS, folder.resolve("notify"));
    Thread reading = Thread.ofPlatform().start(listener::run);
    Map<String, String> environment =
        Map.of(
            NotifySocket.NOTIFY_SOCKET,
            listener.path().toString(),
            NotifySocket.FDSTORE,
            String.valueOf(most));
    try (listener;
        NotifySocket socket = NotifySocket.of(CALLS, environment).orElseThrow()) {
      use.of(listener, socket);
    }
    reading.join();
  }

  @Test
  void shouldKeepWhatIsSentUntilItIsForgotten() throws Exception {
    withStore(
        10,
        (listener, socket) -> {
          try (Descriptor one = file("one");
              Descriptor two = file("two")) {
            socket.keep("m1.1", one);
            socket.keep("m1.2", two);
          }
          socket.barrier();
          assertThat(listener.kept().keySet()).containsExactly("m1.1", "m1.2");
          assertThat(text(listener.kept().values().iterator().next())).isEqualTo("one");
          socket.forget("m1.1");
          assertThat(listener.kept().keySet()).containsExactly("m1.2");
          socket.forget("nothing");
        });
  }

  @Test
  void shouldForgetWhatIsClosedHere() throws Exception {
    withStore(
        10,
        (listener, socket) -> {
          Descriptor file = file("held");
          socket.hold("m1.1", file);
          file.close();
          assertThat(listener.kept()).isEmpty();
          KeptDescriptors left =
              new KeptDescriptors(socket, Map.of("a1", file("given"), "a2", file("rest")));
          assertThat(left.lasts()).isTrue();
          Descriptor taken = left.take("a1").orElseThrow();
          assertThat(text(taken)).isEqualTo("given");
          taken.close();
          left.closeRest();
        });
  }

  @Test
  void shouldRefuseMoreThanThereIsRoomForAndNamesThatAreNone() throws Exception {
    withStore(
        1,
        (listener, socket) -> {
          try (Descriptor file = file("one")) {
            socket.keep("a", file);
            assertThatExceptionOfType(SystemCallException.class)
                .isThrownBy(() -> socket.keep("b", file))
                .withMessageContaining("room for 1");
            for (String name : List.of("", "a:b", "a\nb", "a".repeat(17))) {
              assertThatIllegalArgumentException().isThrownBy(() -> socket.keep(name, file));
            }
          }
        });
  }

  @Test
  void shouldNotBeWhereNobodyKeepsAnything() {
    assertThat(NotifySocket.of(CALLS, Map.of())).isEmpty();
    assertThat(NotifySocket.of(CALLS, Map.of(NotifySocket.NOTIFY_SOCKET, "/nowhere"))).isEmpty();
  }

  /** What a child finds, told through a descriptor that it was given. */
  @Test
  void shouldGiveAChildItsDescriptorsAndNoOthers() {
    String script =
        "test \"$LISTEN_PID\" = $$ || exit 8; for n in 5 6 7 8 9 10 11 12; do"
            + " test ! -e /proc/$$/fd/$n || exit 9; done;"
            + " echo \"$LISTEN_FDS $LISTEN_FDNAMES $(cat <&4) $MARK\" >&3; exit 7";
    try (Descriptor answer = file("");
        Descriptor text = file("text")) {
      Map<String, Descriptor> given = new LinkedHashMap<>();
      given.put("out", answer);
      given.put("in", text);
      ChildProcess child =
          ChildProcess.start(
              List.of("sh", "-c", script),
              Map.of("PATH", System.getenv("PATH"), "MARK", "end"),
              given);
      assertThat(child.await()).isEqualTo(7);
      assertThat(text(answer)).isEqualTo("2 out:in text end\n");
    }
  }

  @Test
  void shouldTellBySignalOrThatThereIsNoSuchCommand() {
    Map<String, String> path = Map.of("PATH", System.getenv("PATH"));
    ChildProcess waits = ChildProcess.start(List.of("sleep", "1000"), path, Map.of());
    waits.signal(Signals.SIGTERM);
    assertThat(waits.await()).isEqualTo(128 + Signals.SIGTERM);
    assertThat(ChildProcess.start(List.of("/no/such/command"), path, Map.of()).await())
        .isEqualTo(127);
  }

  /** A shell has what a script starts in the background ignore Ctrl-C, and all that starts. */
  @Test
  @SuppressWarnings("restricted")
  void shouldStartWhatHeedsAnInterruptThatIsIgnoredHere() throws Throwable {
    Linker linker = Linker.nativeLinker();
    MethodHandle signal =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("signal"),
            FunctionDescriptor.of(ADDRESS, JAVA_INT, ADDRESS));
    MemorySegment ignored = MemorySegment.ofAddress(1);
    MemorySegment before = (MemorySegment) signal.invokeExact(Signals.SIGINT, ignored);
    // SIGINT is the second bit of what the kernel says.
    List<String> heeds = List.of("grep", "-q", "^SigIgn:.*[014589cd]$", "/proc/self/status");
    Map<String, String> path = Map.of("PATH", System.getenv("PATH"));
    try {
      assertThat(new ProcessBuilder(heeds).start().waitFor()).as("what Java starts").isEqualTo(1);
      assertThat(ChildProcess.start(heeds, path, Map.of()).await()).isZero();
    } finally {
      MemorySegment _ = (MemorySegment) signal.invokeExact(Signals.SIGINT, before);
    }
  }

  @Test
  void shouldTakeNothingThatIsAnotherProcess() {
    Map<String, String> environment =
        Map.of("LISTEN_PID", "1", "LISTEN_FDS", "1", "LISTEN_FDNAMES", "a");
    assertThat(GivenDescriptors.take(CALLS, environment, 2)).isEmpty();
    assertThat(GivenDescriptors.take(CALLS, Map.of(), 2)).isEmpty();
  }
}
