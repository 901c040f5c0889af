// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a message is about: device, group, file, range of memory, by the names that rules use. */
final class NamedThings {

  static final String ADDRESS = "address";
  static final String GROUP = "group";

  private static final Pattern PCI =
      Pattern.compile(
          "(?<![0-9a-f:.])(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([01][0-9a-f])\\.([0-7])(?![0-9a-f]|:[0-9a-f]|\\.[0-9])",
          Pattern.CASE_INSENSITIVE);

  private static final Pattern GROUP_NUMBER =
      Pattern.compile(
          "/dev/vfio/(?:noiommu-)?([0-9]{1,6})\\b|iommu_groups/([0-9]{1,6})\\b|\\b(?:iommu |vfio"
              + " )?group(?: id| number)?["
              + " :=#]{1,2}([0-9]{1,6})\\b|OpenGroup\\(.*\"([0-9]{1,6})\"\\)",
          Pattern.CASE_INSENSITIVE);

  private static final Pattern FILE =
      Pattern.compile("/dev/(?:vfio/(?:devices/)?[\\w-]+|iommu)\\b");
  private static final Pattern CDEV = Pattern.compile("/dev/vfio/devices/(vfio[0-9]{1,6})\\b");
  private static final Pattern RANGE =
      Pattern.compile(
          "dma_(?:un)?map ?\\( ?\\w+, ?(0x[0-9a-f]{1,16}), ?(0x[0-9a-f]{1,16})",
          Pattern.CASE_INSENSITIVE);
  private static final Pattern IOVA =
      Pattern.compile("\\biova[ :=]{1,3}(?:0x)?([0-9a-f]{1,16})\\b", Pattern.CASE_INSENSITIVE);
  private static final Pattern SIZE =
      Pattern.compile(
          "\\b(?:size|len|length)[ :=]{1,3}(0x[0-9a-f]{1,16})\\b", Pattern.CASE_INSENSITIVE);
  private static final Pattern REGION =
      Pattern.compile("\\bRegion ([^:\"]{1,60}(?::[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7][^:]{0,40})?):");
  private static final Pattern LIMIT = Pattern.compile("RLIMIT_MEMLOCK \\(([0-9]{1,20})\\)");
  private static final Pattern BAR = Pattern.compile("\\bBAR ?([0-6])\\b");
  private static final Pattern UUID =
      Pattern.compile(
          "\\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\\b",
          Pattern.CASE_INSENSITIVE);
  private static final Pattern IDS =
      Pattern.compile("\\[([0-9a-f]{4}:[0-9a-f]{4})[\\[\\]]", Pattern.CASE_INSENSITIVE);

  private NamedThings() {}

  /** The things by name, each as it would be typed. */
  static Map<String, String> in(String text) {
    Map<String, String> things = new LinkedHashMap<>();
    address(text).ifPresent(a -> putAddress(things, a));
    Matcher group = GROUP_NUMBER.matcher(text);
    if (group.find()) {
      things.put(GROUP, first(group));
    }
    put(things, "file", FILE, text, 0);
    put(things, "device", CDEV, text, 1);
    Matcher range = RANGE.matcher(text);
    if (range.find()) {
      things.put("iova", range.group(1));
      things.put("size", range.group(2));
    } else {
      Matcher iova = IOVA.matcher(text);
      if (iova.find()) {
        things.put("iova", "0x" + iova.group(1).toLowerCase(Locale.ROOT));
      }
      put(things, "size", SIZE, text, 1);
    }
    put(things, "region", REGION, text, 1);
    put(things, "limit", LIMIT, text, 1);
    put(things, "bar", BAR, text, 1);
    put(things, "uuid", UUID, text, 0);
    put(things, "ids", IDS, text, 1);
    return things;
  }

  static void putAddress(Map<String, String> things, String address) {
    things.put(ADDRESS, address);
    things.put("slot", address.substring(0, address.indexOf('.')));
    // Two digits of the bus stand before the device.
    things.put("bus", address.substring(0, address.lastIndexOf(':')));
  }

  /** The first PCI address of a text, as the kernel writes it. */
  static Optional<String> address(String text) {
    Matcher pci = PCI.matcher(text);
    if (!pci.find()) {
      return Optional.empty();
    }
    String domain = pci.group(1) == null ? "0000" : pci.group(1);
    return Optional.of(
        "%s:%s:%s.%s"
            .formatted(domain, pci.group(2), pci.group(3), pci.group(4))
            .toLowerCase(Locale.ROOT));
  }

  private static void put(
      Map<String, String> things, String name, Pattern pattern, String text, int part) {
    Matcher matcher = pattern.matcher(text);
    if (matcher.find()) {
      things.put(name, matcher.group(part));
    }
  }

  private static String first(Matcher matcher) {
    for (int i = 1; i <= matcher.groupCount(); i++) {
      String part = matcher.group(i);
      if (part != null) {
        return part;
      }
    }
    throw new IllegalStateException("no group took part: " + matcher);
  }
}
