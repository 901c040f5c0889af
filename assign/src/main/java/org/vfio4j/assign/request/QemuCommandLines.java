// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign.request;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.Sizes;
import org.vfio4j.assign.request.CommandLines.Word;

/** Reads command lines of QEMU: a script's, libvirt's log's, Proxmox', or those that ps shows. */
final class QemuCommandLines {
  private static final Set<String> IOMMUS =
      Set.of("intel-iommu", "amd-iommu", "virtio-iommu-pci", "virtio-iommu", "arm-smmuv3");

  private final String source;
  private final VmDraft vm;

  private QemuCommandLines(String source, VmDraft vm) {
    this.source = source;
    this.vm = vm;
  }

  static Request read(String source, String text, String name) {
    List<VmDraft> found = new ArrayList<>();
    for (List<Word> words : CommandLines.split(text)) {
      if (words.stream().anyMatch(w -> w.text().startsWith("-"))) {
        String own = found.isEmpty() ? name : name + "-" + (found.size() + 1);
        VmDraft vm = new VmDraft(source, words.getFirst().line(), own);
        new QemuCommandLines(source, vm).options(words);
        found.add(vm);
      }
    }
    return VmDraft.request(source, found);
  }

  private void options(List<Word> words) {
    boolean named = false;
    for (int i = 0; i + 1 < words.size(); i++) {
      Word value = words.get(i + 1);
      // QEMU takes an option with two dashes as well.
      switch (words.get(i).text().replaceFirst("^--", "-")) {
        case "-name" -> {
          Properties name = Properties.of(source, value.text(), "guest");
          vm.name = name.get("guest").orElse(vm.name).replace('#', '_');
          named = true;
        }
        case "-id" -> vm.name = named ? vm.name : value.text();
        case "-m" -> memory(value);
        case "-device" -> device(value);
        case "-machine", "-M" ->
            vm.viommu |= Properties.of(source, value.text(), "type").get("iommu").isPresent();
        case "-readconfig" ->
            vm.leftOut(value.line(), "-readconfig " + value.text(), "what it says of devices");
        default -> {}
      }
    }
  }

  /** In MiB where there is no unit. */
  private void memory(Word value) {
    String size = Properties.of(source, value.text(), "size").get("size").orElse("");
    boolean bare = size.matches("[0-9]+");
    Optional<Long> bytes = Sizes.parse(bare ? size + "M" : size);
    vm.memory(
        value.line(),
        bytes.orElseThrow(
            () -> vm.error(value.line(), "-m: no size of QEMU: '" + value.text() + "'")));
  }

  private void device(Word value) {
    Properties device = Properties.of(source, value.text(), "driver");
    String driver = device.get("driver").orElse("");
    vm.viommu |= IOMMUS.contains(driver);
    if (!driver.equals("vfio-pci") && !driver.equals("vfio-pci-nohotplug")) {
      return;
    }
    int at = value.line();
    if (device.get("host").isPresent()) {
      vm.function(at, device.get("host").get(), device.get("vf-token"));
    } else if (device.get("sysfsdev").isPresent()) {
      vm.sysfs(at, device.get("sysfsdev").get(), device.get("vf-token"));
    } else {
      vm.leftOut(at, value.text(), "which device that is");
    }
    if (device.get("iommufd").isPresent()) {
      vm.leftOut(at, "iommufd of " + value.text(), "what iommufd answers, as groups are asked,");
    }
  }
}
