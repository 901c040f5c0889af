// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.UnixSocket;

class ServeCommandTest {
  @TempDir Path folder;

  @Test
  void shouldServeOneClientAfterTheOther() throws Exception {
    Path socket = folder.resolve("x.sock");
    try (RunningCommand running = new RunningCommand("serve", "ioat", "--socket", socket)) {
      running.await("Ctrl-C");
      assertThat(running.out())
          .contains("8086:2021", socket.toString())
          .contains("memory-backend-memfd,id=mem,size=1G,share=on")
          .contains(
              "-device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"path\":\"%s\",\"type\":\"unix\"}}'"
                  .formatted(socket));
      assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)))
          .isEqualTo("rw-------");
      for (int n = 1; n <= 2; n++) {
        int count = n;
        UnixSocket.connect(SystemCalls.libc(), socket).close();
        RunningCommand.until(
            "client " + n, () -> running.out().split("\nleft: ", -1).length == count + 1);
      }
      assertThat(running.out()).contains("connected: process " + ProcessHandle.current().pid());
    }
    assertThat(socket).doesNotExist();
  }

  @Test
  void shouldLogWhoComesWithDeviceAndVmAsFields() throws Exception {
    Path socket = folder.resolve("x.sock");
    ByteArrayOutputStream log = new ByteArrayOutputStream();
    PrintStream before = System.err;
    System.setErr(new PrintStream(log, true, StandardCharsets.UTF_8));
    try (RunningCommand running = new RunningCommand("serve", "ioat", "--socket", socket)) {
      running.await("Ctrl-C");
      UnixSocket.connect(SystemCalls.libc(), socket).close();
      running.await("\nleft: ");
    } finally {
      System.setErr(before);
    }
    assertThat(log.toString(StandardCharsets.UTF_8))
        .contains("device=ioat", "vm=" + ProcessHandle.current().pid(), "connected");
  }

  @Test
  void shouldSayWhoWaitsForWhom() throws Exception {
    Path socket = folder.resolve("x.sock");
    try (RunningCommand running = new RunningCommand("serve", "ioat", "--socket", socket)) {
      running.await("Ctrl-C");
      long me = ProcessHandle.current().pid();
      UnixSocket first = UnixSocket.connect(SystemCalls.libc(), socket);
      running.await("connected: process " + me);
      try (UnixSocket _ = UnixSocket.connect(SystemCalls.libc(), socket)) {
        running.await("waiting: process " + me);
        running.await(": process %d comes first\n".formatted(me));
        first.close();
        RunningCommand.until(
            "the second", () -> running.out().split("\nconnected: ", -1).length == 3);
      }
    }
  }

  @Test
  void shouldPrintEventsAsJsonLines() throws Exception {
    Path socket = folder.resolve("x.sock");
    try (RunningCommand running =
        new RunningCommand("serve", "edu", "--socket", socket, "--json", "--mode", "0660")) {
      running.await("\n");
      assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)))
          .isEqualTo("rw-rw----");
      UnixSocket.connect(SystemCalls.libc(), socket).close();
      running.await("\"event\":\"left\"");
      assertThat(running.out().lines())
          .hasSize(3)
          .allMatch(line -> line.startsWith("{\"event\":") && line.endsWith("}"));
    }
  }

  @Test
  void shouldRefuseASocketThatIsInUse() throws Exception {
    Path socket = folder.resolve("x.sock");
    try (RunningCommand running = new RunningCommand("serve", "ioat", "--socket", socket)) {
      running.await("Ctrl-C");
      Ran second = Ran.vfio("serve", "edu", "--socket", socket);
      assertThat(second.status()).isEqualTo(2);
      assertThat(second.err())
          .contains(socket.toString(), "somebody serves there already")
          .hasLineCount(1);
      assertThat(socket).exists();
    }
  }
}
