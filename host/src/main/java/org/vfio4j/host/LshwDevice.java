// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A device as {@code lshw} tells of it, in any of its forms.
 *
 * @param description what it is, in words: its class
 * @param vendor its maker, with {@code -numeric} and its number
 * @param product its name, with {@code -numeric} and both numbers
 * @param driver its driver; empty if none is named
 * @param claimed whether a driver has it, or none is needed
 */
record LshwDevice(
    String description, String vendor, String product, String driver, boolean claimed) {

  /** The numbers have no leading zeros, and some names end nearly as they do: "Bridge [6:0]". */
  private static final Pattern NUMBERED =
      Pattern.compile("(?:(.*?) )?\\[([0-9A-F]{3,4}):([0-9A-F]{1,4})\\]");

  private static final Pattern NUMBERED_VENDOR = Pattern.compile(" ?\\[[0-9A-F]{1,4}\\]$");

  /** The device that has these fields, named as in the text and in JSON alike. */
  static LshwDevice of(Map<String, String> fields, String driver, boolean claimed) {
    return new LshwDevice(
        fields.getOrDefault("description", ""),
        fields.getOrDefault("vendor", ""),
        fields.getOrDefault("product", ""),
        driver,
        claimed);
  }

  /** The address in {@code pci@0000:01:00.0}. */
  static Optional<PciAddress> address(String bus) {
    return bus.startsWith("pci@") ? PciAddress.tryParse(bus.substring(4)) : Optional.empty();
  }

  /** Tells the function what is known of it. */
  void tell(PciFunction.Builder function) {
    PciClassNames.classOf(description).ifPresent(c -> function.classCode(Optional.of(c)));
    String name = product;
    Matcher numbered = NUMBERED.matcher(product);
    if (numbered.matches()) {
      name = Objects.requireNonNullElse(numbered.group(1), "");
      function.id(Optional.of(new PciId(hex(numbered.group(2)), hex(numbered.group(3)))));
    }
    if (!name.isEmpty()) {
      String maker = NUMBERED_VENDOR.matcher(vendor).replaceFirst("");
      function.description(Optional.of((maker + " " + name).strip()));
    }
    if (!driver.isEmpty()) {
      function.driver(Fact.known(driver));
    } else if (!claimed) {
      function.driver(Fact.none());
    }
  }

  private static int hex(String text) {
    return Integer.parseInt(text, 16);
  }
}
