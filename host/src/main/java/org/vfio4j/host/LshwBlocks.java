// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The blocks that {@code lshw} prints, one for each device. */
final class LshwBlocks implements TextForm {

  private static final Pattern BEGIN = Pattern.compile("\\*-(\\S+)(?: (DISABLED|UNCLAIMED))?.*");
  private static final Pattern FIELD = Pattern.compile("([a-z][a-z ]{1,24}): (.*)");
  private static final Pattern NUMBER = Pattern.compile(".*\\[([0-9A-F]{4}):([0-9A-F]{4})\\].*");
  private static final Pattern DRIVER = Pattern.compile("(?:.* )?driver=(\\S+).*");

  private final Map<String, String> fields = new HashMap<>();
  private boolean inside;
  private boolean unclaimed;

  @Override
  public boolean take(TextLine line, TextReading reading) {
    Matcher begin = BEGIN.matcher(line.bare());
    if (begin.matches()) {
      flush(reading);
      inside = true;
      unclaimed = "UNCLAIMED".equals(begin.group(2));
      return true;
    }
    Matcher field = FIELD.matcher(line.bare());
    if (!inside || !field.matches() || line.indent() == 0) {
      flush(reading);
      inside = false;
      return false;
    }
    fields.put(field.group(1), field.group(2));
    return true;
  }

  @Override
  public void end(TextReading reading) {
    flush(reading);
  }

  private void flush(TextReading reading) {
    String bus = fields.getOrDefault("bus info", "");
    Optional<PciAddress> address =
        bus.startsWith("pci@") ? PciAddress.tryParse(bus.substring(4)) : Optional.empty();
    address.ifPresent(a -> put(reading.function(a)));
    fields.clear();
  }

  private void put(PciFunction.Builder function) {
    PciClassNames.classOf(fields.getOrDefault("description", ""))
        .ifPresent(c -> function.classCode(Optional.of(c)));
    String product = fields.getOrDefault("product", "");
    Matcher number = NUMBER.matcher(product);
    if (number.matches()) {
      PciId id = PciId.parse(number.group(1) + ":" + number.group(2));
      function.id(Optional.of(id));
    }
    String name = product.replaceFirst(" \\[[0-9A-F]{4}:[0-9A-F]{4}\\]", "");
    if (!name.isEmpty()) {
      String maker = fields.getOrDefault("vendor", "").replaceFirst(" \\[[0-9A-F]{4}\\]", "");
      function.description(Optional.of((maker + " " + name).strip()));
    }
    Matcher driver = DRIVER.matcher(fields.getOrDefault("configuration", ""));
    if (driver.matches()) {
      function.driver(Fact.known(driver.group(1)));
    } else if (unclaimed) {
      function.driver(Fact.none());
    }
  }
}
