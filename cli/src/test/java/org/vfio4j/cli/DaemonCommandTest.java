// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.user.Client;
import org.vfio4j.user.device.Pci;

/** A daemon and those that ask it, on a machine without an IOMMU; kernel-bench has real devices. */
@Timeout(60)
class DaemonCommandTest {
  private static final int EDU = 0x11e81234;
  private static final String LAB = "vms: {lab: {devices: [{device: edu}]}}";

  @TempDir Path folder;
  private Path sockets;
  private Path state;

  @BeforeEach
  void own() throws IOException {
    sockets = folder.resolve("sockets");
    state = folder.resolve("state");
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx------"));
  }

  private RunningCommand daemon() {
    RunningCommand daemon = new RunningCommand("daemon", "--folder", sockets, "--state", state);
    daemon.await("Answers at ");
    return daemon;
  }

  private Ran ask(Object... words) {
    Stream<Object> where = Stream.of("--socket", sockets.resolve("daemon.sock"));
    return Ran.vfio(Stream.concat(Stream.of(words), where).toArray());
  }

  private Path file(String name, String yaml) throws IOException {
    return Files.writeString(folder.resolve(name), yaml);
  }

  private List<Path> written() throws IOException {
    try (Stream<Path> files = Files.list(state)) {
      return files.filter(f -> f.toString().endsWith(".json")).sorted().toList();
    }
  }

  private int identity(String socket) throws Exception {
    try (Client client = Client.connect(sockets.resolve(socket))) {
      return client.read32(Pci.CONFIG, 0);
    }
  }

  @Test
  void shouldServeWhatItIsHandedAndForgetWhatIsTakenDown() throws Exception {
    Path lab = file("lab.yaml", LAB);
    try (RunningCommand daemon = daemon()) {
      assertThat(ask("ps").out()).contains("vfio up -d FILE");
      Ran up = ask("up", "-d", lab);
      assertThat(up.status()).as(up.err()).isZero();
      assertThat(up.out()).contains("Give QEMU 10.1").contains("\"driver\":\"vfio-user-pci\"");
      assertThat(identity("lab/edu.sock")).isEqualTo(EDU);
      assertThat(ask("up", "-d", lab).out()).contains("up already");
      assertThat(ask("ps").out()).contains("lab").contains("served").contains("edu");
      assertThat(ask("ps", "--json").out())
          .contains("\"name\":\"lab\"")
          .contains("\"phase\":\"idle\"");
      assertThat(written()).hasSize(1);
      RunningCommand.until("who came", () -> daemon.out().contains("left: process"));
      Ran down = ask("down", "lab");
      assertThat(down.out()).isEqualTo("lab is down\n");
      assertThat(written()).isEmpty();
      assertThat(sockets.resolve("lab")).doesNotExist();
      assertThat(ask("down", "lab").err()).contains("no VM lab here");
    }
    assertThat(sockets).isEmptyDirectory();
  }

  @Test
  void shouldServeAgainWhatItServedBefore() throws Exception {
    try (RunningCommand _ = daemon()) {
      assertThat(ask("up", "-d", file("lab.yaml", LAB)).status()).isZero();
    }
    Files.writeString(state.resolve("bad.json"), "{");
    Files.writeString(state.resolve("lab.json.part"), "{");
    file("lab.yaml", "what is there now does not matter");
    try (RunningCommand daemon = daemon()) {
      assertThat(daemon.out()).contains("bad.json: is damaged");
      assertThat(identity("lab/edu.sock")).isEqualTo(EDU);
      assertThat(state.resolve("lab.json.part")).doesNotExist();
    }
  }

  /** One that is refused keeps nobody else down, and can be taken down. */
  @Test
  void shouldServeTheOthersWhereOneCannotBe() throws Exception {
    Path host = Files.copy(Ran.host("two-nics"), folder.resolve("host.json"));
    String first = "  first: {memory: 1GiB, devices: [0000:01:00.0, 0000:01:00.1]}\n";
    Path request = file("two.yaml", "host: host.json\nvms:\n" + first);
    Path lab = file("lab.yaml", LAB);
    try (RunningCommand _ = daemon()) {
      Ran up = ask("up", "-d", request);
      assertThat(up.status()).as(up.out() + up.err()).isZero();
      assertThat(up.out()).contains("edu in place of 0000:01:00.0");
      assertThat(ask("up", "-d", lab).status()).isZero();
    }
    Files.delete(host);
    try (RunningCommand _ = daemon()) {
      assertThat(identity("lab/edu.sock")).isEqualTo(EDU);
      Ran ps = ask("ps");
      assertThat(ps.out()).contains("failed").contains("host.json");
      assertThat(ask("up", "-d", request).status()).isEqualTo(Main.BAD_INPUT);
      assertThat(written()).as("what is refused changes nothing").hasSize(2);
      assertThat(ask("down", "first").status()).isZero();
      assertThat(ask("ps").out()).doesNotContain("first");
    }
  }

  @Test
  void shouldRefuseAsTheCheckDoesAndKeepNothing() throws Exception {
    try (RunningCommand _ = daemon()) {
      Ran refused = ask("up", "-d", Ran.ROOT.resolve("examples/matrix/4.yaml"));
      assertThat(refused.status()).isEqualTo(Main.REFUSED);
      assertThat(refused.out()).contains("refused:");
      Ran json = ask("up", "-d", "--json", Ran.ROOT.resolve("examples/matrix/4.yaml"));
      assertThat(json.status()).isEqualTo(Main.REFUSED);
      assertThat(json.out()).contains("\"verdict\":{").doesNotContain("\"text\"");
      Ran bad = ask("up", "-d", file("bad.yaml", "vms: {lab: {devices: [{device: edus}]}}"));
      assertThat(bad.status()).isEqualTo(Main.BAD_INPUT);
      assertThat(bad.err()).contains("bad.yaml").contains("ioat, edu");
      Ran other =
          ask(
              "up",
              "-d",
              file("u.yaml", "vms: {lab: {user: nobody-at-all, devices: [{device: edu}]}}"));
      assertThat(other.status()).isEqualTo(Main.BAD_INPUT);
      assertThat(ask("ps").out()).contains("No VMs");
      assertThat(written()).isEmpty();
    }
  }

  @Test
  void shouldNotTakeDevicesFromAVmThatRuns() throws Exception {
    try (RunningCommand _ = daemon()) {
      assertThat(ask("up", "-d", file("lab.yaml", LAB)).status()).isZero();
      try (Client client = Client.connect(sockets.resolve("lab/edu.sock"))) {
        assertThat(client.read32(Pci.CONFIG, 0)).isEqualTo(EDU);
        Ran down = ask("down", "lab");
        assertThat(down.status()).isEqualTo(Main.REFUSED);
        assertThat(down.err()).contains("process " + ProcessHandle.current().pid() + " uses edu");
        assertThat(client.read32(Pci.CONFIG, 0)).isEqualTo(EDU);
        assertThat(ask("ps").out()).contains("in use");
        assertThat(ask("down", "lab", "--force").status()).isZero();
      }
    }
  }

  /** A power cut while a file was handed over leaves all of its VMs or none. */
  @Test
  void shouldServeAllVmsOfAFileOrNone() throws Exception {
    String text = "vms: {a: {devices: [{device: edu}]}, b: {devices: [{device: edu}]}}";
    try (RunningCommand _ = daemon()) {
      assertThat(ask("up", "-d", file("lab.yaml", LAB)).status()).isZero();
      Ran up = ask("up", "-d", file("two.yaml", text));
      assertThat(up.status()).as(up.err()).isZero();
    }
    assertThat(state.resolve("a.json")).content().doesNotContain("coming");
    WantedVms wanted = WantedVms.in(state);
    for (WantedVm vm : wanted.read(_ -> {})) {
      if (!vm.name().equals("lab")) {
        wanted.write(vm.comingWith(List.of("a", "b")));
      }
    }
    try (RunningCommand _ = daemon()) {
      assertThat(ask("ps").out().lines())
          .anyMatch(line -> line.startsWith("a ") && line.contains("served"))
          .anyMatch(line -> line.startsWith("b ") && line.contains("served"))
          .anyMatch(line -> line.startsWith("lab ") && line.contains("served"));
      assertThat(state.resolve("a.json")).content().doesNotContain("coming");
    }
    WantedVm a = wanted.read(_ -> {}).getFirst();
    wanted.write(a.comingWith(List.of("a", "b")));
    wanted.remove("b");
    try (RunningCommand daemon = daemon()) {
      assertThat(daemon.out()).contains("a: was handed over with a, b, of which not all");
      assertThat(written()).containsExactly(state.resolve("lab.json"));
      assertThat(ask("up", "-d", file("two.yaml", text)).status()).isZero();
    }
  }

  /** What a VM is written down in is its own. */
  @Test
  void shouldRefuseAVmWhoseFolderIsAnothers() throws Exception {
    Path one = file("one.yaml", "vms: {'a b': {devices: [{device: edu}]}}");
    Path other = file("other.yaml", "vms: {a_b: {devices: [{device: edu}]}}");
    try (RunningCommand _ = daemon()) {
      assertThat(ask("up", "-d", one).status()).isZero();
      Ran refused = ask("up", "-d", other);
      assertThat(refused.status()).isEqualTo(Main.REFUSED);
      assertThat(refused.err()).contains("a_b: a b has the folder a_b already");
      assertThat(written()).hasSize(1);
    }
    try (RunningCommand _ = daemon()) {
      assertThat(ask("ps").out()).contains("a b").doesNotContain("a_b ");
    }
  }

  /** A VM gets and loses devices while it is served, and has them after a restart. */
  @Test
  void shouldAttachAndDetach() throws Exception {
    Path host = Ran.host("two-nics").toAbsolutePath().normalize();
    Path request =
        file(
            "web.yaml",
            "host: %s\ndrivers: {'0000:01:00.0': none, '0000:01:00.1': none}\nvms: {web: {devices: [0000:01:00.0]}}"
                .formatted(host));
    try (RunningCommand _ = daemon()) {
      Ran up = ask("up", "-d", request);
      assertThat(up.status()).as(up.out() + up.err()).isZero();
      Ran attach = ask("attach", "web", "0000:01:00.1");
      assertThat(attach.status()).as(attach.err()).isZero();
      assertThat(attach.out()).contains("\"execute\":\"device_add\"").contains("0000:01:00.1.sock");
      assertThat(identity("web/0000:01:00.1.sock")).isEqualTo(EDU);
      assertThat(ask("attach", "web", "0000:01:00.1").err()).contains("has 0000:01:00.1 already");
      assertThat(ask("attach", "web", "nonsense").status()).isEqualTo(Main.BAD_INPUT);
      assertThat(ask("attach", "db", "0000:01:00.1").err()).contains("no VM db here");
      Ran none = ask("attach", "web", "0000:0f:00.0");
      assertThat(none.status()).isEqualTo(Main.BAD_INPUT);
      try (Client client = Client.connect(sockets.resolve("web/0000:01:00.0.sock"))) {
        Ran busy = ask("detach", "web", "0000:01:00.0");
        assertThat(busy.status()).isEqualTo(Main.REFUSED);
        assertThat(busy.err()).contains("device_del").contains("qmp: PATH");
        assertThat(client.read32(Pci.CONFIG, 0)).isEqualTo(EDU);
      }
    }
    try (RunningCommand daemon = daemon()) {
      assertThat(identity("web/0000:01:00.1.sock")).isEqualTo(EDU);
      RunningCommand.until("it has left", () -> daemon.out().contains("left: process"));
      Ran detach = ask("detach", "web", "0000:01:00.0");
      assertThat(detach.status()).as(detach.err()).isZero();
      assertThat(sockets.resolve("web/0000:01:00.0.sock")).doesNotExist();
      assertThat(ask("detach", "web", "0000:01:00.0").err()).contains("web has no 0000:01:00.0");
    }
    try (RunningCommand _ = daemon()) {
      assertThat(ask("ps").out()).contains("0000:01:00.1").doesNotContain("0000:01:00.0");
    }
  }

  private static final String NIC_0 = "c0ffee00-0000-4000-8000-000000000000";
  private static final String NIC_1 = "c0ffee00-0000-4000-8000-000000000001";
  private static final String VGPU = "c0ffee00-0000-4000-8000-000000000002";

  /** The two NICs, each with a UUID as wrapped, and a device of the kernel's. */
  private void defined(String... definitions) throws IOException {
    String nics = Files.readString(Ran.host("two-nics"));
    int end = nics.lastIndexOf('}');
    file(
        "host.json",
        nics.substring(0, end)
            + ", \"mdevParents\": [{\"device\": \"gpu\", \"types\": [{\"id\": \"small\"}]}]"
            + ", \"mdevDefinitions\": ["
            + String.join(",", definitions)
            + "]}");
  }

  private static String definition(String uuid, String parent, String type) {
    return "{\"uuid\": \"%s\", \"parent\": \"%s\", \"type\": \"%s\", \"start\": \"manual\"}"
        .formatted(uuid, parent, type);
  }

  @Test
  void shouldKnowAWrappedFunctionByItsUuid() throws Exception {
    String first = definition(NIC_0, "0000:01:00.0", "vfio4j-wrapped");
    String second = definition(NIC_1, "0000:01:00.1", "vfio4j-wrapped");
    defined(first, second, definition(VGPU, "gpu", "small"));
    Path request =
        file(
            "web.yaml",
            "host: host.json\ndrivers: {'0000:01:00.0': none, '0000:01:00.1': none}\nvms: {web: {devices: [%s]}}"
                .formatted(NIC_0));
    try (RunningCommand _ = daemon()) {
      Ran up = ask("up", "-d", request);
      assertThat(up.status()).as(up.out() + up.err()).isZero();
      assertThat(up.out()).contains("edu in place of wrap 0000:01:00.0");
      Ran attach = ask("attach", "web", NIC_1);
      assertThat(attach.status()).as(attach.out() + attach.err()).isZero();
      assertThat(identity("web/0000:01:00.1.sock")).isEqualTo(EDU);
      assertThat(ask("ps").out()).contains("wrap 0000:01:00.1");
      assertThat(ask("attach", "web", NIC_1).err()).contains("has 0000:01:00.1 already");
      Ran kernels = ask("attach", "web", VGPU);
      assertThat(kernels.status()).isEqualTo(Main.REFUSED);
      assertThat(kernels.err()).contains("mdev " + VGPU + " is the kernel's: QEMU opens it");
      Ran none = ask("attach", "web", "c0ffee00-0000-4000-8000-00000000000f");
      assertThat(none.status()).isEqualTo(Main.BAD_INPUT);
    }
    // What is attached is the function, whatever becomes of the UUID.
    defined(first, definition(VGPU, "gpu", "small"));
    try (RunningCommand daemon = daemon()) {
      assertThat(ask("ps").out()).contains("wrap 0000:01:00.0", "wrap 0000:01:00.1");
      RunningCommand.until("it is served", () -> daemon.out().contains("Give QEMU"));
      defined();
      Ran detach = ask("detach", "web", NIC_0);
      assertThat(detach.status()).as(detach.err()).isZero();
      assertThat(detach.out()).contains("web: 0000:01:00.0 is given back");
    }
    // Nor has what is detached to be defined any more, then or later.
    try (RunningCommand _ = daemon()) {
      assertThat(ask("ps").out()).contains("wrap 0000:01:00.1").doesNotContain("failed");
    }
  }

  /** What is there already is not written, so that a disk that is full ends no VM. */
  @Test
  void shouldServeOnWhereNothingCanBeWritten() throws Exception {
    defined(definition(NIC_0, "0000:01:00.0", "vfio4j-wrapped"));
    try (RunningCommand _ = daemon()) {
      Ran up = ask("up", "-d", ofNics(NIC_0));
      assertThat(up.status()).as(up.out() + up.err()).isZero();
    }
    Files.createDirectories(state.resolve("web.json.part/in-the-way"));
    try (RunningCommand _ = daemon()) {
      assertThat(identity("web/0000:01:00.0.sock")).isEqualTo(EDU);
      Ran attach = ask("attach", "web", "0000:01:00.1");
      assertThat(attach.status()).isEqualTo(Main.REFUSED);
      assertThat(attach.err()).contains("cannot be written down");
      assertThat(identity("web/0000:01:00.0.sock")).isEqualTo(EDU);
    }
  }

  private Path ofNics(String device) throws IOException {
    return file(
        "web.yaml",
        "host: host.json\ndrivers: {'0000:01:00.0': none, '0000:01:00.1': none}\nvms: {web: {devices: ['%s']}}"
            .formatted(device));
  }

  /** What has become of a VM is not lost when it is handed over again. */
  @Test
  void shouldRememberWhatAFailedVmGotAndLost() throws Exception {
    defined();
    Path request = ofNics("0000:01:00.0");
    try (RunningCommand _ = daemon()) {
      assertThat(ask("up", "-d", request).status()).isZero();
      assertThat(ask("attach", "web", "0000:01:00.1").status()).isZero();
      assertThat(ask("detach", "web", "0000:01:00.0").status()).isZero();
    }
    Files.delete(folder.resolve("host.json"));
    try (RunningCommand _ = daemon()) {
      assertThat(ask("ps").out()).contains("failed");
      defined();
      Ran up = ask("up", "-d", request);
      assertThat(up.status()).as(up.out() + up.err()).isZero();
      assertThat(ask("ps").out()).contains("0000:01:00.1").doesNotContain("0000:01:00.0");
    }
  }

  /** A UUID names what the VM has by it, whatever becomes of the definition. */
  @Test
  void shouldDetachByTheUuidByWhichItWasAttached() throws Exception {
    defined(definition(NIC_1, "0000:01:00.1", "vfio4j-wrapped"));
    try (RunningCommand _ = daemon()) {
      assertThat(ask("up", "-d", ofNics("0000:01:00.0")).status()).isZero();
      assertThat(ask("attach", "web", NIC_1).status()).isZero();
      defined(definition(NIC_1, "0000:01:00.0", "vfio4j-wrapped"));
    }
    try (RunningCommand _ = daemon()) {
      Ran detach = ask("detach", "web", NIC_1);
      assertThat(detach.out() + detach.err()).contains("web: 0000:01:00.1 is given back");
      defined();
      assertThat(ask("detach", "web", NIC_1).err()).contains("web has no 0000:01:00.1");
    }
  }

  /** After a boot, too, who has a function keeps it when the definition goes. */
  @Test
  void shouldServeAgainWhatIsNotDefinedAnyMore() throws Exception {
    defined(definition(NIC_0, "0000:01:00.0", "vfio4j-wrapped"));
    try (RunningCommand _ = daemon()) {
      assertThat(ask("up", "-d", ofNics(NIC_0)).status()).isZero();
    }
    defined();
    try (RunningCommand _ = daemon()) {
      assertThat(ask("ps").out()).contains("wrap 0000:01:00.0").doesNotContain("failed");
    }
    defined(definition(NIC_0, "0000:01:00.1", "vfio4j-wrapped"));
    try (RunningCommand _ = daemon()) {
      assertThat(ask("ps").out()).contains("wrap 0000:01:00.1").doesNotContain("0000:01:00.0");
    }
  }

  /** Who has a function by a UUID goes on with it; who is to get it anew does not. */
  @Test
  void shouldRememberWhatAUuidMeant() throws Exception {
    defined(definition(NIC_0, "0000:01:00.0", "vfio4j-wrapped"));
    Path request =
        file("web.yaml", "host: host.json\nvms: {web: {devices: [%s]}}".formatted(NIC_0));
    WantedVm wanted =
        WantedVm.of(
            "web",
            request.toString(),
            Files.readString(request),
            Optional.empty(),
            false,
            List.of());
    AskedAssignment asked = wanted.asked();
    WantedVm written = WantedVm.read("web.json", wanted.wrapping(asked.wrapped()).json());
    defined(definition(NIC_0, "0000:01:00.1", "vfio4j-wrapped"));
    DeviceRequest before = DeviceRequest.wrapped("0000:01:00.0");
    assertThat(written.asked().request().vms().getFirst().devices()).containsExactly(before);
    assertThat(written.goingDown().asked().request()).isEqualTo(written.asked().request());
    assertThat(wanted.asked().request().vms().getFirst().devices())
        .containsExactly(DeviceRequest.wrapped("0000:01:00.1"));
  }

  @Test
  void shouldTellWhatHappensToWhoeverReads() throws Exception {
    try (RunningCommand _ = daemon();
        RunningCommand events =
            new RunningCommand("events", "--socket", sockets.resolve("daemon.sock"))) {
      events.await("Answers at");
      assertThat(ask("up", "-d", file("lab.yaml", LAB)).status()).isZero();
      assertThat(identity("lab/edu.sock")).isEqualTo(EDU);
      events.await("lab: edu: connected: process ");
    }
  }

  @Test
  void shouldLetOneDaemonServe() {
    try (RunningCommand _ = daemon()) {
      Ran second = Ran.vfio("daemon", "--folder", folder.resolve("o"), "--state", state);
      assertThat(second.status()).isEqualTo(Main.REFUSED);
      assertThat(second.err()).contains("a daemon is there already: process");
    }
    assertThat(ask("ps").err()).contains("no daemon at ").contains("start 'vfio daemon'");
  }
}
