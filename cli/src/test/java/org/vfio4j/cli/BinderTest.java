// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.host.Fact;
import org.vfio4j.host.HostGroup;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.IommuFacts;
import org.vfio4j.host.Origin;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciClass;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.Role;
import org.vfio4j.host.Roles;
import org.vfio4j.linux.bind.BindingException;
import org.vfio4j.linux.bind.DriverBinding;
import org.vfio4j.linux.bind.DriverBinding.Change;
import org.vfio4j.posix.SystemCalls;

/** {@code vfio binder}, and who asks it. What it does to devices kernel-bench shows. */
class BinderTest {
  private static final String DISK = "0000:03:00.0";

  @TempDir private Path folder;

  /** A machine that boots from its only disk. */
  private static LocalDevices machine() {
    PciAddress disk = PciAddress.parse(DISK);
    Map<Role, List<PciAddress>> roles = new EnumMap<>(Role.class);
    for (Role role : Role.values()) {
      roles.put(role, role == Role.BOOT_DISK ? List.of(disk) : List.of());
    }
    HostTopology host =
        new HostTopology(
            "test",
            Origin.SYSFS,
            Optional.empty(),
            false,
            List.of(
                PciFunction.builder(disk)
                    .classCode(Optional.of(PciClass.of16(0x0108)))
                    .driver(Fact.known("nvme"))
                    .group(Fact.known(2))
                    .build()),
            List.of(new HostGroup(2, List.of(disk), List.of(), Optional.empty(), Optional.empty())),
            List.of(),
            List.of(),
            IommuFacts.UNKNOWN,
            new Roles(roles));
    return new LocalDevices(host, DriverBinding.ofThisMachine(SystemCalls.libc()));
  }

  /** What is answered to what comes in. */
  private String answer(String input) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    PrintStream stream = new PrintStream(out, true, StandardCharsets.UTF_8);
    BinderCommand command =
        new BinderCommand(
            Console.plain(stream, stream),
            new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)),
            BinderTest::machine,
            folder);
    command.call();
    return out.toString(StandardCharsets.UTF_8);
  }

  @Test
  void shouldRefuseWhatTheHostLivesOnWhateverIsAsked() throws Exception {
    assertThat(answer("bind " + DISK + "\n"))
        .hasLineCount(1)
        .startsWith("no\t0000:03:00.0 carries the boot disk of this host");
    assertThat(answer("bind 0000:07:00.0\n"))
        .isEqualTo("no\t0000:07:00.0 is no device of this machine; see 'vfio host'\n");
    assertThat(answer("release 0000:07:00.0\n")).startsWith("no\t0000:07:00.0 is no device");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "\n",
        "bind",
        "bind\n",
        "bind \n",
        "bind 0000:03:00.0",
        "bind ../../x\n",
        "bind 0000:03:00.0 --force 0000:03:00.0\n",
        "bind 0000:03:00.0 force\n",
        "bind  0000:03:00.0\n",
        "unbind 0000:03:00.0\n",
        "bind 0000:03:00.0\0\n",
      })
  void shouldTakeAddressesOnly(String input) throws Exception {
    assertThat(answer(input))
        .isEqualTo("no\tthe question is not 'bind ADDRESS' or 'release ADDRESS'\n");
  }

  /** Who keeps the line open is answered; it would wait for its unit's time-out else. */
  @Test
  void shouldReadNoFurtherThanTheLine() throws Exception {
    assertThat(answer("bind " + DISK + "\nand\n")).startsWith("no\t0000:03:00.0 carries");
  }

  @Test
  void shouldReadNoMoreThanThereCanBe() throws Exception {
    assertThat(answer("bind" + " 0000:03:00.0".repeat(2_000) + "\n"))
        .startsWith("no\tthe question");
  }

  @Test
  void shouldReadBackWhatIsAnswered() {
    List<Change> changes =
        List.of(
            new Change(DISK, Optional.of("a driver"), Optional.of("vfio-pci")),
            new Change("0000:03:00.1", Optional.empty(), Optional.empty()));
    assertThat(BinderLine.changes(BinderLine.answer(changes))).isEqualTo(changes);
    assertThat(BinderLine.changes(BinderLine.answer(List.of()))).isEmpty();
    assertThatExceptionOfType(BindingException.class)
        .isThrownBy(() -> BinderLine.changes(BinderLine.refusal("two\nlines\tof it")))
        .withMessage("two lines of it");
    for (String bad : List.of("", "done\t0000:03:00.0", "no", "yes")) {
      assertThatExceptionOfType(BindingException.class)
          .isThrownBy(() -> BinderLine.changes(bad))
          .withMessageContaining("not understood");
    }
  }

  /** Asks somebody who answers as he is told. */
  private List<Change> ask(UnaryOperator<String> answers, boolean bind) throws Exception {
    Path socket = folder.resolve("socket");
    try (ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      listener.bind(UnixDomainSocketAddress.of(socket));
      CompletableFuture<Void> served =
          CompletableFuture.runAsync(
              () -> {
                try (SocketChannel channel = listener.accept();
                    BufferedReader lines =
                        new BufferedReader(
                            new InputStreamReader(
                                Channels.newInputStream(channel), StandardCharsets.UTF_8))) {
                  String answer = answers.apply(lines.readLine());
                  channel.write(StandardCharsets.UTF_8.encode(answer));
                } catch (Exception e) {
                  throw new IllegalStateException(e);
                }
              });
      Binder binder = new AskedBinder(socket);
      try {
        return bind ? binder.bind(List.of(DISK), List.of(DISK)) : binder.release(List.of(DISK));
      } finally {
        served.join();
      }
    }
  }

  @Test
  @Timeout(60)
  void shouldAskAndSayWhatIsAnswered() throws Exception {
    assertThat(
            ask(
                question -> {
                  assertThat(question).isEqualTo("bind " + DISK);
                  return "done\t" + DISK + "\tnvme\tvfio-pci\n";
                },
                true))
        .containsExactly(new Change(DISK, Optional.of("nvme"), Optional.of("vfio-pci")));
  }

  @Test
  @Timeout(60)
  void shouldSayWhyNot() throws Exception {
    assertThatExceptionOfType(BindingException.class)
        .isThrownBy(
            () ->
                ask(
                    question -> {
                      assertThat(question).isEqualTo("release " + DISK);
                      return "no\tit is in use\n";
                    },
                    false))
        .withMessage("it is in use");
  }

  @Test
  @Timeout(60)
  void shouldSayThatThereIsNoAnswer() {
    assertThatExceptionOfType(BindingException.class)
        .isThrownBy(() -> ask(question -> "", true))
        .withMessageContaining("gave no answer to bind: 'journalctl");
    assertThatExceptionOfType(BindingException.class)
        .isThrownBy(() -> new AskedBinder(folder.resolve("none")).bind(List.of(DISK), List.of()))
        .withMessageContaining("none cannot be asked to bind");
  }
}
