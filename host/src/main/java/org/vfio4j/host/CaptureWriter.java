// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.io.StringWriter;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.vfio4j.iommu.ReservedRegion;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/**
 * Writes the project's own capture: JSON in a stable order, one function, group or mediated device
 * per line, so that two captures of a machine can be compared line by line. What is unknown is left
 * out; what is known to be none is null.
 */
public final class CaptureWriter {

  private static final JsonFactory FACTORY = new JsonFactory();

  private CaptureWriter() {}

  /** The capture of a host, ending in a line break. */
  public static String write(HostTopology host) {
    List<String> parts = new ArrayList<>();
    parts.add(field(CaptureReader.VERSION_FIELD, g -> g.writeNumber(CaptureReader.VERSION)));
    parts.add(field("name", g -> g.writeString(host.name())));
    parts.add(field("origin", g -> g.writeString(host.origin().word())));
    if (host.partial()) {
      parts.add(field("partial", g -> g.writeBoolean(true)));
    }
    host.kernel().ifPresent(k -> parts.add(field("kernel", g -> g.writeString(k))));
    addSetup(parts, host.setup());
    if (!host.iommu().equals(IommuFacts.UNKNOWN)) {
      parts.add(field("iommu", g -> writeIommu(g, host.iommu())));
    }
    if (!host.roles().carriers().isEmpty()) {
      parts.add(field("roles", g -> writeRoles(g, host.roles())));
    }
    parts.add(lines("functions", host.functions(), CaptureWriter::writeFunction));
    Set<HostGroup> plain = plainGroups(host);
    List<HostGroup> groups = host.groups().stream().filter(g -> !plain.contains(g)).toList();
    addLines(parts, "groups", groups, CaptureWriter::writeGroup);
    addLines(parts, "mdevParents", host.mdevParents(), CaptureWriter::writeParent);
    addLines(parts, "mdevs", host.mdevs(), CaptureWriter::writeMdev);
    addLines(parts, "mdevDefinitions", host.mdevDefinitions(), CaptureWriter::writeDefinition);
    addLines(parts, "losses", host.losses(), CaptureWriter::writeLoss);
    return "{\n  " + String.join(",\n  ", parts) + "\n}\n";
  }

  private static void addSetup(List<String> parts, HostSetup setup) {
    setup.commandLine().ifPresent(c -> parts.add(field("commandLine", g -> g.writeString(c))));
    if (!setup.moduleParameters().isEmpty()) {
      parts.add(
          field(
              "moduleParameters",
              g -> {
                g.writeStartObject();
                setup.moduleParameters().forEach(g::writeStringProperty);
                g.writeEndObject();
              }));
    }
    if (!setup.signs().isEmpty()) {
      parts.add(
          field(
              "iommuSigns",
              g -> {
                g.writeStartArray();
                setup.signs().forEach(s -> g.writeString(s.word()));
                g.writeEndArray();
              }));
    }
  }

  private static void writeLoss(JsonGenerator g, Loss loss) {
    g.writeNumberProperty("line", loss.line());
    g.writeStringProperty("text", loss.text());
    g.writeStringProperty("why", loss.reason().word());
  }

  /** The groups of which nothing is known but the members, which name their group themselves. */
  private static Set<HostGroup> plainGroups(HostTopology host) {
    return host.groups().stream()
        .filter(g -> g.otherMembers().isEmpty() && !g.members().isEmpty())
        .filter(g -> g.type().isEmpty() && g.reservedRegions().isEmpty())
        .collect(java.util.stream.Collectors.toSet());
  }

  private static String json(Consumer<JsonGenerator> content) {
    StringWriter out = new StringWriter();
    try (JsonGenerator generator = FACTORY.createGenerator(ObjectWriteContext.empty(), out)) {
      content.accept(generator);
    }
    return out.toString();
  }

  private static String field(String name, Consumer<JsonGenerator> value) {
    return json(g -> g.writeString(name)) + ": " + json(value);
  }

  private static <T> void addLines(
      List<String> parts, String name, Collection<T> items, BiConsumer<JsonGenerator, T> write) {
    if (!items.isEmpty()) {
      parts.add(lines(name, items, write));
    }
  }

  private static <T> String lines(
      String name, Collection<T> items, BiConsumer<JsonGenerator, T> write) {
    List<String> rows = new ArrayList<>();
    items.forEach(
        item ->
            rows.add(
                json(
                    g -> {
                      g.writeStartObject();
                      write.accept(g, item);
                      g.writeEndObject();
                    })));
    String open = "\"" + name + "\": [";
    return rows.isEmpty() ? open + "]" : open + "\n    " + String.join(",\n    ", rows) + "\n  ]";
  }

  private static void writeFunction(JsonGenerator g, PciFunction f) {
    g.writeStringProperty("address", f.address().toString());
    text(g, "id", f.id());
    text(g, "subsystem", f.subsystem());
    text(g, "class", f.classCode());
    text(g, "header", f.headerType().map(HeaderType::word));
    text(g, "pcie", f.pcieType().map(PcieType::word));
    text(g, "driver", f.driver());
    text(g, "driverOverride", f.driverOverride());
    number(g, "group", f.group());
    text(g, "physfn", f.physicalFunction());
    number(g, "numVfs", f.numVfs());
    number(g, "totalVfs", f.totalVfs());
    f.resetMethods().ifPresent(l -> texts(g, "reset", l));
    if (f.resetMethods().isEmpty()) {
      bool(g, "resettable", f.resettable());
    }
    number(g, "numa", f.numaNode());
    writeAcs(g, f.acs());
    text(g, "parent", f.parent());
    f.buses()
        .ifPresent(
            b -> {
              g.writeArrayPropertyStart("buses");
              g.writeNumber(b.secondary());
              g.writeNumber(b.subordinate());
              g.writeEndArray();
            });
    text(g, "unit", f.iommuUnit());
    if (!f.identityMaps().isEmpty()) {
      regions(g, "identityMaps", f.identityMaps());
    }
    bool(g, "rmrrLocked", f.rmrrLocked());
    text(g, "description", f.description());
    f.vgpu().ifPresent(v -> writeVgpu(g, v));
    if (!f.signs().isEmpty()) {
      texts(g, "signs", f.signs().stream().map(FunctionSign::word).sorted().toList());
    }
  }

  private static void writeAcs(JsonGenerator g, Fact<Acs> acs) {
    switch (acs) {
      case Fact.Unknown<Acs>() -> {}
      case Fact.None<Acs>() -> g.writeNullProperty("acs");
      case Fact.Known<Acs>(Acs value) -> {
        g.writeObjectPropertyStart("acs");
        texts(g, "cap", value.capable());
        texts(g, "ctl", value.enabled());
        g.writeEndObject();
      }
    }
  }

  private static void writeGroup(JsonGenerator g, HostGroup group) {
    g.writeNumberProperty("id", group.id());
    text(g, "type", group.type());
    if (!group.otherMembers().isEmpty()) {
      texts(g, "others", group.otherMembers());
    }
    group.reservedRegions().ifPresent(l -> regions(g, "reserved", l));
  }

  private static void writeParent(JsonGenerator g, MdevOffers parent) {
    g.writeStringProperty("device", parent.device());
    text(g, "isolation", parent.isolation().map(MdevIsolation::word));
    g.writeArrayPropertyStart("types");
    for (MdevType type : parent.types()) {
      g.writeStartObject();
      g.writeStringProperty("id", type.id());
      text(g, "name", type.name());
      text(g, "api", type.api());
      number(g, "availableInstances", type.availableInstances());
      text(g, "description", type.description());
      g.writeEndObject();
    }
    g.writeEndArray();
  }

  private static void writeMdev(JsonGenerator g, Mdev mdev) {
    g.writeStringProperty("uuid", mdev.uuid().toString());
    g.writeStringProperty("parent", mdev.parent());
    text(g, "type", mdev.type());
    number(g, "group", mdev.group());
    text(g, "driver", mdev.driver());
  }

  private static void writeDefinition(JsonGenerator g, MdevDefinition definition) {
    g.writeStringProperty("uuid", definition.uuid().toString());
    g.writeStringProperty("parent", definition.parent());
    g.writeStringProperty("type", definition.type());
    g.writeStringProperty("start", definition.start().word());
    if (!definition.attributes().isEmpty()) {
      g.writeArrayPropertyStart("attrs");
      for (MdevDefinition.Attribute attribute : definition.attributes()) {
        g.writeStartObject();
        g.writeStringProperty(attribute.name(), attribute.value());
        g.writeEndObject();
      }
      g.writeEndArray();
    }
  }

  private static void writeVgpu(JsonGenerator g, Vgpu vgpu) {
    g.writeObjectPropertyStart("vgpu");
    number(g, "current", vgpu.current());
    vgpu.creatable()
        .ifPresent(
            types -> {
              g.writeArrayPropertyStart("creatable");
              for (Vgpu.Type type : types) {
                g.writeStartObject();
                g.writeNumberProperty("id", type.id());
                g.writeStringProperty("name", type.name());
                g.writeEndObject();
              }
              g.writeEndArray();
            });
    g.writeEndObject();
  }

  private static void writeIommu(JsonGenerator g, IommuFacts iommu) {
    g.writeStartObject();
    bool(g, "interruptRemapping", iommu.interruptRemapping());
    bool(g, "cacheCoherency", iommu.cacheCoherency());
    number(g, "addressWidth", iommu.addressWidth());
    iommu
        .pageSizes()
        .ifPresent(
            sizes -> {
              g.writeArrayPropertyStart("pageSizes");
              sizes.forEach(g::writeNumber);
              g.writeEndArray();
            });
    bool(g, "allowUnsafeInterrupts", iommu.allowUnsafeInterrupts());
    number(g, "dmaEntryLimit", iommu.dmaEntryLimit());
    iommu.rmrrs().ifPresent(l -> regions(g, "rmrrs", l));
    g.writeEndObject();
  }

  private static void writeRoles(JsonGenerator g, Roles roles) {
    g.writeStartObject();
    for (Map.Entry<Role, List<PciAddress>> role : roles.carriers().entrySet()) {
      texts(g, role.getKey().word(), role.getValue());
    }
    if (!roles.partly().isEmpty()) {
      texts(g, "partly", roles.partly().stream().map(Role::word).toList());
    }
    if (!roles.because().isEmpty()) {
      g.writeObjectPropertyStart("because");
      roles.because().forEach((function, uses) -> texts(g, function.toString(), uses));
      g.writeEndObject();
    }
    g.writeEndObject();
  }

  private static void regions(JsonGenerator g, String name, List<ReservedRegion> regions) {
    g.writeArrayPropertyStart(name);
    for (ReservedRegion region : regions) {
      g.writeStartObject();
      g.writeStringProperty("start", "0x" + Long.toHexString(region.start()));
      g.writeStringProperty("last", "0x" + Long.toHexString(region.last()));
      g.writeStringProperty("type", region.type().word());
      g.writeEndObject();
    }
    g.writeEndArray();
  }

  private static void texts(JsonGenerator g, String name, Collection<?> values) {
    g.writeArrayPropertyStart(name);
    values.forEach(v -> g.writeString(v.toString()));
    g.writeEndArray();
  }

  private static void text(JsonGenerator g, String name, Optional<?> value) {
    value.ifPresent(v -> g.writeStringProperty(name, v.toString()));
  }

  private static void text(JsonGenerator g, String name, Fact<?> value) {
    text(g, name, value.value());
    writeNone(g, name, value);
  }

  private static void number(JsonGenerator g, String name, Optional<? extends Number> value) {
    value.ifPresent(v -> g.writeNumberProperty(name, v.longValue()));
  }

  private static void number(JsonGenerator g, String name, Fact<Integer> value) {
    number(g, name, value.value());
    writeNone(g, name, value);
  }

  private static void writeNone(JsonGenerator g, String name, Fact<?> value) {
    if (value.isNone()) {
      g.writeNullProperty(name);
    }
  }

  private static void bool(JsonGenerator g, String name, Optional<Boolean> value) {
    value.ifPresent(v -> g.writeBooleanProperty(name, v));
  }
}
