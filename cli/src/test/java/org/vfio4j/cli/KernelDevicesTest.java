// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.VmRequest;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.linux.bind.KernelMdevs;

/** What {@code vfio up} does for devices that QEMU opens by itself, on a tree of files. */
class KernelDevicesTest {
  private static final String GPU = "0000:01:00.0";
  private static final String VF = "0000:01:00.4";
  private static final UUID ONE = UUID.fromString("c0ffee00-0000-4000-8000-000000000001");
  private static final UUID TWO = UUID.fromString("c0ffee00-0000-4000-8000-000000000002");

  @TempDir private Path root;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  private Path file(String name, String text) throws IOException {
    Path file = root.resolve(name);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, text);
  }

  /** A parent of one type, and definitions of two devices of it, one of an unknown type. */
  private Path create() throws IOException {
    String types = "sys/class/mdev_bus/" + GPU + "/mdev_supported_types/";
    file(types + "small/available_instances", "2\n");
    file("etc/mdevctl.d/" + GPU + "/" + ONE, "{\"mdev_type\":\"small\",\"start\":\"manual\"}");
    file("etc/mdevctl.d/" + GPU + "/" + TWO, "{\"mdev_type\":\"huge\",\"start\":\"manual\"}");
    file("sys/bus/pci/devices/" + GPU + "/class", "0x030000\n");
    file("sys/bus/pci/devices/" + GPU + "/mdev_supported_types/small/available_instances", "2\n");
    file("sys/bus/pci/devices/" + VF + "/class", "0x030000\n");
    file("sys/bus/pci/devices/" + VF + "/nvidia/current_vgpu_type", "0\n");
    file("sys/bus/pci/devices/" + VF + "/nvidia/creatable_vgpu_types", "7 : ACME X-1Q\n");
    Files.createSymbolicLink(
        root.resolve("sys/bus/pci/devices/" + VF + "/driver"), Path.of("../../drivers/nvidia"));
    return file(types + "small/create", "");
  }

  /** Starts what VM "web" asks for, and lets the kernel have made it before all of it ends. */
  private String run(DeviceRequest... devices) throws IOException {
    HostTopology host = HostSource.read(root).getFirst();
    AskedAssignment asked =
        new AskedAssignment(Request.of(VmRequest.of("web", devices)), host, true);
    PrintStream to = new PrintStream(out, true, StandardCharsets.UTF_8);
    Console console = new Console(new Screen(to), new Screen(to), 200, false, true, false);
    UpReport report = new UpReport(new EventLines(console, false), false);
    try (GivenBack all = GivenBack.atTheEnd("test")) {
      KernelDevices.start(
          asked,
          KernelMdevs.in(root.resolve("sys")),
          all,
          report,
          Outliving.ofThisProcess().started("started", all));
      file("sys/bus/mdev/devices/" + ONE + "/remove", "");
    }
    return out.toString(StandardCharsets.UTF_8);
  }

  @Test
  void shouldStartWhatIsDefinedSayHowQemuTakesItAndStopItAtTheEnd() throws IOException {
    Path create = create();
    assertThat(run(DeviceRequest.mdev(ONE)))
        .contains(
            "mdev " + ONE + ": started",
            "web: mdev " + ONE + " is not served here",
            "-device vfio-pci,sysfsdev=/sys/bus/mdev/devices/" + ONE,
            "mdev " + ONE + ": stopped");
    assertThat(create).hasContent(ONE.toString());
    assertThat(root.resolve("sys/bus/mdev/devices/" + ONE + "/remove")).hasContent("1");
  }

  @Test
  void shouldLeaveAloneWhatIsThere() throws IOException {
    Path create = create();
    Path made = root.resolve("sys/devices/" + GPU + "/" + ONE);
    Files.createDirectories(made);
    Files.createDirectories(root.resolve("sys/bus/mdev/devices"));
    Files.createSymbolicLink(root.resolve("sys/bus/mdev/devices/" + ONE), made);
    assertThat(run(DeviceRequest.mdev(ONE))).contains("sysfsdev=").doesNotContain("started");
    assertThat(create).isEmptyFile();
    assertThat(made.resolve("remove")).isEmptyFile();
  }

  @Test
  void shouldStopWhatWasStartedWhereAnotherOneCannotBe() throws IOException {
    Path create = create();
    file("sys/class/mdev_bus/" + GPU + "/mdev_supported_types/huge/available_instances", "0\n");
    file("sys/bus/mdev/devices/x", "");
    assertThatExceptionOfType(RefusedException.class)
        .isThrownBy(() -> run(DeviceRequest.mdev(ONE), DeviceRequest.mdev(TWO)))
        .withMessageContaining("mdev " + TWO + ", a huge on " + GPU + ", is not made");
    assertThat(create).hasContent(ONE.toString());
  }

  @Test
  void shouldShowTheStepThatMakesAVirtualGpu() throws IOException {
    create();
    assertThatExceptionOfType(RefusedException.class)
        .isThrownBy(() -> run(DeviceRequest.whole(VF)))
        .withMessageContaining(VF + " has no vGPU type: make " + VF + " a vGPU: echo ID > ")
        .withMessageContaining("7 (ACME X-1Q)");
    file("sys/bus/pci/devices/" + VF + "/nvidia/current_vgpu_type", "7\n");
    assertThat(run(DeviceRequest.whole(VF))).contains("-device vfio-pci,host=" + VF);
  }

  @Test
  void shouldTakeNothingOfAHostThatIsNotThisMachine() throws IOException {
    create();
    AskedAssignment captured =
        new AskedAssignment(Request.of(), HostSource.read(root).getFirst(), false);
    assertThat(KernelDevices.takes(captured, DeviceRequest.mdev(ONE))).isFalse();
  }
}
