// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.vfio4j.host.HostBuilder.Place;
import org.vfio4j.host.input.BadInputException;

/**
 * Reads a recording of umockdev-record: blocks of lines, each block one device of sysfs. {@code P:}
 * path, {@code E:} uevent property, {@code A:} text attribute, {@code H:} attribute in hex, {@code
 * L:} link; {@code N:} and {@code S:} name device nodes.
 */
final class UmockdevReader {

  private static final String MDEV_TYPES = "mdev_supported_types/";

  /** A block of the recording. */
  private static final class Block implements FunctionAttributes.Store {
    private final String path;
    private final Place place;
    private final Map<String, String> properties = new HashMap<>();
    private final Map<String, String> attributes = new HashMap<>();
    private final Map<String, byte[]> binaries = new HashMap<>();
    private final Map<String, String> links = new HashMap<>();

    Block(String path, Place place) {
      this.path = path;
      this.place = place;
    }

    String last() {
      return lastPart(path);
    }

    boolean isOf(String subsystem) {
      return subsystem.equals(properties.get("SUBSYSTEM"));
    }

    @Override
    public Optional<String> text(String name) {
      return Optional.ofNullable(attributes.get(name)).map(String::strip);
    }

    @Override
    public Optional<byte[]> bytes(String name) {
      return Optional.ofNullable(binaries.get(name));
    }

    @Override
    public boolean exists(String name) {
      return attributes.containsKey(name) || binaries.containsKey(name);
    }

    @Override
    public Fact<String> link(String name) {
      String target = links.get(name);
      return target == null ? Fact.none() : Fact.known(lastPart(target));
    }
  }

  private final String source;
  private final HostBuilder host;
  private final VtdUnits units = new VtdUnits();
  private final List<PciAddress> consoles = new ArrayList<>();
  private final List<PciAddress> bootDisks = new ArrayList<>();
  private boolean consoleKnown;

  private UmockdevReader(String source) {
    this.source = source;
    this.host = new HostBuilder(source);
  }

  /** Whether the text looks like a recording. */
  static boolean accepts(String text) {
    return text.startsWith("P: /devices/") || text.contains("\nP: /devices/");
  }

  /** Reads the one host of a recording. */
  static HostTopology read(String source, String name, String text) {
    return new UmockdevReader(source).parse(name, text);
  }

  private HostTopology parse(String name, String text) {
    if (!text.endsWith("\n")) {
      int lines = (int) text.chars().filter(c -> c == '\n').count() + 1;
      throw new BadInputException(source, lines, "", "the recording is cut off inside a line");
    }
    Optional<Block> open = Optional.empty();
    int number = 0;
    int from = 0;
    while (from < text.length()) {
      int to = text.indexOf('\n', from);
      String line = text.substring(from, to);
      from = to + 1;
      number++;
      if (line.isBlank()) {
        open.ifPresent(this::finish);
        open = Optional.empty();
      } else if (line.startsWith("P: ")) {
        open.ifPresent(this::finish);
        if (!line.startsWith("P: /")) {
          throw new BadInputException(source, number, "P", "no path of a device");
        }
        open = Optional.of(new Block(line.substring(3), new Place(number, "")));
      } else if (line.charAt(0) != '#') {
        addLine(open, line, number);
      }
    }
    open.ifPresent(this::finish);
    if (host.isEmpty()) {
      throw new BadInputException(source, 0, "", "the recording holds no PCI function");
    }
    if (consoleKnown) {
      host.role(Role.CONSOLE, consoles);
    }
    if (!bootDisks.isEmpty()) {
      host.role(Role.BOOT_DISK, bootDisks);
    }
    host.settleResets();
    host.iommu(units.merge(IommuFacts.UNKNOWN));
    return host.buildPerhapsPartial(name, Origin.UMOCKDEV);
  }

  private void addLine(Optional<Block> open, String line, int number) {
    if (line.length() < 3 || line.charAt(1) != ':' || "NSEAHL".indexOf(line.charAt(0)) < 0) {
      throw new BadInputException(
          source, number, "", "not a line of a recording (P:, N:, S:, E:, A:, H: or L:)");
    }
    Block block =
        open.orElseThrow(
            () -> new BadInputException(source, number, "", "a device must begin with P:"));
    char kind = line.charAt(0);
    if (kind == 'N' || kind == 'S') {
      return;
    }
    int equals = line.indexOf('=');
    if (equals < 3) {
      throw new BadInputException(source, number, "" + kind, "no '=' after the name");
    }
    String name = line.substring(3, equals);
    String value = line.substring(equals + 1);
    switch (kind) {
      case 'E' -> block.properties.put(name, value);
      case 'A' -> block.attributes.put(name, unescape(value));
      case 'L' -> block.links.put(name, value);
      default -> addBinary(block, name, value, number);
    }
  }

  private void addBinary(Block block, String name, String value, int number) {
    if (!name.equals("config")) {
      return;
    }
    try {
      block.binaries.put(name, HexFormat.of().parseHex(value));
    } catch (IllegalArgumentException e) {
      throw new BadInputException(source, number, name, "not a whole number of hex bytes");
    }
  }

  private static String unescape(String value) {
    if (value.indexOf('\\') < 0) {
      return value;
    }
    StringBuilder out = new StringBuilder(value.length());
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      if (c == '\\' && i + 1 < value.length()) {
        char next = value.charAt(++i);
        out.append(next == 'n' ? '\n' : next);
      } else {
        out.append(c);
      }
    }
    return out.toString();
  }

  private static String lastPart(String path) {
    return path.substring(path.lastIndexOf('/') + 1);
  }

  private void finish(Block block) {
    Optional<PciAddress> address = PciAddress.tryParse(block.last());
    try {
      if (address.isPresent() && block.isOf("pci")) {
        finishFunction(address.get(), block);
      } else if (block.isOf("mdev") && Mdev.parseUuid(block.last()).isPresent()) {
        finishMdev(Mdev.parseUuid(block.last()).get(), block);
      } else if (block.isOf("iommu") && block.exists("intel-iommu/cap")) {
        units.add(
            block.text("intel-iommu/cap").orElse("0"), block.text("intel-iommu/ecap").orElse("0"));
      } else if (block.isOf("block")) {
        finishDisk(block);
      } else if (block.links.containsKey("iommu_group")) {
        host.member(groupOf(block), block.last(), block.place);
      }
    } catch (IllegalArgumentException e) {
      throw host.error(block.place, block.last(), String.valueOf(e.getMessage()));
    }
  }

  private void finishFunction(PciAddress address, Block block) {
    for (String needed : List.of("class", "device", "vendor")) {
      if (!block.exists(needed)) {
        throw host.error(
            block.place, address + "." + needed, "missing: the recording is cut off or damaged");
      }
    }
    PciFunction.Builder function = host.newFunction(address, block.place);
    FunctionAttributes.read(block, function);
    function.parent(parentOf(block.path));
    function.description(Optional.ofNullable(block.properties.get("ID_MODEL_FROM_DATABASE")));
    if (block.links.containsKey("iommu_group")) {
      host.member(groupOf(block), address.toString(), block.place);
    } else {
      function.group(Fact.none());
    }
    block
        .text("boot_vga")
        .ifPresent(
            v -> {
              consoleKnown = true;
              if (v.equals("1")) {
                consoles.add(address);
              }
            });
    List<String> types =
        block.attributes.keySet().stream()
            .filter(k -> k.startsWith(MDEV_TYPES) && k.indexOf('/', MDEV_TYPES.length()) > 0)
            .map(k -> k.substring(MDEV_TYPES.length(), k.indexOf('/', MDEV_TYPES.length())))
            .distinct()
            .toList();
    for (MdevType type : FunctionAttributes.mdevTypes(block, types)) {
      host.mdevType(address.toString(), type, block.place);
    }
  }

  private static Fact<PciAddress> parentOf(String path) {
    String above = path.substring(0, path.lastIndexOf('/'));
    return PciAddress.tryParse(lastPart(above)).map(Fact::known).orElse(Fact.none());
  }

  private int groupOf(Block block) {
    String number = block.link("iommu_group").value().orElse("");
    if (!number.matches("[0-9]{1,9}")) {
      throw host.error(block.place, "iommu_group", "no group number: '" + number + "'");
    }
    return Integer.parseInt(number);
  }

  private void finishMdev(UUID uuid, Block block) {
    String above = lastPart(block.path.substring(0, block.path.lastIndexOf('/')));
    Optional<String> type = block.link("mdev_type").value();
    Optional<Integer> group =
        block.links.containsKey("iommu_group") ? Optional.of(groupOf(block)) : Optional.empty();
    Fact<String> driver = block.link("driver");
    host.mdev(new Mdev(uuid, above, type, group, driver), block.place);
    type.ifPresent(t -> host.mdevType(above, MdevType.of(t), block.place));
  }

  /** A disk with an EFI system or BIOS boot partition is what firmware starts the host from. */
  private void finishDisk(Block block) {
    String type = block.properties.getOrDefault("ID_PART_ENTRY_TYPE", "");
    if (!type.equals("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
        && !type.equals("21686148-6449-6e6f-744e-656564454649")) {
      return;
    }
    Optional<PciAddress> carrier = Optional.empty();
    for (String part : block.path.split("/", -1)) {
      Optional<PciAddress> address = PciAddress.tryParse(part);
      carrier = address.isPresent() ? address : carrier;
    }
    carrier.ifPresent(bootDisks::add);
  }
}
