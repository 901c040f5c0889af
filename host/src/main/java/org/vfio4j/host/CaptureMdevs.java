// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import org.vfio4j.host.tree.Tree;

/** The mediated devices of a capture, and what offers them. */
final class CaptureMdevs {
  private static final Set<String> MDEV = Set.of("uuid", "parent", "type", "group", "driver");
  private static final Set<String> DEFINITION = Set.of("uuid", "parent", "type", "start", "attrs");
  private static final Set<String> TYPE =
      Set.of("id", "name", "api", "availableInstances", "description");

  private final HostBuilder host;

  /** The mdev types of each parent. */
  private final Map<String, Set<String>> offered = new HashMap<>();

  CaptureMdevs(HostBuilder host) {
    this.host = host;
  }

  /**
   * Reads them.
   *
   * @param partial whether a parent may be missing
   */
  void read(Tree.Obj root, boolean partial) {
    root.field("mdevParents").ifPresent(l -> l.asList().forEach(p -> parent(p.asObject())));
    boolean parents = root.field("mdevParents").isPresent() && !partial;
    root.field("mdevs").ifPresent(l -> l.asList().forEach(m -> mdev(m.asObject(), parents)));
    root.field("mdevDefinitions").ifPresent(l -> l.asList().forEach(d -> definition(d.asObject())));
  }

  private void parent(Tree.Obj from) {
    from.only(Set.of("device", "isolation", "types"));
    List<MdevType> types = new ArrayList<>();
    for (Tree item : from.field("types").map(Tree::asList).orElse(List.of())) {
      Tree.Obj type = item.asObject();
      type.only(TYPE);
      types.add(
          new MdevType(
              CaptureFields.filled(type.required("id")),
              CaptureFields.text(type, "name"),
              CaptureFields.text(type, "api"),
              type.field("availableInstances").map(t -> t.asInt(0, Integer.MAX_VALUE)),
              CaptureFields.text(type, "description")));
    }
    Optional<MdevIsolation> isolation =
        from.field("isolation")
            .map(t -> CaptureFields.word(t, MdevIsolation.values(), MdevIsolation::word));
    Tree device = from.required("device");
    String name = CaptureFields.filled(device);
    PciAddress.tryParse(name)
        .filter(host::has)
        .map(a -> host.function(a, CaptureFields.place(device)).build())
        .filter(f -> f.isBridge().orElse(false))
        .ifPresent(
            f -> {
              throw device.at().error("a bridge offers no mediated devices");
            });
    host.mdevParent(new MdevOffers(name, types, isolation), CaptureFields.place(from));
    offered.put(name, types.stream().map(MdevType::id).collect(Collectors.toSet()));
  }

  private static UUID uuid(Tree.Obj from) {
    Tree name = from.required("uuid");
    return Mdev.parseUuid(name.asText()).orElseThrow(() -> name.at().error("no UUID"));
  }

  private void definition(Tree.Obj from) {
    from.only(DEFINITION);
    MdevDefinition.Start start =
        CaptureFields.word(
            from.required("start"), MdevDefinition.Start.values(), MdevDefinition.Start::word);
    List<MdevDefinition.Attribute> attributes =
        from.field("attrs").map(l -> l.map(MdevDefinition::attribute)).orElse(List.of());
    MdevDefinition definition;
    try {
      definition =
          new MdevDefinition(
              uuid(from),
              from.required("parent").asText(),
              from.required("type").asText(),
              start,
              attributes);
    } catch (IllegalArgumentException e) {
      throw from.at().error(String.valueOf(e.getMessage()));
    }
    if (!host.mdevDefinition(definition)) {
      throw from.at().error("a second definition of this UUID for this parent");
    }
  }

  /** What is made of a function by its vendor's driver. */
  static Vgpu vgpu(Tree.Obj from) {
    from.only(Set.of("current", "creatable"));
    Optional<List<Vgpu.Type>> creatable =
        from.field("creatable").map(l -> l.map(t -> vgpuType(t.asObject())));
    return new Vgpu(
        CaptureFields.fact(from, "current", t -> t.asInt(1, Integer.MAX_VALUE)), creatable);
  }

  private static Vgpu.Type vgpuType(Tree.Obj from) {
    from.only(Set.of("id", "name"));
    return new Vgpu.Type(
        from.required("id").asInt(1, Integer.MAX_VALUE), from.required("name").asText());
  }

  private void mdev(Tree.Obj from, boolean allParents) {
    from.only(MDEV);
    UUID uuid = uuid(from);
    Optional<Integer> group = from.field("group").map(t -> t.asInt(0, Integer.MAX_VALUE));
    Fact<String> driver = CaptureFields.fact(from, "driver", Tree::asText);
    Tree parent = from.required("parent");
    Optional<String> type = CaptureFields.filled(from, "type");
    Optional<Set<String>> types = Optional.ofNullable(offered.get(CaptureFields.filled(parent)));
    if (allParents && types.isEmpty()) {
      throw parent.at().error("none of 'mdevParents'");
    }
    if (type.isPresent()
        && types.filter(t -> !t.isEmpty() && !t.contains(type.get())).isPresent()) {
      throw from.required("type").at().error("no type that " + parent.asText() + " offers");
    }
    host.mdev(
        new Mdev(uuid, CaptureFields.filled(parent), type, group, driver),
        CaptureFields.place(from));
  }
}
