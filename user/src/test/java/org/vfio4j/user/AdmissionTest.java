// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.posix.UnixSocket.Credentials;

/** Who is let in. Needs root, to be somebody else, and {@code setpriv} and {@code perl}. */
@Timeout(60)
class AdmissionTest {
  /** A group that nobody is in who is not told to be. */
  private static final int GROUP = 61_234;

  /** Connects and waits: 3 if it may not, 4 if it is turned away, 5 if it is let in. */
  private static final String CONNECT =
      """
      use Socket;
      socket(S, PF_UNIX, SOCK_STREAM, 0) or exit 2;
      connect(S, sockaddr_un($ARGV[0])) or exit 3;
      vec($r, fileno(S), 1) = 1;
      exit(select($r, undef, undef, 2) > 0 ? 4 : 5);
      """;

  @TempDir Path folder = Path.of("");

  @BeforeEach
  void shouldBeRootWithTools() throws Exception {
    assumeTrue("root".equals(System.getProperty("user.name")), "not root");
    for (String tool : List.of("/usr/bin/setpriv", "/usr/bin/perl")) {
      assumeTrue(Files.isExecutable(Path.of(tool)), "no " + tool);
    }
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  private static int connect(Path path, String... who) throws Exception {
    List<String> command = new ArrayList<>(List.of("/usr/bin/setpriv"));
    command.addAll(List.of(who));
    command.addAll(List.of("/usr/bin/perl", "-e", CONNECT, path.toString()));
    Process process = new ProcessBuilder(command).inheritIO().start();
    assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
    return process.exitValue();
  }

  private static final String[] STRANGER = {"--reuid=65534", "--regid=65534", "--clear-groups"};
  private static final String[] OF_THE_GROUP = {
    "--reuid=65534", "--regid=" + GROUP, "--clear-groups"
  };
  private static final String[] ALSO_OF_THE_GROUP = {
    "--reuid=65534", "--regid=65534", "--groups=" + GROUP
  };

  @Test
  void shouldLetTheOwnerInOnly() throws Exception {
    Path path = folder.resolve("s");
    try (ProbeDevice device = new ProbeDevice();
        Server _ = Server.at(path).start(device)) {
      assertThat(connect(path, STRANGER)).isEqualTo(3);
      assertThat(connect(path, "--reuid=0")).isEqualTo(5);
    }
  }

  @Test
  void shouldTurnStrangersAwayWhomTheFileWouldLetIn() throws Exception {
    Path path = folder.resolve("s");
    CountDownLatch refused = new CountDownLatch(1);
    Server.Events events =
        new Server.Events() {
          @Override
          public void refused(Credentials peer, String why) {
            assertThat(peer.uid()).isEqualTo(65534);
            refused.countDown();
          }
        };
    try (ProbeDevice device = new ProbeDevice();
        Server _ =
            Server.at(path)
                .permissions(PosixFilePermissions.fromString("rw-rw-rw-"))
                .events(events)
                .start(device)) {
      assertThat(connect(path, STRANGER)).isEqualTo(4);
      assertThat(refused.await(30, TimeUnit.SECONDS)).isTrue();
      assertThat(device.attaches.get()).isZero();
    }
  }

  @Test
  void shouldLetAGroupInThatIsNamed() throws Exception {
    Path path = folder.resolve("s");
    Path sample = Files.createFile(folder.resolve("of the group"));
    Files.setAttribute(sample, "unix:gid", GROUP);
    var group =
        Files.readAttributes(sample, java.nio.file.attribute.PosixFileAttributes.class).group();
    try (ProbeDevice device = new ProbeDevice();
        Server _ =
            Server.at(path)
                .group(group)
                .permissions(PosixFilePermissions.fromString("rw-rw----"))
                .start(device)) {
      assertThat(Files.getAttribute(path, "unix:gid")).isEqualTo(GROUP);
      assertThat(connect(path, STRANGER)).isEqualTo(3);
      assertThat(connect(path, OF_THE_GROUP)).isEqualTo(5);
      assertThat(connect(path, ALSO_OF_THE_GROUP)).isEqualTo(5);
    }
  }
}
