// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vfio4j.host.HostBuilder.Place;
import org.vfio4j.iommu.ReservedRegion;

/** Lines of a kernel log that tell of PCI functions, IOMMU groups and the IOMMU. */
final class LogLines {

  private static final String ADDRESS = "([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7])";
  private static final Pattern STAMP = Pattern.compile("\\s*\\[\\s*([0-9]{1,9}\\.[0-9]{6})\\].*");
  private static final String ADD = ": Adding to iommu group ";
  private static final String ADD_OLD = "Adding device ";
  private static final Pattern DIGITS = Pattern.compile("[0-9]{1,9}");
  private static final Pattern FOUND =
      Pattern.compile(
          ".*\\bpci "
              + ADDRESS
              + ": \\[([0-9a-f]{4}:[0-9a-f]{4})\\]"
              + "(?: type ([0-9a-f]{2}) class 0x([0-9a-f]{6})(?: (.*))?)?");
  private static final Pattern BRIDGE =
      Pattern.compile(
          ".*\\bpci " + ADDRESS + ": PCI bridge to \\[bus ([0-9a-f]{2})(?:-([0-9a-f]{2}))?\\].*");
  private static final Pattern VERSION = Pattern.compile(".*Linux version (\\S{1,100}) .*");
  private static final Pattern RMRR =
      Pattern.compile(".*RMRR base: 0x([0-9a-f]{1,16}) end: 0x([0-9a-f]{1,16})\\s*");
  private static final Pattern IDENTITY =
      Pattern.compile(
          ".*\\b"
              + ADDRESS
              + ":? (?:DMAR: Setting identity map )?"
              + "\\[(?:mem )?0x([0-9a-f]{1,16}) ?- ?0x([0-9a-f]{1,16})\\]\\s*");
  private static final Pattern UNIT =
      Pattern.compile(
          "(?>.*?dmar[0-9]+: reg_base_addr ).* cap ([0-9a-f]{1,16}) ecap ([0-9a-f]{1,16})\\s*");
  private static final Pattern LOCKED =
      Pattern.compile(
          ".*\\b" + ADDRESS + ": (?:DMAR: )?(?:Device is ineligible|Firmware has requested).*");

  /** A driver's line about its function; "pci 0000:..." before one is bound. */
  private static final Pattern DRIVER = Pattern.compile(".*\\b[a-z][\\w-]* " + ADDRESS + ": (.*)");

  private static final Pattern FRAMEBUFFER =
      Pattern.compile(".*\\b" + ADDRESS + ": BAR \\d+: assigned to (\\w+)\\s*");

  private final VtdUnits units = new VtdUnits();
  private final Set<ReservedRegion> rmrrs = new LinkedHashSet<>();
  private Optional<Boolean> remapping = Optional.empty();

  /** Seconds since boot, where the line has them. */
  static OptionalDouble stamp(String line) {
    Matcher m = STAMP.matcher(line);
    return m.matches() ? OptionalDouble.of(Double.parseDouble(m.group(1))) : OptionalDouble.empty();
  }

  /** Whether the line begins a new boot. */
  static boolean isBoot(String line) {
    return line.contains("Linux version ") && VERSION.matcher(line).matches();
  }

  /** Whether the line is of a log, of interest or not. */
  static boolean accepts(String line) {
    return line.contains("dding to iommu group ")
        || line.contains("Removing from iommu group ")
        || line.contains("iommu: Adding device ")
        || line.contains("iommu: Removing device ")
        || line.contains(" kernel: ")
        || line.contains("pci 0000:")
        || STAMP.matcher(line).matches();
  }

  /** Whether the line says something of the IOMMU or of a function, and its end is missing. */
  static boolean isCut(String line) {
    boolean unit = line.contains(": reg_base_addr ") && !UNIT.matcher(line).matches();
    boolean rmrr = line.contains("RMRR base:") && !RMRR.matcher(line).matches();
    Matcher found = FOUND.matcher(line);
    boolean type =
        found.matches() && found.group(5) != null && PcieType.ofKernelLog(found.group(5)).isEmpty();
    return unit || rmrr || type;
  }

  /** Whether the line names a function or a group, and not only a fact of the machine. */
  static boolean namesDevice(String line) {
    return line.contains("dding to iommu group ")
        || line.contains("Adding device ")
        || line.contains(": [") && FOUND.matcher(line).matches();
  }

  /**
   * Takes what the line says.
   *
   * @return whether it says something that is read
   */
  boolean add(String line, HostBuilder host, Place place) {
    if (line.contains(": Adding") || line.contains("Adding device ")) {
      return addMember(line, host, place);
    } else if (line.contains(": Removing from iommu group ")) {
      host.removeMember(wordBefore(line, line.indexOf(": Removing from iommu group ")));
    } else if (line.contains("Removing device ")) {
      host.removeMember(wordAfter(line, line.indexOf("Removing device ") + 16));
    } else if (line.contains("pci ") && line.contains(": [") && !line.contains("identity map")) {
      return addFunction(line, host, place);
    } else if (line.contains("PCI bridge to [bus ")) {
      return addBridge(line, host, place);
    } else if (FRAMEBUFFER.matcher(line).matches()) {
      return addFramebuffer(line, host, place);
    } else if (line.contains("DMAR")
        || line.contains("Device is ineligible")
        || line.contains("Firmware has requested")) {
      return addDmar(line, host, place);
    } else if (line.contains("AMD-Vi: Interrupt remapping enabled")) {
      remapping = Optional.of(true);
    } else if (line.contains("Linux version ")) {
      Matcher m = VERSION.matcher(line);
      if (m.matches()) {
        host.kernel(m.group(1));
      }
    } else {
      return FunctionSign.mayBeIn(line) && addSign(line, host, place);
    }
    return true;
  }

  private static boolean addMember(String line, HostBuilder host, Place place) {
    int at = line.lastIndexOf(ADD);
    int old = line.lastIndexOf(ADD_OLD);
    String device = at >= 0 ? wordBefore(line, at) : "";
    String number = at >= 0 ? line.substring(at + ADD.length()).strip() : "";
    if (at < 0 && old >= 0 && line.indexOf(" to group ", old) > 0) {
      device = wordAfter(line, old + ADD_OLD.length());
      number = line.substring(line.indexOf(" to group ", old) + 10).strip();
    }
    if (!DIGITS.matcher(number).matches() || device.isEmpty()) {
      String tail = line.substring(line.lastIndexOf(": ") + 2).strip();
      if (tail.startsWith("Adding") && "Adding to iommu group".startsWith(tail)) {
        throw host.error(place, "", "the line is cut off: no group number");
      }
      return false;
    }
    String before = line.substring(0, line.lastIndexOf(device));
    if (before.contains("[") && !before.contains("]") || device.contains("[")) {
      // A lost piece of a serial log: the last twelve characters are the address, or nothing is.
      device = device.substring(Math.max(0, device.length() - 12));
      if (device.length() < 12 || PciAddress.tryParse(device).isEmpty()) {
        return false;
      }
    }
    host.member(Integer.parseInt(number), device, place);
    return true;
  }

  private static String wordBefore(String line, int end) {
    return line.substring(line.lastIndexOf(' ', end - 1) + 1, end);
  }

  private static String wordAfter(String line, int begin) {
    int end = line.indexOf(' ', begin);
    return end < 0 ? line.substring(begin) : line.substring(begin, end);
  }

  private static boolean addFunction(String line, HostBuilder host, Place place) {
    Matcher m = FOUND.matcher(line);
    Optional<PciAddress> address = m.matches() ? PciAddress.tryParse(m.group(1)) : Optional.empty();
    if (address.isEmpty()) {
      return false;
    }
    PciFunction.Builder function = host.function(address.get(), place);
    function.id(Optional.of(PciId.parse(m.group(2))));
    if (m.group(4) != null) {
      function.headerType(HeaderType.ofCode(Integer.parseInt(m.group(3), 16) & 0x7f));
      function.classCode(Optional.of(PciClass.parse(m.group(4))));
    }
    if (m.group(5) != null) {
      PcieType.ofKernelLog(m.group(5)).ifPresent(t -> function.pcieType(Optional.of(t)));
    }
    return true;
  }

  private static boolean addBridge(String line, HostBuilder host, Place place) {
    Matcher m = BRIDGE.matcher(line);
    if (!m.matches()) {
      return false;
    }
    int secondary = Integer.parseInt(m.group(2), 16);
    int subordinate = m.group(3) == null ? secondary : Integer.parseInt(m.group(3), 16);
    PciFunction.Builder bridge = host.function(m.group(1), place);
    bridge.headerType(bridge.build().headerType().or(() -> Optional.of(HeaderType.BRIDGE)));
    if (secondary <= subordinate) {
      bridge.buses(Optional.of(new BusRange(secondary, subordinate)));
    }
    return true;
  }

  /** The framebuffer that firmware left in a function's memory: the console is on it. */
  private static boolean addFramebuffer(String line, HostBuilder host, Place place) {
    Matcher m = FRAMEBUFFER.matcher(line);
    if (!m.matches()) {
      return false;
    }
    PciAddress address = host.function(m.group(1), place).address();
    host.role(Role.CONSOLE, List.of(address), true);
    host.because(address, List.of("the boot framebuffer (" + m.group(2) + ") lies in its memory"));
    return true;
  }

  /** Trouble that a driver, of the host or vfio-pci, logged of its function. */
  private static boolean addSign(String line, HostBuilder host, Place place) {
    Matcher m = DRIVER.matcher(line);
    Optional<FunctionSign> sign = m.matches() ? FunctionSign.logged(m.group(2)) : Optional.empty();
    sign.ifPresent(s -> host.function(m.group(1), place).sign(s));
    return sign.isPresent();
  }

  private boolean addDmar(String line, HostBuilder host, Place place) {
    Matcher rmrr = RMRR.matcher(line);
    Matcher unit = UNIT.matcher(line);
    Matcher identity = IDENTITY.matcher(line);
    Matcher locked = LOCKED.matcher(line);
    if (rmrr.matches()) {
      Regions.of(rmrr.group(1), rmrr.group(2), ReservedRegion.Type.DIRECT).ifPresent(rmrrs::add);
    } else if (unit.matches()) {
      units.add(unit.group(1), unit.group(2));
    } else if (line.contains("identity map") && identity.matches()) {
      PciFunction.Builder function = host.function(identity.group(1), place);
      List<ReservedRegion> maps = new ArrayList<>(function.build().identityMaps());
      host.checkParts(maps.size(), place);
      Regions.of(identity.group(2), identity.group(3), ReservedRegion.Type.DIRECT)
          .filter(r -> !maps.contains(r))
          .ifPresent(maps::add);
      function.identityMaps(maps);
    } else if (locked.matches()) {
      host.function(locked.group(1), place).rmrrLocked(Optional.of(true));
    } else if (line.contains("DMAR-IR: Enabled IRQ remapping")) {
      remapping = Optional.of(true);
    } else if (line.contains("Failed to enable irq remapping")) {
      remapping = Optional.of(false);
    } else {
      return false;
    }
    return true;
  }

  /** What the log says of the IOMMU. */
  IommuFacts facts() {
    return units.merge(
        new IommuFacts(
            remapping,
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            rmrrs.isEmpty() ? Optional.empty() : Optional.of(List.copyOf(rmrrs))));
  }
}
