// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.host.tree.Tree;
import org.vfio4j.host.tree.TreeReader;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/**
 * A mediated device as mdevctl keeps it: what is to be made, whether it exists or not. It stands in
 * a file of JSON, {@code /etc/mdevctl.d/PARENT/UUID}; reading and writing are beside each other
 * here, and mdevctl 1.4.0 reads what {@link #json} writes.
 *
 * @param uuid its name; two parents may have a definition of one name, and one of them starts
 * @param parent kernel name of the parent: a PCI address, or another name
 * @param type id of its type, or {@link #WRAPPED}
 * @param start what starts it
 * @param attributes what is written to files of the device once it is there, in this order
 */
public record MdevDefinition(
    UUID uuid, String parent, String type, Start start, List<Attribute> attributes) {

  /** Where the files are, below the root of a machine. */
  public static final String FOLDER = "etc/mdevctl.d";

  /**
   * The type of a definition that no kernel makes: the function that the parent is, wrapped for a
   * VM by {@code vfio up}.
   */
  public static final String WRAPPED = "vfio4j-wrapped";

  private static final JsonFactory FACTORY = new JsonFactory();

  /** What starts a device. */
  public enum Start {
    /** mdevctl's rule for udev does, as soon as the parent is there: mostly at boot. */
    AUTO,
    /** Whoever wants it: {@code mdevctl start}, libvirt, {@code vfio up}. */
    MANUAL;

    /** The word that the file has for it. */
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * A file of the device, and what is written to it.
   *
   * @param name its path below the device's folder
   * @param value the text
   */
  public record Attribute(String name, String value) {
    /** Checks the name. */
    public Attribute {
      if (name.isEmpty()) {
        throw new IllegalArgumentException("an attribute without a name");
      }
    }
  }

  /**
   * Copies the list and checks the names, which are those of files.
   *
   * @throws IllegalArgumentException if the parent or the type is no name of a file
   */
  public MdevDefinition {
    attributes = List.copyOf(attributes);
    if (!isFileName(parent)) {
      throw new IllegalArgumentException("no parent of mediated devices: '" + parent + "'");
    }
    if (!isFileName(type)) {
      throw new IllegalArgumentException("no type of mediated device: '" + type + "'");
    }
  }

  private static boolean isFileName(String text) {
    return !text.isBlank()
        && !text.equals(".")
        && !text.equals("..")
        && text.chars().noneMatch(c -> c == '/' || Character.isISOControl(c));
  }

  /** The definition of a wrapped function, which nobody but {@code vfio up} can start. */
  public static MdevDefinition wrapped(UUID uuid, PciAddress function) {
    return new MdevDefinition(uuid, function.toString(), WRAPPED, Start.MANUAL, List.of());
  }

  /** The address of the parent, where it is a PCI function. */
  public Optional<PciAddress> parentAddress() {
    return PciAddress.tryParse(parent);
  }

  /** Whether it is of type {@link #WRAPPED}, whatever its parent is. */
  public boolean isOurs() {
    return type.equals(WRAPPED);
  }

  /** The function that it wraps, where it is of type {@link #WRAPPED} and has one for a parent. */
  public Optional<PciAddress> wrappedFunction() {
    return parentAddress().filter(_ -> isOurs());
  }

  /** Whether the kernel has this very device: one of its name, of the same parent and type. */
  public boolean isActive(HostTopology host) {
    return host.mdev(uuid)
        .filter(m -> m.parent().equals(parent) && m.type().orElse(type).equals(type))
        .isPresent();
  }

  /** Its file, below the root of a machine. */
  public Path file() {
    return Path.of(FOLDER, parent, uuid.toString());
  }

  /**
   * Reads the file of a definition. What mdevctl takes is taken: fields that it does not know do
   * not matter to it, and every word but {@code auto} means that it does not start by itself.
   *
   * @param source the file, as messages name it
   * @throws BadInputException if it is none, with its place
   */
  public static MdevDefinition read(String source, String parent, UUID uuid, byte[] json) {
    try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), json)) {
      return of(parent, uuid, TreeReader.read(parser, source).asObject());
    }
  }

  /** The same of what was read already. */
  static MdevDefinition of(String parent, UUID uuid, Tree.Obj from) {
    String type = from.required("mdev_type").asText();
    Tree start = from.required("start");
    if (start.isNull()) {
      throw start.at().error("null: what starts it is not said");
    }
    boolean auto = start instanceof Tree.Text text && text.value().equals("auto");
    List<Attribute> attributes =
        from.field("attrs")
            .filter(a -> !a.isNull())
            .map(a -> a.map(MdevDefinition::attribute))
            .orElse(List.of());
    try {
      return new MdevDefinition(uuid, parent, type, auto ? Start.AUTO : Start.MANUAL, attributes);
    } catch (IllegalArgumentException e) {
      throw from.at().error(String.valueOf(e.getMessage()));
    }
  }

  /** Attributes are maps of one field each, because one may be written several times. */
  static Attribute attribute(Tree from) {
    Map<String, Tree> fields = from.asObject().fields();
    if (fields.size() != 1) {
      throw from.at().error("an attribute has one field, not " + fields.size());
    }
    Map.Entry<String, Tree> only = fields.entrySet().iterator().next();
    if (only.getKey().isEmpty()) {
      throw from.at().error("an attribute without a name");
    }
    return new Attribute(only.getKey(), only.getValue().asText());
  }

  /** What its file holds. */
  public String json() {
    List<String> lines = new ArrayList<>();
    lines.add("{");
    lines.add("  \"mdev_type\": " + quoted(type) + ",");
    lines.add("  \"start\": " + quoted(start.word()) + ",");
    List<String> items =
        attributes.stream()
            .map(a -> "    {\n      " + quoted(a.name()) + ": " + quoted(a.value()) + "\n    }")
            .toList();
    lines.add(items.isEmpty() ? "  \"attrs\": []" : "  \"attrs\": [\n" + String.join(",\n", items));
    if (!items.isEmpty()) {
      lines.add("  ]");
    }
    lines.add("}");
    return String.join("\n", lines) + "\n";
  }

  /** The bytes of its file. */
  public byte[] bytes() {
    return json().getBytes(StandardCharsets.UTF_8);
  }

  private static String quoted(String text) {
    StringWriter out = new StringWriter();
    try (JsonGenerator generator = FACTORY.createGenerator(ObjectWriteContext.empty(), out)) {
      generator.writeString(text);
    }
    return out.toString();
  }
}
