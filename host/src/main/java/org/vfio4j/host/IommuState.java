// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Whether the IOMMU of a host works, as far as the source tells, and what to do where it does not.
 *
 * @param answer whether it works
 * @param because what that is concluded from, as sentences
 * @param advice what to do or to look at next, as sentences; empty where it works
 */
public record IommuState(Answer answer, List<String> because, List<String> advice) {

  /** Whether an IOMMU works. */
  public enum Answer {
    /** It translates for devices. */
    ON,
    /** There is none, or it is off. */
    OFF,
    /** The source does not say. */
    UNKNOWN
  }

  private static final int AMD = 0x1022;
  private static final int INTEL = 0x8086;
  private static final String FIRMWARE =
      "Switch the IOMMU on in the firmware (BIOS): VT-d on Intel, IOMMU or AMD-Vi on AMD.";
  private static final String LOOK =
      "'find /sys/kernel/iommu_groups -type l' lists the groups; 'dmesg | grep -e DMAR -e AMD-Vi'"
          + " tells more.";
  private static final String INTEL_OPTION =
      "Start the kernel with intel_iommu=on, and look at /proc/cmdline whether it came.";

  /** Copies the lists. */
  public IommuState {
    because = List.copyOf(because);
    advice = List.copyOf(advice);
  }

  /** What a host tells of its IOMMU. */
  public static IommuState of(HostTopology host) {
    return new Reasoning(host).conclude();
  }

  /** From what is known to what follows. */
  private static final class Reasoning {
    private final HostTopology host;
    private final Set<IommuSign> signs;
    private final List<String> because = new ArrayList<>();
    private final List<String> advice = new ArrayList<>();

    Reasoning(HostTopology host) {
      this.host = host;
      this.signs = host.setup().signs();
    }

    IommuState conclude() {
      Answer answer = answer();
      modes();
      return new IommuState(answer, because, advice);
    }

    private boolean has(IommuSign sign) {
      return signs.contains(sign);
    }

    private Answer answer() {
      if (!host.groups().isEmpty()) {
        because.add("There are IOMMU groups.");
        return Answer.ON;
      }
      if (has(IommuSign.VTD_ACTIVE) || has(IommuSign.AMD_ACTIVE) || has(IommuSign.SMMU_ACTIVE)) {
        because.add("The kernel's log says that the IOMMU is at work.");
        advice.add("The source shows no groups. " + LOOK);
        return Answer.ON;
      }
      if (has(IommuSign.KERNEL_ENABLED)) {
        because.add("virt-host-validate says that the kernel has made IOMMU groups.");
        advice.add("The source shows no groups. " + LOOK);
        return Answer.ON;
      }
      boolean none =
          !host.functions().isEmpty()
              && host.functions().stream().allMatch(f -> f.group().isNone());
      if (none) {
        because.add("There are no IOMMU groups on this host.");
      }
      // All that apply are told, not only the first.
      boolean off = offByOption();
      off |= guest(none);
      off |= wrongMaker();
      off |= noTable();
      if (off || none) {
        if (!off) {
          usual();
        }
        return Answer.OFF;
      }
      if (has(IommuSign.OPTION_REPEATED)) {
        because.add("'DMAR: IOMMU enabled' only repeats the option of the command line.");
      }
      if (has(IommuSign.DMAR_TABLE) && host.setup().commandLine().isPresent() && !asked()) {
        because.add("Firmware describes VT-d, and the command line does not ask for it.");
        advice.add(INTEL_OPTION);
      }
      advice.add(LOOK);
      return Answer.UNKNOWN;
    }

    private boolean asked() {
      return has(IommuSign.ASKED_INTEL);
    }

    private boolean offByOption() {
      if (!has(IommuSign.OFF)) {
        return false;
      }
      because.add("The kernel was told to do without the IOMMU, or gave it up.");
      advice.add("Take intel_iommu=off, amd_iommu=off or iommu=off off the kernel's command line.");
      if (maker(INTEL) || !maker(AMD)) {
        advice.add(INTEL_OPTION);
      }
      return true;
    }

    private boolean guest(boolean none) {
      if (!has(IommuSign.GUEST) || !none && has(IommuSign.DMAR_TABLE)) {
        return false;
      }
      because.add("This is a virtual machine, and it has no virtual IOMMU.");
      advice.add(
          "Give the VM one: '-device intel-iommu,intremap=on' or '-device virtio-iommu' (QEMU),"
              + " <iommu model='intel'/> (libvirt), viommu=intel (Proxmox).");
      advice.add("Without one a device can be had only unprotected: vfio's noiommu mode.");
      return true;
    }

    private boolean wrongMaker() {
      boolean intel = has(IommuSign.ASKED_INTEL) || has(IommuSign.OPTION_REPEATED);
      boolean amd = has(IommuSign.AMD_ABSENT) || maker(AMD) && !maker(INTEL);
      if (!has(IommuSign.AMD_ABSENT) && !(intel && amd)) {
        return false;
      }
      because.add("The kernel found no IOMMU of AMD's (AMD-Vi).");
      if (intel) {
        because.add(
            "'DMAR: IOMMU enabled' only repeats the option intel_iommu=on, which is for Intel and"
                + " does nothing here.");
      }
      advice.add(FIRMWARE);
      advice.add("AMD's IOMMU needs no option: amd_iommu=on is not one of the kernel's.");
      return true;
    }

    private boolean noTable() {
      if (!has(IommuSign.NO_TABLE)) {
        return false;
      }
      because.add("Firmware describes no IOMMU (no ACPI table DMAR or IVRS).");
      advice.add(FIRMWARE);
      advice.add("In a container or a pod the tables cannot be seen: ask on the host itself.");
      return true;
    }

    /** Nothing says why there are no groups: what it is for most. */
    private void usual() {
      advice.add(FIRMWARE);
      boolean amd = maker(AMD) && !maker(INTEL);
      advice.add(
          amd
              ? "AMD's IOMMU needs no option; amd_iommu=off must not be on the command line."
              : INTEL_OPTION);
      advice.add("A virtual machine needs a virtual IOMMU.");
    }

    private boolean maker(int vendor) {
      return host.functions().stream()
          .filter(f -> f.classCode().filter(c -> c.base() == 0x06).isPresent())
          .anyMatch(f -> f.id().filter(i -> i.vendor() == vendor).isPresent());
    }

    private void modes() {
      if (has(IommuSign.PASS_THROUGH)) {
        because.add(
            "The host's own devices pass through untranslated (iommu=pt); devices that are given"
                + " away are translated all the same.");
      }
      boolean remapping = host.iommu().interruptRemapping().orElse(has(IommuSign.REMAPPING));
      if (!remapping
          && (has(IommuSign.NO_REMAPPING) || host.iommu().interruptRemapping().isPresent())) {
        because.add("Interrupts are not remapped: VFIO refuses devices with EPERM.");
        advice.add(
            "Switch interrupt remapping on (firmware; no intremap=off), or accept the risk with"
                + " vfio_iommu_type1 allow_unsafe_interrupts=1.");
      }
    }
  }
}
