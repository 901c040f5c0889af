// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign.request;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.Sizes;
import org.vfio4j.assign.request.CommandLines.Word;
import org.vfio4j.host.tree.Tree;
import org.vfio4j.host.tree.TreeReader;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/** Reads what cloud-hypervisor is started with: its command lines, or its configuration as JSON. */
final class CloudHypervisor {
  private CloudHypervisor() {}

  static Request readCommandLines(String source, String text, String name) {
    List<VmDraft> found = new ArrayList<>();
    for (List<Word> words : CommandLines.split(text)) {
      if (words.stream().anyMatch(w -> w.text().startsWith("--"))) {
        String own = found.isEmpty() ? name : name + "-" + (found.size() + 1);
        VmDraft vm = new VmDraft(source, words.getFirst().line(), own);
        options(source, vm, words);
        found.add(vm);
      }
    }
    return VmDraft.request(source, found);
  }

  /** An option may have several values, each a word of its own, until the next option. */
  private static void options(String source, VmDraft vm, List<Word> words) {
    String option = "";
    for (Word word : words) {
      if (word.text().startsWith("-")) {
        int equals = word.text().indexOf('=');
        option = equals < 0 ? word.text() : word.text().substring(0, equals);
        if (equals >= 0) {
          value(source, vm, option, new Word(word.line(), word.text().substring(equals + 1)));
        }
      } else {
        value(source, vm, option, word);
      }
    }
  }

  private static void value(String source, VmDraft vm, String option, Word word) {
    if (option.equals("--device")) {
      Properties device = Properties.of(source, word.text(), "path");
      vm.viommu |= device.is("iommu");
      vm.sysfs(word.line(), device.get("path").orElse(word.text()));
    } else if (option.equals("--memory")) {
      String size = Properties.of(source, word.text(), "size").get("size").orElse("");
      Optional<Long> bytes = Sizes.parse(size);
      if (bytes.isEmpty()) {
        throw vm.error(word.line(), "--memory: no size: '" + word.text() + "'");
      }
      vm.memory(word.line(), bytes.get());
    }
  }

  static Request readConfiguration(String source, String text, String name) {
    VmDraft vm = new VmDraft(source, 1, name);
    try (JsonParser parser = new JsonFactory().createParser(ObjectReadContext.empty(), text)) {
      Tree.Obj root = TreeReader.read(parser, source).asObject();
      root.field("memory")
          .flatMap(m -> m.asObject().field("size"))
          .ifPresent(s -> vm.memory(s.at().line(), s.asLong(0, Long.MAX_VALUE)));
      List<Tree> devices = root.field("devices").map(Tree::asList).orElse(List.of());
      for (Tree each : devices) {
        Tree.Obj device = each.asObject();
        vm.viommu |= device.field("iommu").map(Tree::asBoolean).orElse(false);
        vm.sysfs(each.at().line(), device.required("path").asText());
      }
    }
    return VmDraft.request(source, List.of(vm));
  }
}
