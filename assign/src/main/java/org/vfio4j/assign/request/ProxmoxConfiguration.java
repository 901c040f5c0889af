// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign.request;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.assign.Request;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;

/**
 * Reads the configuration of a Proxmox VM, as {@code qm config} and {@code
 * /etc/pve/qemu-server/100.conf} have it. What follows a section, as of a snapshot, is not the VM.
 */
final class ProxmoxConfiguration {
  private static final Pattern LINE = Pattern.compile("([a-zA-Z0-9_-]+):\\s*(.*)");
  private static final Pattern SLOT =
      Pattern.compile("(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([0-9a-fA-F]{2})");

  private final VmDraft vm;
  private final HostTopology host;

  private ProxmoxConfiguration(VmDraft vm, HostTopology host) {
    this.vm = vm;
    this.host = host;
  }

  static Request read(String source, String text, String name, HostTopology host) {
    VmDraft vm = new VmDraft(source, 1, name);
    ProxmoxConfiguration reader = new ProxmoxConfiguration(vm, host);
    int number = 0;
    for (String line : (Iterable<String>) text.lines()::iterator) {
      number++;
      if (line.startsWith("[")) {
        break;
      }
      Matcher matcher = LINE.matcher(line.strip());
      if (matcher.matches()) {
        reader.line(number, matcher.group(1), matcher.group(2).strip());
      }
    }
    return VmDraft.request(source, List.of(vm));
  }

  private void line(int at, String key, String value) {
    if (key.equals("name")) {
      vm.name = value;
    } else if (key.equals("memory")) {
      memory(at, value);
    } else if (key.equals("machine")) {
      vm.viommu |= List.of(value.split(",")).stream().anyMatch(p -> p.startsWith("viommu="));
    } else if (key.equals("args") && value.contains("vfio-pci")) {
      vm.leftOut(at, "args", "which devices its own arguments give it");
    } else if (key.matches("hostpci[0-9]+")) {
      device(at, key, value);
    }
  }

  /** In MiB; since Proxmox 8 it may be a list of properties of which the first is that. */
  private void memory(int at, String value) {
    String first = value.split(",")[0].replaceFirst("^current=", "");
    if (!first.matches("[0-9]{1,9}")) {
      throw vm.error(at, "memory: in MiB, as in 'memory: 4096', not '" + value + "'");
    }
    vm.memory(at, Long.parseLong(first) << 20);
  }

  private void device(int at, String key, String value) {
    Optional<String> type = Optional.empty();
    Optional<String> devices = Optional.empty();
    for (String part : value.split(",")) {
      int equals = part.indexOf('=');
      String name = equals < 0 ? "host" : part.substring(0, equals);
      String of = part.substring(equals + 1);
      switch (name) {
        case "host" -> devices = Optional.of(of);
        case "mapping" -> vm.leftOut(at, key, "what mapping=%s stands for".formatted(of));
        case "mdev" -> type = Optional.of(of);
        default -> {}
      }
    }
    if (devices.isPresent()) {
      for (String each : devices.get().split(";")) {
        one(at, key, each.strip(), type);
      }
    }
  }

  /** An address; without a function it stands for all functions that the host has there. */
  private void one(int at, String key, String text, Optional<String> type) {
    Matcher slot = SLOT.matcher(text);
    if (!slot.matches()) {
      if (PciAddress.tryParse(text).isEmpty()) {
        throw vm.error(at, "%s: neither 0000:01:00.0 nor 0000:01:00: '%s'".formatted(key, text));
      }
      give(at, text, type);
      return;
    }
    String domain = slot.group(1) == null ? "0000" : slot.group(1);
    String prefix =
        "%s:%s:%s.".formatted(domain, slot.group(2), slot.group(3)).toLowerCase(Locale.ROOT);
    List<String> functions =
        host.functions().stream()
            .map(PciFunction::address)
            .map(PciAddress::toString)
            .filter(a -> a.startsWith(prefix))
            .toList();
    if (type.isPresent() || functions.isEmpty()) {
      give(at, prefix + "0", type);
    } else {
      functions.forEach(f -> give(at, f, type));
    }
  }

  private void give(int at, String address, Optional<String> type) {
    if (type.isPresent()) {
      vm.add(at, DeviceRequest.emulated(address).ofType(type.get()));
    } else {
      vm.function(at, address);
    }
  }
}
