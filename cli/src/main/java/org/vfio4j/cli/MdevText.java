// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.MdevDefinition;
import org.vfio4j.host.MdevDefinition.Start;
import org.vfio4j.host.MdevOffers;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.Vgpu;
import picocli.CommandLine.Help.Ansi.Style;

/** A host's mediated devices, those that exist and those that mdevctl keeps, and virtual GPUs. */
final class MdevText {
  private static final Pattern BROKEN =
      Pattern.compile(MdevDefinition.FOLDER + "/([^/]+)/[0-9a-fA-F-]{36}(?=:)");

  private final Console console;
  private final HostTopology host;

  MdevText(Console console, HostTopology host) {
    this.console = console;
    this.host = host;
  }

  /** Prints what there is of them. */
  void print() {
    List<String> lines = new ArrayList<>();
    host.mdevs().forEach(m -> lines.add(active(m)));
    host.mdevDefinitions().stream()
        .filter(d -> !d.isActive(host))
        .forEach(d -> lines.add(inactive(d)));
    inTheWay().forEach(lines::add);
    section("Mediated devices", lines);
    section("What can be made of virtual functions (vGPU types)", creatable());
  }

  /** One file that is no definition keeps mdevctl from all others of its parent. */
  private List<String> inTheWay() {
    return host.losses().stream()
        .map(l -> BROKEN.matcher(l.text()))
        .filter(Matcher::lookingAt)
        .map(
            m ->
                "%s cannot be read: while it is there mdevctl lists nothing, and starts nothing on %s by itself"
                    .formatted(m.group(), m.group(1)))
        .distinct()
        .toList();
  }

  private void section(String title, List<String> lines) {
    if (lines.isEmpty()) {
      return;
    }
    console.out().println();
    console.out().println(console.paint(Style.bold, title));
    for (String line : lines) {
      console.out().println(Text.wrap(Text.printable(line), console.width(), "  ", "      "));
    }
  }

  private String active(Mdev mdev) {
    Optional<MdevDefinition> definition =
        host.mdevDefinitions(mdev.uuid()).stream().filter(d -> d.isActive(host)).findFirst();
    return mdev.uuid()
        + mdev.type().map(t -> " " + t).orElse("")
        + " on "
        + mdev.parent()
        + mdev.group().map(g -> ", group " + g).orElse("")
        + mdev.driver().value().map(d -> ", " + d).orElse("")
        + definition.map(d -> "; defined, " + how(d)).orElse("");
  }

  private static String how(MdevDefinition definition) {
    int attributes = definition.attributes().size();
    return switch (definition.start()) {
          case AUTO -> "starts with its parent (auto)";
          case MANUAL -> "starts when asked (manual)";
        }
        + (attributes == 0 ? "" : ", with " + Text.count(attributes, "attribute"));
  }

  private String inactive(MdevDefinition definition) {
    if (definition.isOurs()) {
      return ours(definition);
    }
    return definition.uuid()
        + " "
        + definition.type()
        + " on "
        + definition.parent()
        + ": not active; defined, "
        + how(definition)
        + lack(definition);
  }

  /** A function that is wrapped for a VM: no kernel makes a device of it. */
  private String ours(MdevDefinition definition) {
    Optional<PciAddress> wrapped = definition.wrappedFunction();
    if (wrapped.isEmpty()) {
      return "%s %s on %s: that is no PCI function, and nothing can be made of it"
          .formatted(definition.uuid(), definition.type(), definition.parent());
    }
    String parent = definition.parent();
    List<String> said = new ArrayList<>();
    if (host.function(wrapped.get()).isEmpty() && !host.partial()) {
      said.add("there is no such function now");
    }
    if (definition.start() == Start.AUTO) {
      said.add(
          "mdevctl tries to start it with its parent and cannot: mdevctl modify -p %s -u %s --manual"
              .formatted(parent, definition.uuid()));
    }
    if (!definition.attributes().isEmpty()) {
      said.add("its attributes mean nothing");
    }
    host.mdev(definition.uuid())
        .ifPresent(m -> said.add("the device of this name is another one, on " + m.parent()));
    long made = host.mdevs().stream().filter(m -> m.parent().equals(parent)).count();
    if (made > 0) {
      said.add("its driver has made " + Text.count(made, "mdev") + ", gone when it is wrapped");
    }
    if (host.mdevDefinitions().stream()
        .filter(d -> d.wrappedFunction().equals(wrapped))
        .skip(1)
        .findAny()
        .isPresent()) {
      said.add("defined more than once");
    }
    return definition.uuid()
        + " wrapped "
        + parent
        + ": defined for 'vfio up'"
        + said.stream().map(t -> "; " + t).collect(Collectors.joining());
  }

  /** Why it does not start as things are. */
  private String lack(MdevDefinition definition) {
    Optional<Mdev> other = host.mdev(definition.uuid());
    if (other.isPresent()) {
      return "; the device of this name is another one, on " + other.get().parent();
    }
    Optional<MdevOffers> parent = host.mdevParent(definition.parent());
    if (parent.isEmpty()) {
      return "; nothing offers mediated devices there now";
    }
    return parent.get().types().stream()
        .filter(t -> t.id().equals(definition.type()))
        .findFirst()
        .map(t -> t.availableInstances().orElse(1) == 0 ? "; no instance is left" : "")
        .orElse("; that type is not offered there now");
  }

  /** Functions that can become the same are said together. */
  private List<String> creatable() {
    SequencedMap<List<Vgpu.Type>, List<PciAddress>> functions = new LinkedHashMap<>();
    for (PciFunction function : host.functions()) {
      function
          .vgpu()
          .filter(v -> v.current().value().isEmpty())
          .flatMap(Vgpu::creatable)
          .ifPresent(
              types ->
                  functions.computeIfAbsent(types, _ -> new ArrayList<>()).add(function.address()));
    }
    List<String> lines = new ArrayList<>();
    for (Map.Entry<List<Vgpu.Type>, List<PciAddress>> same : functions.entrySet()) {
      String names =
          same.getValue().stream().map(PciAddress::toString).collect(Collectors.joining(", "));
      String types =
          same.getKey().stream().map(Vgpu.Type::toString).collect(Collectors.joining(", "));
      lines.add(names + ": " + (types.isEmpty() ? "none now" : types));
    }
    return lines;
  }
}
