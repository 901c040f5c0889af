// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.broker.Broker;
import org.vfio4j.linux.bind.BindingException;
import org.vfio4j.linux.bind.DriverBinding.Change;
import org.vfio4j.linux.bind.KernelMdevs;
import org.vfio4j.posix.DescriptorStore;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.user.Client;
import org.vfio4j.user.device.Pci;

/** What a daemon does when something goes wrong in the middle. */
@Timeout(60)
class DaemonTest {
  private static final String NIC = "0000:01:00.0";
  private static final String MDEV = "c0ffee00-0000-4000-8000-000000000001";

  @TempDir Path folder;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final PrintStream to = new PrintStream(out, true, StandardCharsets.UTF_8);
  private final List<AutoCloseable> after = new ArrayList<>();
  private final Hands hands = new Hands();
  private KeptDescriptors kept = KeptDescriptors.NONE;
  private Consumer<String> hook = _ -> {};
  private final EventLines lines =
      new EventLines(Console.plain(to, to), false).and(event -> hook.accept(event));
  private final UpReport report = new UpReport(lines, false);
  private Path sockets;
  private Path state;
  private WantedVms written;

  /** Binds nothing, and knows what it was told to give back, and what was open then. */
  private final class Hands implements Binder {
    private final List<String> released = new ArrayList<>();
    private final List<String> open = new ArrayList<>();
    private Set<String> stuck = Set.of();

    @Override
    public List<Change> bind(List<String> functions, List<String> forced) {
      throw new BindingException("not here");
    }

    @Override
    public List<Change> release(List<String> functions) {
      released.addAll(functions);
      open.addAll(kept.names());
      if (functions.stream().anyMatch(stuck::contains)) {
        throw new BindingException(functions + " is in use");
      }
      return List.of();
    }
  }

  @BeforeEach
  void own() throws IOException {
    sockets = folder.resolve("sockets");
    state = folder.resolve("state");
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx------"));
    written = WantedVms.in(state);
  }

  @AfterEach
  void end() throws Exception {
    for (AutoCloseable each : after.reversed()) {
      each.close();
    }
  }

  /** A process before this one has left something. */
  private void resumed() {
    kept =
        new KeptDescriptors(
            DescriptorStore.NONE, Map.of("s1", Memfd.create(SystemCalls.libc(), "s1", 8)));
  }

  private Hosting hosting() {
    Broker broker = UpCommand.broker(report, KeptDescriptors.NONE);
    after.add(broker);
    return new Hosting(
        sockets,
        broker,
        WantedVms.in(state),
        lines,
        new Outliving(Optional.empty(), kept),
        () -> hands,
        KernelMdevs.in(folder.resolve("sys")));
  }

  private Daemon daemon() throws IOException {
    Daemon daemon = new Daemon(hosting());
    after.add(daemon);
    daemon.start(report);
    return daemon;
  }

  private WantedVm wanted(String name, String text) {
    return WantedVm.of(
        name, folder.resolve("vms.yaml").toString(), text, Optional.empty(), false, List.of());
  }

  private static String edus(String... names) {
    return "vms: {"
        + String.join(", ", Stream.of(names).map(n -> n + ": {devices: [{device: edu}]}").toList())
        + "}";
  }

  private String said() {
    return out.toString(StandardCharsets.UTF_8);
  }

  private String text(String name) {
    try {
      return Files.readString(state.resolve(name + ".json")).replaceAll("\\s", "");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void inTheWay(String name) {
    try {
      Files.createDirectories(state.resolve(name + ".json.part/in-the-way"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Client client(String name) {
    Client client = Client.connect(sockets.resolve(name + "/edu.sock"));
    after.add(client);
    assertThat(client.read32(Pci.CONFIG, 0)).isNotZero();
    return client;
  }

  /** A death at any moment leaves all VMs of a file or none, also where they are refused late. */
  @Test
  void shouldWriteDownWhoComesTogetherUntilAllAreThere() throws Exception {
    List<String> coming = new ArrayList<>();
    List<String> forgetting = new ArrayList<>();
    hook =
        event -> {
          if (event.contains("\"serving\"") && event.contains("\"vm\":\"c\"")) {
            Stream.of("a", "b", "c").map(this::text).forEach(coming::add);
            client("a");
            inTheWay("c");
          } else if (event.contains("\"left\"") && event.contains("\"vm\":\"a\"")) {
            forgetting.add(text("b"));
          }
        };
    Daemon daemon = daemon();
    String text = edus("a", "b", "c");
    List<WantedVm> all = Stream.of("a", "b", "c").map(n -> wanted(n, text)).toList();
    assertThatExceptionOfType(RefusedException.class)
        .isThrownBy(() -> daemon.up(all, report))
        .withMessageContaining("c: cannot be written down");
    assertThat(coming).hasSize(3).allMatch(t -> t.contains("\"coming\":[\"a\",\"b\",\"c\"]"));
    assertThat(forgetting).hasSize(1).allMatch(t -> t.contains("\"coming\""));
    assertThat(daemon.vms()).isEmpty();
    assertThat(written.read(_ -> {})).isEmpty();
  }

  /** What a process before this one has taken is given back when nothing of it is open any more. */
  @Test
  void shouldGiveBackWhatIsLeftOfAVmThatIsForgotten() throws Exception {
    resumed();
    Path remove = folder.resolve("sys/bus/mdev/devices/" + MDEV + "/remove");
    Files.createDirectories(remove.getParent());
    Files.createFile(remove);
    WantedVm lab = wanted("lab", edus("lab"));
    written.write(lab.binding(List.of(NIC)).starting(List.of(MDEV)).goingDown());
    assertThat(daemon().vms()).isEmpty();
    assertThat(hands.released).containsExactly(NIC);
    assertThat(hands.open).isEmpty();
    assertThat(remove).hasContent("1");
    assertThat(written.read(_ -> {})).isEmpty();
  }

  /** As long as something is not given back it is known. */
  @Test
  void shouldNotForgetWhatCannotBeGivenBack() throws Exception {
    hands.stuck = Set.of(NIC);
    WantedVm lab = wanted("lab", edus("lab"));
    written.write(lab.binding(List.of(NIC)).goingDown());
    Daemon daemon = daemon();
    assertThat(said()).contains("lab: not all of it is given back");
    assertThat(written.read(_ -> {})).hasSize(1);
    hands.stuck = Set.of();
    daemon.down("lab", false, report);
    assertThat(hands.released).containsExactly(NIC, NIC);
    assertThat(written.read(_ -> {})).isEmpty();
  }

  /** What was a forgotten VM's may be another's by now. */
  @Test
  void shouldTakeNothingFromAnotherVm() throws Exception {
    resumed();
    Path remove = folder.resolve("sys/bus/mdev/devices/" + MDEV + "/remove");
    Files.createDirectories(remove.getParent());
    Files.createFile(remove);
    WantedVm lab = wanted("lab", edus("lab")).binding(List.of(NIC)).starting(List.of(MDEV));
    assertThat(new HostedVm(hosting(), lab, _ -> true).release(report)).isFalse();
    assertThat(hands.released).isEmpty();
    assertThat(remove).isEmptyFile();
    assertThat(said()).contains(NIC + " is another VM's", MDEV + " is another VM's");
  }

  /** Another file in the place of a VM that failed gives back what that had. */
  @Test
  void shouldGiveBackWhatAFailedVmHadWhateverComesInItsPlace() throws Exception {
    WantedVm before = wanted("lab", "host: none.json\n" + edus("lab"));
    written.write(before.binding(List.of(NIC)));
    Daemon daemon = daemon();
    assertThat(daemon.vms()).singleElement().matches(vm -> vm.failed().contains("none.json"));
    assertThat(daemon.up(List.of(wanted("lab", edus("lab"))), report)).isTrue();
    assertThat(hands.released).isEmpty();
    daemon.down("lab", false, report);
    assertThat(hands.released).containsExactly(NIC);
  }

  /** One that could not be taken down to its end is not up. */
  @Test
  void shouldServeAVmAgainThatCouldNotBeTakenDown() throws Exception {
    Daemon daemon = daemon();
    List<WantedVm> lab = List.of(wanted("lab", edus("lab")));
    daemon.up(lab, report);
    Path away = Files.move(sockets, folder.resolve("away"));
    Files.createFile(sockets);
    assertThatThrownBy(() -> daemon.down("lab", false, report)).hasMessageContaining("sockets");
    Files.delete(sockets);
    Files.move(away, sockets);
    assertThat(daemon.vms()).singleElement().matches(vm -> vm.failed().contains("taken down"));
    assertThat(daemon.up(lab, report)).isTrue();
    client("lab").close();
    assertThat(text("lab")).doesNotContain("going");
    daemon.down("lab", true, report);
    assertThat(written.read(_ -> {})).isEmpty();
  }

  /** A VM that runs is served on, whatever its disk says. */
  @Test
  void shouldTellWhatOfARunningVmCannotBeWritten() {
    WantedVm lab = wanted("lab", edus("lab"));
    HostedVm vm = new HostedVm(hosting(), lab.comingWith(List.of("lab", "other")), _ -> false);
    inTheWay("lab");
    vm.writeIfPossible(lab, report);
    assertThat(said()).contains("served all the same: lab: cannot be written down");
    assertThat(vm.wanted()).isEqualTo(lab);
  }
}
