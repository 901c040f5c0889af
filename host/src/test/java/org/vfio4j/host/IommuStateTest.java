// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.vfio4j.host.IommuState.Answer;

class IommuStateTest {

  private static IommuState state(String text) {
    return IommuState.of(Samples.only(text));
  }

  @Test
  void shouldBeOnWhereThereAreGroups() {
    assertThat(state("/sys/kernel/iommu_groups/1/devices/0000:01:00.0\n").answer())
        .isEqualTo(Answer.ON);
  }

  @Test
  void shouldBeOnWhereTheKernelSaysItWorksAndWantTheGroups() {
    IommuState state =
        state(
            "[    0.100000] DMAR: Intel(R) Virtualization Technology for Directed I/O\n"
                + "[    0.200000] pci 0000:01:00.0: [1af4:0201] type 00 class 0x030000\n");
    assertThat(state.answer()).isEqualTo(Answer.ON);
    assertThat(state.advice()).anyMatch(a -> a.contains("iommu_groups"));
  }

  @Test
  void shouldReadWhatVirtHostValidateSays() {
    String card = "01:00.0 0302: 1af4:0201\n";
    String checks = "  QEMU: Checking ";
    assertThat(state(card + checks + "if IOMMU is enabled by kernel          : PASS\n").answer())
        .isEqualTo(Answer.ON);
    assertThat(
            state(
                    card
                        + checks
                        + "if IOMMU is enabled by kernel : WARN (IOMMU appears to be disabled in"
                        + " kernel. Add intel_iommu=on to kernel cmdline arguments)\n")
                .answer())
        .isEqualTo(Answer.OFF);
    assertThat(
            state(
                    card
                        + checks
                        + "for device assignment IOMMU support : WARN (Unknown if this platform has"
                        + " IOMMU support)\n")
                .answer())
        .isEqualTo(Answer.UNKNOWN);
  }

  @Test
  void shouldNotTakeTheRepeatedOptionForAnIommu() {
    IommuState state = state("[    0.019620] DMAR: IOMMU enabled\n");
    assertThat(state.answer()).isEqualTo(Answer.UNKNOWN);
    assertThat(state.because()).anyMatch(b -> b.contains("only repeats the option"));
  }

  @Test
  void shouldSayThatAnOptionOfIntelsDoesNothingOnAmd() {
    IommuState state =
        state(
            "[    0.019620] DMAR: IOMMU enabled\n"
                + "[    0.828434] AMD-Vi: AMD IOMMUv2 functionality not available on this"
                + " system\n");
    assertThat(state.answer()).isEqualTo(Answer.OFF);
    assertThat(state.because()).anyMatch(b -> b.contains("AMD-Vi"));
  }

  @Test
  void shouldBeOffWhereTheCommandLineSaysSo() {
    assertThat(
            state("BOOT_IMAGE=/vmlinuz-6.1.0 ro intel_iommu=off\n01:00.0 0302: 1af4:0201\n")
                .answer())
        .isEqualTo(Answer.OFF);
  }

  @Test
  void shouldSayThatAVirtualMachineNeedsAVirtualIommu() {
    IommuState state =
        state(
            "[    0.000000] Hypervisor detected: KVM\n"
                + "[    0.200000] pci 0000:01:00.0: [1af4:0201] type 00 class 0x030000\n");
    assertThat(state.answer()).isEqualTo(Answer.OFF);
    assertThat(state.advice()).anyMatch(a -> a.contains("virtio-iommu"));
  }

  @Test
  void shouldAskForTheOptionWhereFirmwareDescribesVtd() {
    IommuState state =
        state(
            "[    0.000000] Command line: root=/dev/sda1 ro\n"
                + "[    0.010000] ACPI: DMAR 0x000000007A2F5000 000088\n"
                + "[    0.200000] pci 0000:01:00.0: [1af4:0201] type 00 class 0x030000\n");
    assertThat(state.answer()).isEqualTo(Answer.UNKNOWN);
    assertThat(state.advice()).anyMatch(a -> a.contains("intel_iommu=on"));
  }
}
