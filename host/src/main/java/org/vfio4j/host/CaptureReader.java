// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.vfio4j.host.tree.Tree;
import org.vfio4j.host.tree.TreeReader;
import org.vfio4j.iommu.ReservedRegion;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/**
 * Reads the project's own capture, as {@code capture.schema.json} describes it. A field that is
 * missing is unknown; one that is null is known to be none.
 */
final class CaptureReader {

  static final String VERSION_FIELD = "vfio4j-capture";

  /**
   * The first version; it has no roles but the first three. The second has not how the host was
   * started, nor driver overrides, nor losses. Both are read as the newest is.
   */
  private static final int FIRST_VERSION = 1;

  static final int VERSION = 3;

  private static final Set<String> ROOT =
      Set.of(
          VERSION_FIELD,
          "$schema",
          "name",
          "origin",
          "kernel",
          "partial",
          "iommu",
          "roles",
          "functions",
          "groups",
          "mdevParents",
          "mdevs",
          "mdevDefinitions",
          "commandLine",
          "moduleParameters",
          "iommuSigns",
          "losses");
  private static final Set<String> FUNCTION =
      Set.of(
          "address",
          "id",
          "subsystem",
          "class",
          "header",
          "pcie",
          "driver",
          "driverOverride",
          "group",
          "physfn",
          "numVfs",
          "totalVfs",
          "reset",
          "resettable",
          "numa",
          "acs",
          "parent",
          "buses",
          "unit",
          "identityMaps",
          "rmrrLocked",
          "description",
          "vgpu",
          "signs");
  private static final Set<String> IOMMU =
      Set.of(
          "interruptRemapping",
          "cacheCoherency",
          "addressWidth",
          "pageSizes",
          "allowUnsafeInterrupts",
          "dmaEntryLimit",
          "rmrrs");
  private static final Set<String> GROUP = Set.of("id", "type", "others", "reserved");

  private final HostBuilder host;
  private final Map<PciAddress, Tree.Obj> functions = new HashMap<>();
  private final Set<Integer> inhabited = new HashSet<>();

  private CaptureReader(String source) {
    this.host = new HostBuilder(source);
  }

  /** Reads the one host of a capture; its name is the given one if the capture has none. */
  static HostTopology read(String source, String name, byte[] json) {
    try (JsonParser parser = new JsonFactory().createParser(ObjectReadContext.empty(), json)) {
      Tree.Obj root = TreeReader.read(parser, source).asObject();
      // 'vfio host --json' has facts of the groups beside the capture.
      Optional<Tree> inner =
          root.field(VERSION_FIELD).isPresent() ? Optional.empty() : root.field("capture");
      return new CaptureReader(source).host(name, inner.map(Tree::asObject).orElse(root));
    }
  }

  private HostTopology host(String fallbackName, Tree.Obj root) {
    if (root.field(VERSION_FIELD).isEmpty()) {
      throw root.at().error("no capture: the field '" + VERSION_FIELD + "' is missing");
    }
    int version = root.required(VERSION_FIELD).asInt(0, Integer.MAX_VALUE);
    if (version < FIRST_VERSION || version > VERSION) {
      throw root.required(VERSION_FIELD)
          .at()
          .error("version " + version + " of the format; this program knows 1 to " + VERSION);
    }
    root.only(ROOT);
    boolean partial = root.field("partial").map(Tree::asBoolean).orElse(false);
    root.required("functions").asList().forEach(f -> function(f.asObject()));
    checkFunctions();
    root.field("groups").ifPresent(l -> l.asList().forEach(g -> group(g.asObject())));
    if (!partial) {
      root.field("groups").ifPresent(l -> l.asList().forEach(g -> members(g.asObject())));
    }
    new CaptureMdevs(host).read(root, partial);
    root.field("iommu").ifPresent(i -> host.iommu(iommu(i.asObject())));
    root.field("roles").ifPresent(r -> roles(r.asObject(), partial));
    CaptureFields.text(root, "kernel").ifPresent(host::kernel);
    host.setup(setup(root));
    root.field("losses").ifPresent(l -> l.map(CaptureReader::loss).forEach(host::lost));
    Origin origin =
        root.field("origin")
            .map(t -> CaptureFields.word(t, Origin.values(), Origin::word))
            .orElse(Origin.MANUAL);
    return host.build(CaptureFields.text(root, "name").orElse(fallbackName), origin, partial);
  }

  private static HostSetup setup(Tree.Obj root) {
    TreeMap<String, String> parameters = new TreeMap<>();
    root.field("moduleParameters")
        .ifPresent(
            p ->
                p.asObject()
                    .fields()
                    .forEach((name, value) -> parameters.put(name, value.asText())));
    List<IommuSign> signs =
        root.field("iommuSigns")
            .map(l -> l.map(t -> CaptureFields.word(t, IommuSign.values(), IommuSign::word)))
            .orElse(List.of());
    return new HostSetup(CaptureFields.text(root, "commandLine"), parameters, Set.copyOf(signs));
  }

  private static Loss loss(Tree from) {
    Tree.Obj object = from.asObject();
    object.only(Set.of("line", "text", "why"));
    return new Loss(
        object.required("line").asInt(0, Integer.MAX_VALUE),
        object.required("text").asText(),
        CaptureFields.word(object.required("why"), Loss.Reason.values(), Loss.Reason::word));
  }

  private void function(Tree.Obj from) {
    from.only(FUNCTION);
    PciAddress address = from.required("address").parse(PciAddress::parse);
    PciFunction.Builder to = host.newFunction(address, CaptureFields.place(from));
    to.id(from.field("id").map(t -> t.parse(PciId::parse)));
    to.subsystem(from.field("subsystem").map(t -> t.parse(PciId::parse)));
    to.classCode(from.field("class").map(t -> t.parse(PciClass::parse)));
    to.headerType(
        from.field("header")
            .map(t -> CaptureFields.word(t, HeaderType.values(), HeaderType::word)));
    to.pcieType(
        from.field("pcie").map(t -> CaptureFields.word(t, PcieType.values(), PcieType::word)));
    to.driver(CaptureFields.fact(from, "driver", CaptureFields::filled));
    to.driverOverride(CaptureFields.fact(from, "driverOverride", CaptureFields::filled));
    Fact<Integer> group = CaptureFields.fact(from, "group", t -> t.asInt(0, Integer.MAX_VALUE));
    group.value().ifPresent(g -> host.member(g, address.toString(), CaptureFields.place(from)));
    group.value().ifPresent(inhabited::add);
    to.group(group);
    to.physicalFunction(CaptureFields.fact(from, "physfn", t -> t.parse(PciAddress::parse)));
    to.numVfs(from.field("numVfs").map(t -> t.asInt(0, 0xffff)));
    to.totalVfs(from.field("totalVfs").map(t -> t.asInt(0, 0xffff)));
    to.resetMethods(from.field("reset").map(t -> t.map(CaptureFields::filled)));
    to.resettable(from.field("resettable").map(Tree::asBoolean));
    to.numaNode(CaptureFields.fact(from, "numa", t -> t.asInt(0, 0xffff)));
    to.acs(CaptureFields.fact(from, "acs", t -> acs(t.asObject())));
    to.parent(CaptureFields.fact(from, "parent", t -> t.parse(PciAddress::parse)));
    to.buses(from.field("buses").map(CaptureReader::buses));
    to.iommuUnit(CaptureFields.text(from, "unit"));
    to.identityMaps(
        from.field("identityMaps").map(t -> t.map(CaptureReader::region)).orElse(List.of()));
    to.rmrrLocked(from.field("rmrrLocked").map(Tree::asBoolean));
    to.description(CaptureFields.text(from, "description"));
    to.vgpu(from.field("vgpu").map(v -> CaptureMdevs.vgpu(v.asObject())));
    Optional<Boolean> resettable = from.field("resettable").map(Tree::asBoolean);
    if (resettable.isPresent() && !to.build().resettable().equals(resettable)) {
      throw from.required("resettable").at().error("'reset' says otherwise");
    }
    from.field("signs").ifPresent(l -> l.asList().forEach(w -> to.sign(sign(w))));
    functions.put(address, from);
  }

  private static FunctionSign sign(Tree word) {
    return FunctionSign.ofWord(word.asText())
        .orElseThrow(() -> word.at().error("no sign of a function that is known"));
  }

  private void checkFunctions() {
    List<PciFunction> built = new ArrayList<>();
    host.functions().forEach(f -> built.add(f.build()));
    for (FunctionRules.Contradiction first : FunctionRules.contradictions(built)) {
      Tree.Obj place = Objects.requireNonNull(functions.get(first.function()));
      throw place.field(first.field()).orElse(place).at().error(first.message());
    }
  }

  private static Acs acs(Tree.Obj from) {
    from.only(Set.of("cap", "ctl"));
    Function<Tree, Acs.Feature> feature =
        t -> CaptureFields.word(t, Acs.Feature.values(), Acs.Feature::name);
    return new Acs(
        Set.copyOf(from.required("cap").map(feature)),
        Set.copyOf(from.required("ctl").map(feature)));
  }

  private static BusRange buses(Tree from) {
    List<Integer> ends = from.map(t -> t.asInt(0, 0xff));
    if (ends.size() != 2 || ends.get(0) > ends.get(1)) {
      throw from.at().error("must be [secondary, subordinate], the second not below the first");
    }
    return new BusRange(ends.get(0), ends.get(1));
  }

  private static ReservedRegion region(Tree from) {
    Tree.Obj object = from.asObject();
    object.only(Set.of("start", "last", "type"));
    ReservedRegion.Type type =
        CaptureFields.word(
            object.required("type"), ReservedRegion.Type.values(), ReservedRegion.Type::word);
    String start = hex(object.required("start"));
    String last = hex(object.required("last"));
    return Regions.of(start, last, type)
        .orElseThrow(() -> from.at().error("the region ends before it starts"));
  }

  private static String hex(Tree tree) {
    String text = tree.asText();
    if (!text.matches("0x[0-9a-fA-F]{1,16}")) {
      throw tree.at().error("must be a hex number such as '0xfee00000', not '" + text + "'");
    }
    return text.substring(2);
  }

  private void group(Tree.Obj from) {
    from.only(GROUP);
    int id = from.required("id").asInt(0, Integer.MAX_VALUE);
    host.newGroup(id, CaptureFields.place(from));
    CaptureFields.text(from, "type").ifPresent(t -> host.groupType(id, t));
    from.field("reserved").ifPresent(r -> host.groupRegions(id, r.map(CaptureReader::region)));
    Set<String> others = new HashSet<>();
    for (Tree other : from.field("others").map(Tree::asList).orElse(List.of())) {
      String device = CaptureFields.filled(other);
      if (!others.add(device)) {
        throw other.at().error("named twice");
      }
      if (PciAddress.tryParse(device).isPresent()) {
        throw other.at().error("a PCI function names its group itself, in 'group'");
      }
      host.member(id, device, CaptureFields.place(other));
    }
    if (!others.isEmpty()) {
      inhabited.add(id);
    }
  }

  private void members(Tree.Obj group) {
    int id = group.required("id").asInt(0, Integer.MAX_VALUE);
    if (!inhabited.contains(id)) {
      throw group.at().error("group " + id + " has no members: Linux removes such a group");
    }
  }

  private static IommuFacts iommu(Tree.Obj from) {
    from.only(IOMMU);
    return new IommuFacts(
        from.field("interruptRemapping").map(Tree::asBoolean),
        from.field("cacheCoherency").map(Tree::asBoolean),
        from.field("addressWidth").map(t -> t.asInt(1, 64)),
        from.field("pageSizes").map(l -> l.map(CaptureReader::pageSize)),
        from.field("allowUnsafeInterrupts").map(Tree::asBoolean),
        from.field("dmaEntryLimit").map(t -> t.asLong(0, Long.MAX_VALUE)),
        from.field("rmrrs").map(l -> l.map(CaptureReader::region)));
  }

  private static long pageSize(Tree from) {
    long size = from.asLong(1, Long.MAX_VALUE);
    if (Long.bitCount(size) != 1) {
      throw from.at().error("a page size is a power of two, not " + size);
    }
    return size;
  }

  private void roles(Tree.Obj from, boolean partial) {
    Map<Role, Tree> given = new EnumMap<>(Role.class);
    from.only(
        Stream.concat(Stream.of("partly", "because"), Arrays.stream(Role.values()).map(Role::word))
            .collect(Collectors.toSet()));
    List<Role> partly =
        from.field("partly")
            .map(l -> l.map(t -> CaptureFields.word(t, Role.values(), Role::word)))
            .orElse(List.of());
    for (Role role : Role.values()) {
      from.field(role.word()).ifPresent(t -> given.put(role, t));
    }
    given.forEach(
        (role, carriers) ->
            host.role(
                role,
                carriers.map(t -> known(t, t.parse(PciAddress::parse), partial)),
                partly.contains(role)));
    from.field("because")
        .ifPresent(
            b ->
                b.asObject()
                    .fields()
                    .forEach(
                        (function, uses) ->
                            host.because(
                                known(uses, address(uses, function), partial),
                                uses.map(Tree::asText))));
  }

  private static PciAddress address(Tree at, String text) {
    return PciAddress.tryParse(text)
        .orElseThrow(() -> at.at().error("no PCI address: '" + text + "'"));
  }

  private PciAddress known(Tree at, PciAddress address, boolean partial) {
    if (!partial && !host.has(address)) {
      throw at.at().error("no function of this host");
    }
    return address;
  }
}
