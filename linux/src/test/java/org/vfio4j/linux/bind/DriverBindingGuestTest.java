// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.bind;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.linux.bind.DriverBinding.Change;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.SystemCalls;

/** Binding by a real kernel, on the machine of kernel-bench: the e1000 behind its PCI bridge. */
class DriverBindingGuestTest {
  private static final SystemCalls CALLS = SystemCalls.libc();
  private static final String NIC = "0000:02:03.0";
  private static final String EDU = "0000:02:01.0";

  @TempDir Path folder = Path.of("");
  private final SysfsPciBus bus = new SysfsPciBus(CALLS);

  @BeforeEach
  void onlyOnTheMachineOfTheBench() {
    assumeTrue(
        VfioPresence.ofThisMachine().missing().isEmpty()
            && Files.exists(Path.of("/sys/bus/pci/devices", NIC)),
        "kernel-bench/run runs it in its guest");
    freeBoth();
    bus.load("e1000");
    bus.probe(NIC);
    assertThat(bus.driver(NIC)).contains("e1000");
  }

  @AfterEach
  void freeBoth() {
    if (Files.exists(Path.of("/sys/bus/pci/devices", NIC))) {
      for (String address : List.of(NIC, EDU)) {
        bus.override(address, Optional.empty());
        if (bus.driver(address).isPresent()) {
          bus.unbind(address);
        }
      }
    }
  }

  private DriverBinding binding() {
    return new DriverBinding(bus, new BindingRecords(folder.resolve("drivers")));
  }

  @Test
  void shouldTakeADeviceFromItsDriverAndGiveItBack() {
    assertThat(binding().bind(List.of(NIC, EDU), "vfio-pci"))
        .containsExactly(
            new Change(NIC, Optional.of("e1000"), Optional.of("vfio-pci")),
            new Change(EDU, Optional.empty(), Optional.of("vfio-pci")));
    assertThat(bus.override(NIC)).contains("vfio-pci");
    assertThat(binding().release(List.of(NIC, EDU)))
        .containsExactly(
            new Change(NIC, Optional.of("vfio-pci"), Optional.of("e1000")),
            new Change(EDU, Optional.of("vfio-pci"), Optional.empty()));
    assertThat(bus.override(NIC)).isEmpty();
    assertThat(bus.override(EDU)).isEmpty();
  }

  @Test
  void shouldRefuseToReleaseWhileTheGroupIsOpenAndNameTheProcess() throws Exception {
    binding().bind(List.of(NIC), "vfio-pci");
    Path group =
        Path.of("/dev/vfio")
            .resolve(
                Files.readSymbolicLink(Path.of("/sys/bus/pci/devices", NIC, "iommu_group"))
                    .getFileName());
    try (Descriptor _ = Descriptor.open(CALLS, group.toString(), Constants.O_RDWR)) {
      assertThatThrownBy(() -> binding().release(List.of(NIC)))
          .isInstanceOf(BindingException.class)
          .hasMessageContaining("open in process " + ProcessHandle.current().pid() + " (java)");
    }
    binding().release(List.of(NIC));
    assertThat(bus.driver(NIC)).contains("e1000");
  }

  @Test
  void shouldGiveBackTheOthersIfTheKernelRefusesOne() {
    assertThatThrownBy(() -> binding().bind(List.of(NIC, "0000:ff:1f.7"), "vfio-pci"))
        .isInstanceOf(BindingException.class)
        .hasMessageEndingWith("everything is as it was");
    assertThat(bus.driver(NIC)).contains("e1000");
    assertThat(bus.override(NIC)).isEmpty();
  }
}
