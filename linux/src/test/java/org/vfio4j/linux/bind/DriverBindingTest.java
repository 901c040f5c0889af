// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.bind;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.linux.bind.DriverBinding.Change;

/** All or nothing, and everything can be given back. */
class DriverBindingTest {
  private static final String A = "0000:01:00.0";
  private static final String B = "0000:01:00.1";
  private static final String BEFORE = A + "=igb/- " + B + "=snd/-";

  @TempDir Path folder = Path.of("");
  private final FakePciBus bus = new FakePciBus().with(A, "igb").with(B, "snd");

  private DriverBinding binding() {
    return new DriverBinding(bus, new BindingRecords(folder.resolve("drivers")));
  }

  private List<String> remembered() throws Exception {
    Path drivers = folder.resolve("drivers");
    if (!Files.exists(drivers)) {
      return List.of();
    }
    try (var files = Files.list(drivers)) {
      return files.map(f -> f.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void shouldBindByOverrideAndGiveBackWhatWasThere() throws Exception {
    assertThat(binding().bind(List.of(A, B), "vfio-pci"))
        .containsExactly(
            new Change(A, Optional.of("igb"), Optional.of("vfio-pci")),
            new Change(B, Optional.of("snd"), Optional.of("vfio-pci")));
    assertThat(bus.state()).isEqualTo(A + "=vfio-pci/vfio-pci " + B + "=vfio-pci/vfio-pci");
    assertThat(remembered()).containsExactly(A, B);
    // Another process.
    assertThat(binding().release(List.of(B, A)))
        .containsExactly(
            new Change(B, Optional.of("vfio-pci"), Optional.of("snd")),
            new Change(A, Optional.of("vfio-pci"), Optional.of("igb")));
    assertThat(bus.state()).isEqualTo(BEFORE);
    assertThat(remembered()).isEmpty();
  }

  @Test
  void shouldGiveBackAnOverrideAndTheLackOfADriver() {
    bus.override(A, Optional.of("pci-stub"));
    bus.unbound(A);
    binding().bind(List.of(A), "vfio-pci");
    binding().release(List.of(A));
    assertThat(bus.state()).isEqualTo(A + "=-/pci-stub " + B + "=snd/-");
  }

  @Test
  void shouldLeaveWhatHasTheDriverAlready() {
    binding().bind(List.of(A), "vfio-pci");
    int writes = bus.writes.size();
    assertThat(binding().bind(List.of(A), "vfio-pci")).isEmpty();
    assertThat(bus.writes).hasSize(writes);
    assertThat(binding().bind(List.of(A, B), "vfio-pci")).hasSize(1);
    binding().release(List.of(A, B));
    assertThat(bus.state()).isEqualTo(BEFORE);
  }

  @Test
  void shouldChangeNothingWhicheverWriteFails() throws Exception {
    DriverBinding binding = binding();
    binding.bind(List.of(A, B), "vfio-pci");
    int writes = bus.writes.size();
    binding.release(List.of(A, B));
    for (int n = 1; n <= writes; n++) {
      bus.writes.clear();
      bus.failAt = n;
      assertThatThrownBy(() -> binding.bind(List.of(A, B), "vfio-pci"))
          .as("write %d fails", n)
          .isInstanceOf(BindingException.class)
          .hasMessageContaining("EBUSY")
          .hasMessageEndingWith("everything is as it was");
      assertThat(bus.state()).as("write %d fails", n).isEqualTo(BEFORE);
      assertThat(remembered()).as("write %d fails", n).isEmpty();
    }
  }

  @Test
  void shouldGiveAllBackIfTheDriverDoesNotTakeOne() {
    bus.refusedBy.add(B);
    bus.with(B, "snd");
    assertThatThrownBy(() -> binding().bind(List.of(A, B), "vfio-pci"))
        .isInstanceOf(BindingException.class)
        .hasMessageContaining(B + " cannot be bound to vfio-pci: vfio-pci did not take it")
        .hasMessageContaining(B + " (snd did not take it");
    assertThat(bus.state()).startsWith(A + "=igb/-");
    bus.refusedBy.clear();
    // What is still remembered of it gives it back.
    binding().release(List.of(B));
    assertThat(bus.state()).isEqualTo(BEFORE);
  }

  @Test
  void shouldNotWaitForWhoUsesADevice() {
    binding().bind(List.of(A, B), "vfio-pci");
    bus.inUse.add(B);
    int writes = bus.writes.size();
    assertThatThrownBy(() -> binding().release(List.of(A, B)))
        .isInstanceOf(BindingException.class)
        .hasMessageContaining(B + " is in use: its group is open in process 812 (qemu)");
    assertThat(bus.writes).hasSize(writes);
  }

  @Test
  void shouldLeaveADeviceThatVfioNeverHad() {
    assertThat(binding().release(List.of(A))).isEmpty();
    assertThat(bus.writes).isEmpty();
  }

  @Test
  void shouldLetTheKernelChooseForWhatSomebodyElseBound() {
    bus.load("vfio-pci");
    bus.override(A, Optional.of("vfio-pci"));
    bus.unbind(A);
    bus.probe(A);
    assertThat(binding().release(List.of(A)))
        .containsExactly(new Change(A, Optional.of("vfio-pci"), Optional.of("igb")));
    assertThat(bus.state()).isEqualTo(BEFORE);
  }

  @Test
  void shouldNameADriverThatTheKernelDoesNotHave() {
    bus.loadable = false;
    assertThatThrownBy(() -> binding().bind(List.of(A), "vfio-pci"))
        .isInstanceOf(BindingException.class)
        .hasMessageContaining("modprobe vfio-pci");
    assertThat(bus.writes).isEmpty();
  }
}
