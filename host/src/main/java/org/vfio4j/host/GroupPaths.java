// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vfio4j.iommu.ReservedRegion;

/**
 * The groups as sysfs has them: paths as {@code find} prints them, {@code ls} and {@code tree} of
 * the folders, {@code readlink} of a function's link, and what {@code reserved_regions} holds.
 */
final class GroupPaths implements TextForm {

  private static final String DEVICE =
      "((?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7])";
  private static final Pattern MEMBER =
      Pattern.compile(
          ".*\\biommu_groups/([0-9]{1,9})/devices/([^\\s/:]+(?::[^\\s/:]+){0,8})(?:[/\\s].*)?");
  private static final Pattern FOLDER =
      Pattern.compile("[^ ]*\\biommu_groups/([0-9]{1,9})(?:/(?:devices/?)?)?:");
  private static final Pattern REGIONS =
      Pattern.compile(".*\\biommu_groups/([0-9]{1,9})/reserved_regions(?::(.*))?.*");
  private static final Pattern ASKED =
      Pattern.compile(
          "(?>.*?\\b(?:ls|cat|tree)\\b).*\\biommu_groups/([0-9]{1,9})/(devices|reserved_regions)/?");
  private static final Pattern OF_FUNCTION =
      Pattern.compile(".*" + DEVICE + "/iommu_group\\b.*?(?:\\biommu_groups/([0-9]{1,9})/?)?");
  private static final Pattern TARGET = Pattern.compile("[./\\w]*\\biommu_groups/([0-9]{1,9})/?");
  private static final Pattern TREE_GROUP =
      Pattern.compile("[│|\\s]*[├└+`|\\\\][─-]{1,3} ?([0-9]{1,9})/?");
  private static final Pattern TREE_MEMBER =
      Pattern.compile("[│|\\s]*[├└+`|\\\\][─-]{1,3} ?(\\S+) -> (\\S*/devices/\\S+)");
  private static final Pattern LINK = Pattern.compile(".*\\s(\\S+) -> (\\S*/devices/\\S+)");
  private static final Pattern NAMES = Pattern.compile(DEVICE + "(?:\\s+" + DEVICE + ")*");
  private static final Pattern ROOT_BUS = Pattern.compile("pci[0-9a-f]{4,8}:[0-9a-f]{2}");
  private static final Pattern FURNITURE =
      Pattern.compile(
          "total \\d+|[│|\\s]*[├└+`|\\\\][─-]{1,3} ?(?:devices|reserved_regions|type).*");

  private OptionalInt folder = OptionalInt.empty();
  private OptionalInt regionsOf = OptionalInt.empty();
  private Optional<String> asked = Optional.empty();
  private String askedBy = "";

  @Override
  public boolean take(TextLine line, TextReading reading) {
    String text = line.bare();
    if (text.isEmpty()) {
      // Regions have a form of their own: a blank line before them parts them from nothing.
      folder = OptionalInt.empty();
      return false;
    }
    if (Prompt.PATTERN.matcher(text).matches()) {
      typed(text);
      return false;
    }
    if (text.contains("*")) {
      return false;
    }
    return regions(text, reading)
        || folder(text)
        || member(text, reading)
        || ofFunction(text, reading)
        || tree(line, reading)
        || inFolder(line, reading);
  }

  /** What a command is asked for, its output does not repeat. */
  private void typed(String command) {
    Matcher m = ASKED.matcher(command);
    boolean one = m.matches();
    boolean regions = one && m.group(2).equals("reserved_regions");
    regionsOf = regions ? OptionalInt.of(Integer.parseInt(m.group(1))) : OptionalInt.empty();
    boolean members = one && !regions;
    folder = members ? OptionalInt.of(Integer.parseInt(m.group(1))) : OptionalInt.empty();
  }

  private boolean regions(String text, TextReading reading) {
    Matcher m = REGIONS.matcher(text);
    if (text.contains("/reserved_regions") && m.matches()) {
      regionsOf = OptionalInt.of(Integer.parseInt(m.group(1)));
      reading.section();
      return m.group(2) == null || m.group(2).isBlank() || region(m.group(2), reading);
    }
    return regionsOf.isPresent() && text.startsWith("0x") && region(text, reading);
  }

  private boolean region(String text, TextReading reading) {
    Optional<ReservedRegion> region = ReservedRegion.parse(text.strip());
    region.ifPresent(r -> reading.section().addRegion(regionsOf.getAsInt(), r, reading.here()));
    return region.isPresent();
  }

  private boolean folder(String text) {
    Matcher m = FOLDER.matcher(text);
    if (!m.matches()) {
      return false;
    }
    folder = OptionalInt.of(Integer.parseInt(m.group(1)));
    return true;
  }

  private static boolean member(String text, TextReading reading) {
    Matcher m = text.contains("iommu_groups/") ? MEMBER.matcher(text) : MEMBER.matcher("");
    if (!m.matches()) {
      return false;
    }
    reading.member(Integer.parseInt(m.group(1)), m.group(2));
    link(text, reading);
    return true;
  }

  private boolean ofFunction(String text, TextReading reading) {
    Matcher m = text.contains("iommu_group") ? OF_FUNCTION.matcher(text) : OF_FUNCTION.matcher("");
    if (m.matches() && m.group(2) != null) {
      reading.member(Integer.parseInt(m.group(2)), m.group(1));
      return true;
    }
    if (!reading.command().equals(askedBy)) {
      askedBy = reading.command();
      Matcher typed = OF_FUNCTION.matcher(askedBy);
      asked = typed.matches() ? Optional.of(typed.group(1)) : Optional.empty();
    }
    Matcher target = TARGET.matcher(text);
    if (asked.isPresent() && target.matches()) {
      reading.member(Integer.parseInt(target.group(1)), asked.get());
      asked = Optional.empty();
      return true;
    }
    return false;
  }

  private boolean tree(TextLine line, TextReading reading) {
    String text = line.bare();
    Matcher group = TREE_GROUP.matcher(text);
    if (group.matches()) {
      folder = OptionalInt.of(Integer.parseInt(group.group(1)));
      return true;
    }
    Matcher m = TREE_MEMBER.matcher(text);
    if (folder.isPresent() && m.matches()) {
      return linked(m, line, reading);
    }
    return false;
  }

  private boolean linked(Matcher link, TextLine line, TextReading reading) {
    reading.member(folder.getAsInt(), link.group(1));
    path(link.group(2), reading);
    if (!link.group(2).endsWith("/" + link.group(1))) {
      reading.lost(line, Loss.Reason.CUT);
    }
    return true;
  }

  private boolean inFolder(TextLine line, TextReading reading) {
    String text = line.bare();
    if (folder.isEmpty()) {
      return false;
    }
    Matcher m = LINK.matcher(text);
    if (m.matches()) {
      return linked(m, line, reading);
    }
    if (NAMES.matcher(text).matches()) {
      for (String name : text.split("\\s+")) {
        reading.member(folder.getAsInt(), name);
      }
      return true;
    }
    return FURNITURE.matcher(text).matches();
  }

  private static void link(String text, TextReading reading) {
    int arrow = text.indexOf(" -> ");
    if (arrow > 0) {
      path(text.substring(arrow + 4), reading);
    }
  }

  /**
   * The path of a function in sysfs names the bridge above it; one that is cut off says nothing.
   */
  static void path(String path, TextReading reading) {
    List<String> parts = List.of(path.strip().split("/"));
    String above = parts.size() < 2 ? "" : parts.get(parts.size() - 2);
    Optional<PciAddress> bridge = PciAddress.tryParse(above);
    // Above a root bus is a host bridge, which may itself be a function's: VMD makes such ones.
    boolean rooted = ROOT_BUS.matcher(above).matches();
    PciAddress.tryParse(parts.getLast())
        .filter(_ -> rooted || bridge.isPresent())
        .ifPresent(a -> reading.function(a).parent(bridge.map(Fact::known).orElse(Fact.none())));
  }
}
