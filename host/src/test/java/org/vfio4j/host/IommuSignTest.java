// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A line for each way in which a sign is given: none is missed for what is looked at first. */
class IommuSignTest {

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "vtd-active; DMAR: Intel(R) Virtualization Technology for Directed I/O",
        "vtd-active; DMAR-IR: Enabled IRQ remapping in x2apic mode",
        "vtd-active; DMAR: Using Queued invalidation",
        "vtd-active; DMAR: Setting RMRR:",
        "vtd-active; DMAR: Host address width 39",
        "amd-active; pci 0000:00:00.2: AMD-Vi: Found IOMMU cap 0x40",
        "amd-active; AMD-Vi: Interrupt remapping enabled",
        "amd-active; AMD-Vi: Extended features (0x58f77ef22294ade):",
        "amd-active; AMD-Vi: Lazy IO/TLB flushing enabled",
        "amd-active; AMD-Vi: Virtual APIC enabled",
        "amd-active; AMD-Vi: Initialized for Passthrough Mode",
        "amd-active; perf/amd_iommu: Detected AMD IOMMU #0",
        "smmu-active; arm-smmu-v3 arm-smmu-v3.0.auto: ias 44-bit, oas 44-bit (features 0x1eef)",
        "smmu-active; arm-smmu 5000000.iommu: probing hardware configuration...",
        "smmu-active; arm-smmu 5000000.iommu: stage 1 translation",
        "kernel-enabled; QEMU: Checking if IOMMU is enabled by kernel : PASS",
        "option-repeated; DMAR: IOMMU enabled",
        "dmar-table; ACPI: DMAR 0x000000007B7E7000 0000A8",
        "dmar-table; DMAR: Host address width 39",
        "dmar-table; DMAR: DRHD base: 0x000000fed90000 flags: 0x0",
        "ivrs-table; ACPI: IVRS 0x00000000C9A0A000 0000D0",
        "no-table; QEMU: Checking for device assignment IOMMU support : WARN (No ACPI DMAR table"
            + " found)",
        "no-table; No ACPI IVRS table found",
        "no-table; DMAR: No DMAR found",
        "no-table; IOMMU not detected",
        "amd-absent; AMD-Vi: AMD IOMMUv2 functionality not available on this system",
        "off; DMAR: IOMMU disabled",
        "off; DMAR: Disable GFX device mapping",
        "off; DMAR: Failed to map dmar0",
        "off; DMAR: [Firmware Bug]: disabling IOMMU",
        "off; AMD-Vi: Disabled",
        "off; AMD-Vi: Failed to allocate",
        "off; AMD-Vi: Unable to read",
        "off; BOOT_IMAGE=/vmlinuz intel_iommu=off quiet",
        "off; BOOT_IMAGE=/vmlinuz amd_iommu=off",
        "off; BOOT_IMAGE=/vmlinuz iommu=off",
        "off; QEMU: Checking if IOMMU is enabled by kernel : WARN",
        "off; IOMMU appears to be disabled in kernel",
        "asked-intel; intel_iommu=on",
        "asked-intel; intel_iommu=igfx_off,on",
        "asked-amd; amd_iommu=fullflush",
        "pass-through; iommu=pt",
        "pass-through; iommu.passthrough=1",
        "pass-through; iommu: Default domain type: Passthrough (set via kernel command line)",
        "pass-through; AMD-Vi: Initialized for Passthrough Mode",
        "remapping; DMAR-IR: Enabled IRQ remapping in x2apic mode",
        "remapping; AMD-Vi: Interrupt remapping enabled",
        "no-remapping; DMAR-IR: Failed to enable irq remapping. You are vulnerable",
        "no-remapping; AMD-Vi: Interrupt remapping disabled",
        "no-remapping; Interrupt remapping not supported",
        "no-remapping; x2apic: IRQ remapping doesn't support X2APIC mode",
        "no-remapping; No interrupt remapping support",
        "no-remapping; intremap=off",
        "no-remapping; nointremap",
        "guest; Hypervisor detected: KVM",
        "guest; Booting paravirtualized kernel on KVM",
        "guest; systemd[1]: Detected virtualization kvm."
      })
  void shouldBeSeen(String sign, String line) {
    assertThat(IommuSign.in(line)).contains(IommuSign.ofWord(sign).orElseThrow());
  }

  @Test
  void shouldNotBeSeenInWhatSaysNothingOfIt() {
    assertThat(IommuSign.in("pci 0000:01:00.0: [1af4:0201] type 00 class 0x030000")).isEmpty();
    assertThat(Arrays.stream(IommuSign.values()).map(IommuSign::word)).doesNotHaveDuplicates();
  }
}
