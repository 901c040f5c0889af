// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign.request;

import java.util.Locale;
import java.util.Optional;
import java.util.UUID;
import org.vfio4j.assign.BuiltIn;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.VmRequest;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;

/**
 * A request as what to put into the configuration of a VMM. What it has no words for, as a device
 * that no Linux makes, is a remark there.
 */
public enum Written {
  /** Arguments of QEMU, for x86. */
  QEMU {
    @Override
    String vm(VmRequest vm, HostTopology host) {
      StringBuilder out = new StringBuilder("# " + plain(vm.name()) + "\n");
      out.append("-name 'guest=").append(plain(vm.name()).replace("'", "").replace(",", ",,"));
      out.append("'");
      vm.memory().ifPresent(m -> out.append(" \\\n-m ").append(m >> 20).append("M"));
      out.append(" \\\n-machine q35");
      if (vm.viommu()) {
        out.append(" \\\n-device intel-iommu,caching-mode=on");
      }
      StringBuilder remarks = new StringBuilder();
      for (DeviceRequest d : vm.devices()) {
        switch (d.mode()) {
          case WHOLE -> {
            out.append(" \\\n-device vfio-pci,host=").append(d.device());
            d.token().ifPresent(t -> out.append(",vf-token=").append(t));
          }
          case MDEV ->
              out.append(" \\\n-device vfio-pci,sysfsdev=/sys/bus/mdev/devices/")
                  .append(d.device());
          case WRAPPED, AUX, EMULATED -> remarks.append(made(d));
        }
      }
      vm.serving().builtIn().forEach(b -> remarks.append("# ").append(served(b)).append("\n"));
      return out.append("\n").append(remarks).toString();
    }

    private String made(DeviceRequest d) {
      return "# %s: create the mediated device, then -device vfio-pci,sysfsdev=/sys/bus/mdev/devices/UUID\n"
          .formatted(d);
    }
  },

  /** Domain XML of libvirt, for x86. */
  LIBVIRT {
    @Override
    String vm(VmRequest vm, HostTopology host) {
      StringBuilder out = new StringBuilder("<domain type='kvm'>\n");
      out.append("  <name>").append(escaped(vm.name())).append("</name>\n");
      // A domain has to have RAM.
      long kib = vm.memory().orElse(1L << 30) >> 10;
      out.append("  <memory unit='KiB'>").append(kib).append("</memory>\n");
      vm.memlock()
          .ifPresent(
              l ->
                  out.append("  <memtune>\n    <hard_limit unit='KiB'>")
                      .append(l >> 10)
                      .append("</hard_limit>\n  </memtune>\n"));
      out.append("  <os>\n    <type arch='x86_64' machine='q35'>hvm</type>\n  </os>\n");
      if (vm.viommu()) {
        out.append("  <features>\n    <ioapic driver='qemu'/>\n  </features>\n");
      }
      out.append("  <devices>\n");
      if (vm.viommu()) {
        out.append("    <iommu model='intel'>\n      <driver intremap='on' caching_mode='on'/>\n");
        out.append("    </iommu>\n");
      }
      vm.devices().forEach(d -> out.append(device(d, host)));
      vm.serving()
          .builtIn()
          .forEach(b -> out.append("    <!-- ").append(served(b)).append(" -->\n"));
      return out.append("  </devices>\n</domain>\n").toString();
    }

    // libvirt must not take it from the driver that makes it.
    private boolean isVendors(DeviceRequest d, HostTopology host) {
      return host.function(PciAddress.parse(d.device()))
          .filter(PciFunction::offeredByVendor)
          .isPresent();
    }

    private String device(DeviceRequest d, HostTopology host) {
      if (d.token().isPresent()) {
        return "    <!-- %s: libvirt has no word for its token, vf-token=%s -->\n"
            .formatted(d, d.token().get());
      }
      return switch (d.mode()) {
        case WHOLE ->
            hostdev(
                "mode='subsystem' type='pci' managed='%s'"
                    .formatted(isVendors(d, host) ? "no" : "yes"),
                pci(PciAddress.parse(d.device())));
        case MDEV ->
            hostdev(
                "mode='subsystem' type='mdev' model='vfio-pci'",
                "<address uuid='" + d.device() + "'/>");
        case WRAPPED, AUX, EMULATED ->
            "    <!-- %s: create the mediated device, then a hostdev of type mdev with its UUID -->\n"
                .formatted(d);
      };
    }

    private String pci(PciAddress a) {
      return "<address domain='0x%04x' bus='0x%02x' slot='0x%02x' function='0x%x'/>"
          .formatted(a.domain(), a.bus(), a.device(), a.function());
    }

    private String hostdev(String attributes, String address) {
      return "    <hostdev %s>\n      <source>\n        %s\n      </source>\n    </hostdev>\n"
          .formatted(attributes, address);
    }
  },

  /** Lines of a Proxmox VM's configuration. */
  PROXMOX {
    @Override
    String vm(VmRequest vm, HostTopology host) {
      StringBuilder out = new StringBuilder("# " + plain(vm.name()) + "\n");
      vm.memory().ifPresent(m -> out.append("memory: ").append(m >> 20).append("\n"));
      out.append("machine: q35").append(vm.viommu() ? ",viommu=intel" : "").append("\n");
      int number = 0;
      for (DeviceRequest d : vm.devices()) {
        Optional<String> value = value(d, host);
        if (value.isPresent()) {
          out.append("hostpci%d: %s\n".formatted(number++, value.get()));
        } else if (d.token().isPresent()) {
          out.append("# %s: in Proxmox only as args: ".formatted(d))
              .append("-device vfio-pci,host=%s,vf-token=%s\n".formatted(d, d.token().get()));
        } else {
          out.append("# %s: Proxmox has no word for it\n".formatted(d));
        }
      }
      vm.serving().builtIn().forEach(b -> out.append("# ").append(served(b)).append("\n"));
      return out.toString();
    }

    // Proxmox makes and removes mediated devices itself: it is told the type.
    private Optional<String> value(DeviceRequest d, HostTopology host) {
      return switch (d.mode()) {
        case WHOLE -> Optional.of(d.device() + ",pcie=1").filter(_ -> d.token().isEmpty());
        case EMULATED -> d.type().map(t -> d.device() + ",mdev=" + t);
        case MDEV ->
            host.mdev(UUID.fromString(d.device()))
                .filter(m -> PciAddress.tryParse(m.parent()).isPresent())
                .flatMap(m -> m.type().map(t -> kind(m.parent(), t)))
                .or(() -> defined(UUID.fromString(d.device()), host));
        case WRAPPED, AUX -> Optional.empty();
      };
    }

    // The type by which the kernel knows it, driver first.
    private String kind(String parent, String type) {
      return parent + ",mdev=" + type;
    }

    private Optional<String> defined(UUID uuid, HostTopology host) {
      return host.mdevDefinitions(uuid).stream()
          .filter(d -> d.parentAddress().isPresent())
          .map(d -> kind(d.parent(), d.type()))
          .findFirst();
    }
  };

  /** All VMs of the request. */
  public String text(Request request, HostTopology host) {
    StringBuilder out = new StringBuilder();
    for (VmRequest vm : request.vms()) {
      out.append(out.isEmpty() ? "" : "\n").append(vm(vm, host));
    }
    return out.toString();
  }

  /** One VM. */
  abstract String vm(VmRequest vm, HostTopology host);

  /** The name as an option of the command has it. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  static String served(BuiltIn device) {
    return device.word() + ": 'vfio up' serves it, and prints what to put here";
  }

  static String plain(String name) {
    return name.replaceAll("\\p{Cntrl}", " ");
  }

  static String escaped(String text) {
    return plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }
}
