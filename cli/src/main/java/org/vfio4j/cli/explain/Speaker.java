// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.EnumSet;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** A program that prints messages about VFIO, and how a line of it is known. */
public enum Speaker {
  KERNEL(
      "the kernel",
      "\\bkernel:|^\\W*\\["
          + " *[0-9]+\\.[0-9]{6}\\]|\\b(?:DMAR|AMD-Vi|iommu|arm-smmu(?:-v3)?):|\\bvfio-pci"
          + " [0-9a-f]{4,}:|\\bvfio_(?:pci|iommu_type1\\w*|pin_pages\\w*):|^pci(?:eport)?"
          + " [0-9a-f]{4}:"),
  QEMU(
      "QEMU",
      "qemu-(?:kvm|system)|\\bkvm: |-device vfio|\\bvfio"
          + " [0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]:|vfio_(?:container_|legacy_)?dma_(?:un)?map|vfio_listener|VFIO_MAP_DMA"
          + " failed"),
  LIBVIRT(
      "libvirt",
      "libvirt|\\bvirsh\\b|\\bvirPCI|qemuHostdev|virHost|internal error:|unsupported"
          + " configuration:|Requested operation is not valid:"),
  VIRT_HOST_VALIDATE("virt-host-validate", "\\b(?:QEMU|LXC|CH|BHYVE): Checking "),
  PROXMOX(
      "Proxmox VE",
      "TASK ERROR|\\bpve|\\bhostpci|/usr/bin/kvm -id|QEMU exited with code|\\bqm start"),
  KUBEVIRT(
      "KubeVirt",
      "virt-(?:handler|launcher|api|controller|operator)|SyncVMI|kubevirt|VirtualMachineInstance|"
          + "permittedHostDevices"),
  KATA(
      "Kata Containers",
      "\\bkata|failed to launch qemu|from qemu log|to hotplug device|create shim"
          + " task|HostPath:/dev/vfio"),
  CONTAINERS(
      "a container runtime",
      "docker|podman|containerd|kubelet|\\bcri-?o\\b|\\bpods?\\b|\\bcontainers?\\b(?!"
          + " (?:for|info))|\\brunc\\b"),
  CLOUD_HYPERVISOR(
      "cloud-hypervisor",
      "cloud-hypervisor|cloud_hypervisor|\\bVmBoot|DeviceManager\\(|VfioMapRegion|IommuDma|VfioCreate|from"
          + " device manager"),
  CROSVM("crosvm", "\\bcrosvm\\b"),
  OPENSTACK(
      "OpenStack", "\\bnova[.-]|openstack|PciDevice(?:Prepare|Request)Failed|Claim pci failed"),
  DPDK("DPDK", "\\bEAL:|\\bdpdk|testpmd|PCI_BUS:|(?:un)?bind failed for|\\bvpp\\b"),
  SPDK("SPDK", "\\bspdk|nvmf_tgt|bdevperf"),
  VIRTUALBOX("VirtualBox", "VirtualBox|\\bVBox|AssertLogRel|VfioDevice\\.cpp"),
  XEN("Xen", "\\blibxl|\\bxl: |xen-pciback|\\bxen\\b"),
  LXD("LXD or Incus", "\\blxd\\b|\\bincus\\b|\\blxc "),
  NVIDIA("NVIDIA's software", "\\bnvidia|\\bNVRM:|vgpu"),
  SHELL("a shell", "write error:|\\b(?:ba|z|da)?sh: |\\btee: |\\becho: ");

  private final String title;
  private final Pattern known;

  Speaker(String title, String known) {
    this.title = title;
    this.known = Pattern.compile(known, Pattern.CASE_INSENSITIVE);
  }

  /** Its name for a reader, as in "QEMU says". */
  public String title() {
    return title;
  }

  /** Its name in the rules and in JSON: in small letters, with dashes. */
  public String word() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** The speaker of that name in the rules. */
  static Optional<Speaker> of(String word) {
    return Stream.of(values()).filter(s -> s.word().equals(word)).findFirst();
  }

  /** Whose marks a line shows, wrappers and quoted programs among them. */
  static Set<Speaker> in(String line) {
    Set<Speaker> found = EnumSet.noneOf(Speaker.class);
    for (Speaker speaker : values()) {
      if (speaker.known.matcher(line).find()) {
        found.add(speaker);
      }
    }
    return found;
  }
}
