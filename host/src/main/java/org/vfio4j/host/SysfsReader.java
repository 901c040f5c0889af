// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Stream;
import org.vfio4j.host.HostBuilder.Place;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.iommu.ReservedRegion;

/**
 * Reads a sysfs tree: of the running machine, or a copy of one under any folder. Whatever cannot be
 * read, because it is not there or not allowed, stays unknown.
 */
final class SysfsReader {

  private static final int MAX_ATTRIBUTE = 1 << 16;
  private static final int MAX_PROC = 4 << 20;
  private static final Place NOWHERE = new Place(0, "");

  /** A folder of sysfs as a store of attributes. */
  private record Folder(Path path) implements FunctionAttributes.Store {
    @Override
    public Optional<String> text(String name) {
      return bytes(name).map(b -> new String(b, StandardCharsets.UTF_8).strip());
    }

    @Override
    public Optional<byte[]> bytes(String name) {
      Path file = path.resolve(name);
      if (!Files.isRegularFile(file)) {
        return Optional.empty();
      }
      try (var in = Files.newInputStream(file)) {
        return Optional.of(in.readNBytes(MAX_ATTRIBUTE));
      } catch (IOException e) {
        return Optional.empty();
      }
    }

    @Override
    public boolean exists(String name) {
      return Files.exists(path.resolve(name));
    }

    @Override
    public Fact<String> link(String name) {
      try {
        return Fact.known(Files.readSymbolicLink(path.resolve(name)).getFileName().toString());
      } catch (NoSuchFileException e) {
        return Fact.none();
      } catch (IOException | UnsupportedOperationException e) {
        return Fact.unknown();
      }
    }
  }

  private final String source;
  private final Path sys;
  private final HostBuilder host;

  private SysfsReader(String source, Path sys) {
    this.source = source;
    this.sys = sys;
    this.host = new HostBuilder(source);
  }

  /** Reads the host under a machine root (with {@code sys} and perhaps {@code proc}) or a sysfs. */
  static HostTopology read(String source, String name, Path root) {
    return read(source, name, root, List.of());
  }

  /**
   * The same.
   *
   * @param addressed network interfaces that are known to have an address
   */
  static HostTopology read(String source, String name, Path root, Collection<String> addressed) {
    Path sys = Files.isDirectory(root.resolve("sys/bus")) ? root.resolve("sys") : root;
    return new SysfsReader(source, sys).parse(name, root, addressed);
  }

  /** The kernel shows {@code boot_vga} for every function of this class, and for no other. */
  private static boolean isVga(String classCode) {
    return classCode.startsWith("0x0300");
  }

  private HostTopology parse(String name, Path root, Collection<String> addressed) {
    Path devices = sys.resolve("bus/pci/devices");
    if (!Files.isDirectory(devices)) {
      throw new BadInputException(
          source, 0, "bus/pci/devices", "missing: not a sysfs tree, nor a root folder with sys");
    }
    List<PciAddress> consoles = new ArrayList<>();
    boolean consoleKnown = true;
    for (Path entry : entries(devices)) {
      Optional<PciAddress> address = PciAddress.tryParse(entry.getFileName().toString());
      if (address.isPresent()) {
        Folder folder = new Folder(entry);
        readFunction(address.get(), folder);
        Optional<String> bootVga = folder.text("boot_vga");
        consoleKnown &=
            bootVga.isPresent() || folder.text("class").filter(c -> !isVga(c)).isPresent();
        bootVga.filter("1"::equals).ifPresent(v -> consoles.add(address.get()));
      }
    }
    if (host.isEmpty()) {
      throw new BadInputException(source, 0, "bus/pci/devices", "holds no PCI function");
    }
    if (consoleKnown) {
      host.role(Role.CONSOLE, consoles);
    }
    host.settleResets();
    readGroups();
    readMdevs();
    MdevctlFolder.read(root, host);
    host.iommu(readIommu());
    SysfsRoles.read(sys, root, addressed, host);
    readKernel(root.resolve("proc"));
    return host.buildPerhapsPartial(name, Origin.SYSFS);
  }

  private void readFunction(PciAddress address, Folder folder) {
    PciFunction.Builder function = host.newFunction(address, NOWHERE);
    try {
      FunctionAttributes.read(folder, function);
    } catch (IllegalArgumentException e) {
      throw new BadInputException(
          source, 0, "bus/pci/devices/" + address, String.valueOf(e.getMessage()));
    }
    function.parent(parentOf(address, folder.path()));
    Fact<String> link = folder.link("iommu_group");
    Optional<Integer> group = link.value().flatMap(SysfsReader::groupNumber);
    if (group.isPresent()) {
      host.member(group.get(), address.toString(), NOWHERE);
    } else if (link.isNone()) {
      function.group(Fact.none());
    }
    List<String> types =
        entries(folder.path().resolve("mdev_supported_types")).stream()
            .map(p -> p.getFileName().toString())
            .toList();
    for (MdevType type : FunctionAttributes.mdevTypes(folder, types)) {
      host.mdevType(address.toString(), type, NOWHERE);
    }
  }

  private static Optional<Integer> groupNumber(String text) {
    return text.matches("[0-9]{1,9}") ? Optional.of(Integer.parseInt(text)) : Optional.empty();
  }

  /** The real folder of a function lies in that of its bridge; a copied tree may have no links. */
  private static Fact<PciAddress> parentOf(PciAddress address, Path entry) {
    try {
      Path real = entry.toRealPath();
      Path above = real.getParent();
      if (above == null || !Files.isSymbolicLink(entry)) {
        return Fact.unknown();
      }
      Optional<PciAddress> bridge = PciAddress.tryParse(above.getFileName().toString());
      return bridge.filter(b -> !b.equals(address)).map(Fact::known).orElse(Fact.none());
    } catch (IOException e) {
      return Fact.unknown();
    }
  }

  private void readGroups() {
    for (Path entry : entries(sys.resolve("kernel/iommu_groups"))) {
      Optional<Integer> id = groupNumber(entry.getFileName().toString());
      if (id.isEmpty()) {
        continue;
      }
      boolean any = false;
      for (Path member : entries(entry.resolve("devices"))) {
        String device = member.getFileName().toString();
        if (Mdev.parseUuid(device).isEmpty()) {
          host.member(id.get(), device, NOWHERE);
          any = true;
        }
      }
      Folder folder = new Folder(entry);
      if (any) {
        folder.text("type").ifPresent(t -> host.groupType(id.get(), t));
        Optional<String> regions = folder.text("reserved_regions");
        if (regions.isPresent()) {
          String file = source + ": kernel/iommu_groups/" + id.get() + "/reserved_regions";
          host.groupRegions(id.get(), regionsOf(file, regions.get()));
        }
      }
    }
  }

  private static List<ReservedRegion> regionsOf(String file, String text) {
    List<ReservedRegion> regions = new ArrayList<>();
    int number = 0;
    for (String line : text.split("\n")) {
      number++;
      if (!line.isBlank()) {
        int at = number;
        regions.add(
            ReservedRegion.parse(line)
                .orElseThrow(
                    () -> new BadInputException(file, at, "", "not '0xSTART 0xLAST TYPE'")));
      }
    }
    return regions;
  }

  private void readMdevs() {
    for (Path entry : entries(sys.resolve("bus/mdev/devices"))) {
      Optional<UUID> uuid = Mdev.parseUuid(entry.getFileName().toString());
      Optional<String> parent = realParent(entry);
      if (uuid.isEmpty() || parent.isEmpty()) {
        continue;
      }
      Folder folder = new Folder(entry);
      Optional<String> type = folder.link("mdev_type").value();
      Optional<Integer> group =
          folder.link("iommu_group").value().flatMap(SysfsReader::groupNumber);
      Fact<String> driver = folder.link("driver");
      host.mdev(new Mdev(uuid.get(), parent.get(), type, group, driver), NOWHERE);
      type.ifPresent(t -> host.mdevType(parent.get(), MdevType.of(t), NOWHERE));
    }
    for (Path entry : entries(sys.resolve("class/mdev_bus"))) {
      String device = entry.getFileName().toString();
      if (PciAddress.tryParse(device).isEmpty()) {
        List<String> types =
            entries(entry.resolve("mdev_supported_types")).stream()
                .map(p -> p.getFileName().toString())
                .toList();
        for (MdevType type : FunctionAttributes.mdevTypes(new Folder(entry), types)) {
          host.mdevType(device, type, NOWHERE);
        }
      }
    }
  }

  private static Optional<String> realParent(Path entry) {
    try {
      return Optional.ofNullable(entry.toRealPath().getParent())
          .map(p -> p.getFileName().toString());
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  private IommuFacts readIommu() {
    VtdUnits units = new VtdUnits();
    for (Path unit : entries(sys.resolve("class/iommu"))) {
      Folder folder = new Folder(unit.resolve("intel-iommu"));
      Optional<String> cap = folder.text("cap").filter(SysfsReader::isHex);
      Optional<String> ecap = folder.text("ecap").filter(SysfsReader::isHex);
      if (cap.isPresent() && ecap.isPresent()) {
        units.add(cap.get(), ecap.get());
      }
    }
    Folder type1 = new Folder(sys.resolve("module/vfio_iommu_type1/parameters"));
    return units.merge(
        new IommuFacts(
            interruptRemapping(),
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            type1.text("allow_unsafe_interrupts").map(t -> t.equals("Y") || t.equals("1")),
            type1.text("dma_entry_limit").filter(t -> t.matches("[0-9]{1,10}")).map(Long::valueOf),
            Optional.empty()));
  }

  private static boolean isHex(String text) {
    return text.matches("[0-9a-fA-F]{1,16}");
  }

  /** The interrupt chips of PCI devices are named {@code IR-...} where remapping is on. */
  private Optional<Boolean> interruptRemapping() {
    boolean plain = false;
    for (Path irq : entries(sys.resolve("kernel/irq"))) {
      String chip = new Folder(irq).text("chip_name").orElse("");
      if (chip.startsWith("IR-PCI") || chip.startsWith("IR-IO-APIC")) {
        return Optional.of(true);
      }
      plain |= chip.startsWith("PCI-MSI");
    }
    return plain ? Optional.of(false) : Optional.empty();
  }

  private void readKernel(Path proc) {
    Folder folder = new Folder(proc);
    folder
        .text("sys/kernel/osrelease")
        .or(() -> folder.text("version").map(v -> v.replaceFirst("Linux version (\\S+).*", "$1")))
        .filter(v -> !v.isEmpty() && v.length() < 100)
        .ifPresent(host::kernel);
    Optional<String> commandLine = folder.text("cmdline").filter(c -> !c.isEmpty());
    host.setup(new HostSetup(commandLine, moduleParameters(), Set.of()));
  }

  /** Parameters of the modules that decide what becomes of a device that is given away. */
  private SortedMap<String, String> moduleParameters() {
    TreeMap<String, String> parameters = new TreeMap<>();
    for (Path module : entries(sys.resolve("module"))) {
      String name = module.getFileName().toString();
      if (name.startsWith("vfio") || name.startsWith("kvm") || name.startsWith("iommu")) {
        Folder folder = new Folder(module.resolve("parameters"));
        for (Path parameter : entries(module.resolve("parameters"))) {
          String key = parameter.getFileName().toString();
          folder.text(key).ifPresent(value -> parameters.put(name + "." + key, value));
        }
      }
    }
    return parameters;
  }

  /** The text of a file without the last line break; empty if it cannot be read. */
  static Optional<String> text(Path file) {
    return new Folder(Objects.requireNonNull(file.getParent())).text(file.getFileName().toString());
  }

  /** The lines of a file of proc, which has no size; empty if it cannot be read. */
  static Optional<List<String>> lines(Path file) {
    if (!Files.isRegularFile(file)) {
      return Optional.empty();
    }
    try (var in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(MAX_PROC);
      return Optional.of(new String(bytes, StandardCharsets.UTF_8).lines().toList());
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** The entries of a folder, sorted by name; none if it is not there or not readable. */
  static List<Path> entries(Path folder) {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> all = Files.list(folder)) {
      return all.sorted().toList();
    } catch (IOException e) {
      return List.of();
    }
  }
}
