// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.sysfs;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class KernelEventTest {
  private static final String AT = "/devices/pci0000:00/0000:00:04.0/0000:03:00.0";

  private static Optional<KernelEvent> event(String action, String... fields) {
    String message =
        "%s@%s\0ACTION=%s\0DEVPATH=%s\0".formatted(action, AT, action, AT)
            + String.join("\0", fields)
            + "\0SEQNUM=2164\0";
    return KernelEvent.of(message.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void shouldReadWhatHappensToFunctions() {
    assertThat(event("remove", "SUBSYSTEM=pci", "PCI_SLOT_NAME=0000:03:00.0"))
        .contains(new KernelEvent.Removed("0000:03:00.0"));
    assertThat(event("change", "SUBSYSTEM=pci", "ERROR_EVENT=BEGIN_RECOVERY", "DEVICE_ONLINE=0"))
        .contains(new KernelEvent.Recovering("0000:03:00.0", KernelEvent.Recovery.BEGUN));
    assertThat(event("change", "SUBSYSTEM=pci", "ERROR_EVENT=SUCCESSFUL_RECOVERY"))
        .contains(new KernelEvent.Recovering("0000:03:00.0", KernelEvent.Recovery.DONE));
    assertThat(event("change", "SUBSYSTEM=pci", "ERROR_EVENT=FAILED_RECOVERY"))
        .contains(new KernelEvent.Recovering("0000:03:00.0", KernelEvent.Recovery.FAILED));
  }

  @Test
  void shouldLeaveOutWhatSaysNothingOfThem() {
    assertThat(event("add", "SUBSYSTEM=pci")).isEmpty();
    assertThat(event("change", "SUBSYSTEM=pci")).isEmpty();
    assertThat(event("change", "SUBSYSTEM=pci", "ERROR_EVENT=SOMETHING_NEW")).isEmpty();
    assertThat(event("remove", "SUBSYSTEM=net")).isEmpty();
    assertThat(KernelEvent.of(new byte[0])).isEmpty();
    assertThat(KernelEvent.of("libudev\0nothing".getBytes(StandardCharsets.UTF_8))).isEmpty();
  }
}
