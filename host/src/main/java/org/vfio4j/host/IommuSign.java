// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/** What a kernel log, a command line or another program says of whether the IOMMU works. */
public enum IommuSign {
  /** The kernel says that VT-d is at work. */
  VTD_ACTIVE(
      "vtd-active",
      List.of("DMAR"),
      "DMAR: Intel\\(R\\) Virtualization Technology for Directed I/O|DMAR-IR: Enabled IRQ"
          + " remapping|DMAR: (?:Using Queued|Setting RMRR|Host address width \\d+$)"),
  /** The kernel says that AMD-Vi is at work. */
  AMD_ACTIVE(
      "amd-active",
      List.of("AMD-Vi: ", "perf/amd_iommu"),
      "AMD-Vi: (?:Found IOMMU|Interrupt remapping enabled|Extended features|Lazy IO/TLB|Virtual"
          + " APIC|Initialized for Passthrough)|perf/amd_iommu: Detected"),
  /** The kernel says that an SMMU of Arm is at work. */
  SMMU_ACTIVE(
      "smmu-active",
      List.of("arm-smmu"),
      "^(?>.*?arm-smmu(?:-v3)?\\b).*(?:probing hardware|stage|ias \\d+-bit|features)"),
  /** virt-host-validate found IOMMU groups. */
  KERNEL_ENABLED(
      "kernel-enabled",
      List.of("Checking if IOMMU"),
      "Checking if IOMMU is enabled by kernel\\s*: PASS"),
  /** Only the option was seen: the kernel repeats it, whether there is an IOMMU or not. */
  OPTION_REPEATED("option-repeated", List.of("DMAR: IOMMU enabled"), "DMAR: IOMMU enabled$"),
  /** Firmware describes a unit of VT-d. */
  DMAR_TABLE(
      "dmar-table", List.of("DMAR"), "ACPI: DMAR 0x|DMAR: Host address width|DMAR: DRHD base"),
  /** Firmware describes a unit of AMD-Vi. */
  IVRS_TABLE("ivrs-table", List.of("ACPI: IVRS"), "ACPI: IVRS 0x"),
  /** There is no description of an IOMMU by firmware, where somebody looked. */
  NO_TABLE(
      "no-table",
      List.of("No ACPI ", "No DMAR", "IOMMU not detected", "Checking for device"),
      "No ACPI (?:DMAR|IVRS) table found|No DMAR found|DMAR: No DMAR|IOMMU not detected"
          + "|^(?>.*?Checking for device assignment IOMMU support)(?!.*Unknown if).*(?:WARN|FAIL)"),
  /** An AMD machine whose IOMMU the kernel did not find. */
  AMD_ABSENT("amd-absent", List.of("AMD IOMMUv2"), "AMD-Vi: AMD IOMMUv2 functionality not av"),
  /** The kernel was told to do without, or gave up. */
  OFF(
      "off",
      List.of("DMAR: ", "AMD-Vi: ", "iommu=off", "Checking if IOMMU", "IOMMU appears"),
      "DMAR: (?:IOMMU disabled|Disable(?:d)? |Failed to)|^(?>.*?DMAR: ).*disabling IOMMU|AMD-Vi:"
          + " (?:Disabled|Failed|Unable)|\\b(?:intel_iommu|amd_iommu|iommu)=off\\b|^(?>.*?Checking"
          + " if IOMMU is enabled by kernel).*(?:WARN|FAIL)|IOMMU appears to be disabled"),
  /** The command line asks for VT-d. */
  ASKED_INTEL("asked-intel", List.of("intel_iommu="), "\\bintel_iommu=(?:[\\w,]*,)?on\\b"),
  /** The command line names AMD's IOMMU. */
  ASKED_AMD("asked-amd", List.of("amd_iommu="), "\\bamd_iommu=(?!off)\\w+"),
  /**
   * Devices of the host pass through untranslated; a device given away is translated all the same.
   */
  PASS_THROUGH(
      "pass-through",
      List.of("iommu=pt", "iommu.passthrough", "Default domain type", "for Passthrough"),
      "\\biommu=pt\\b|\\biommu\\.passthrough=1\\b|Default domain type: Passthrough"
          + "|Initialized for Passthrough Mode"),
  /** Interrupts are remapped. */
  REMAPPING(
      "remapping",
      List.of("Enabled IRQ", "AMD-Vi: Interrupt"),
      "Enabled IRQ remapping|AMD-Vi: Interrupt remapping enabled"),
  /** Interrupts are not remapped. */
  NO_REMAPPING(
      "no-remapping",
      List.of("rq remapping", "RQ remapping", "nterrupt remapping", "intremap"),
      "Failed to enable irq remapping|Interrupt remapping (?:disabled|not supported)"
          + "|IRQ remapping doesn't support X2APIC|No interrupt remapping support"
          + "|\\bintremap=off\\b|\\bnointremap\\b"),
  /** This kernel runs in a virtual machine. */
  GUEST(
      "guest",
      List.of("Hypervisor detected", "Booting paravirt", "Detected virtualiz"),
      "Hypervisor detected: |Booting paravirtualized kernel on (?:KVM|Xen|VMware|Hyper-V)"
          + "|systemd\\[1\\]: Detected virtualization");

  private static final List<IommuSign> ALL = List.of(values());

  private final String word;
  private final List<String> needed;
  private final Pattern pattern;

  /**
   * @param needed one of these is in each line that has the sign: most lines have none of them, and
   *     are not looked at by a pattern
   */
  IommuSign(String word, List<String> needed, String pattern) {
    this.word = word;
    this.needed = needed;
    this.pattern = Pattern.compile(pattern);
  }

  /** The word that captures have for it. */
  public String word() {
    return word;
  }

  /** The sign with this word; empty if there is none. */
  public static Optional<IommuSign> ofWord(String word) {
    return Arrays.stream(values()).filter(s -> s.word.equals(word)).findFirst();
  }

  /** The signs in a line. */
  static Set<IommuSign> in(String line) {
    Set<IommuSign> signs = EnumSet.noneOf(IommuSign.class);
    for (IommuSign sign : ALL) {
      if (sign.mayBeIn(line) && sign.pattern.matcher(line).find()) {
        signs.add(sign);
      }
    }
    return signs;
  }

  /** Whether a line has what each line with this sign has. */
  private boolean mayBeIn(String line) {
    for (String text : needed) {
      if (line.contains(text)) {
        return true;
      }
    }
    return false;
  }
}
