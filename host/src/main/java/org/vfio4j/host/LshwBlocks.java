// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What {@code lshw} prints: a block for each device, or with {@code -businfo} a row. */
final class LshwBlocks implements TextForm {

  private static final Pattern BEGIN = Pattern.compile("\\*-(\\S+)(?: (DISABLED|UNCLAIMED))?.*");
  private static final Pattern FIELD = Pattern.compile("([a-z][a-z ]{1,24}): (.*)");
  private static final Pattern DRIVER = Pattern.compile("(?:.* )?driver=(\\S+).*");

  /** A row of {@code lshw -businfo}: where it is, perhaps its device file, lshw's class, a name. */
  private static final Pattern ROW =
      Pattern.compile(
          "(pci@\\S+)\\s+(?:\\S+\\s+)?(?:system|bridge|memory|processor|address|storage|disk|bus|network"
              + "|display|input|printer|multimedia|communication|power|volume|generic)\\s+(\\S.*)");

  private final Map<String, String> fields = new HashMap<>();
  private boolean inside;
  private boolean unclaimed;

  @Override
  public boolean take(TextLine line, TextReading reading) {
    if (row(line, reading)) {
      flush(reading);
      inside = false;
      return true;
    }
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

  private static boolean row(TextLine line, TextReading reading) {
    if (!line.bare().startsWith("pci@")) {
      return false;
    }
    Matcher row = ROW.matcher(line.bare());
    Optional<PciAddress> address =
        row.matches() ? LshwDevice.address(row.group(1)) : Optional.empty();
    address.ifPresent(
        a -> new LshwDevice("", "", row.group(2), "", true).tell(reading.function(a)));
    return address.isPresent();
  }

  @Override
  public void end(TextReading reading) {
    flush(reading);
  }

  private void flush(TextReading reading) {
    Matcher driver = DRIVER.matcher(fields.getOrDefault("configuration", ""));
    LshwDevice device = LshwDevice.of(fields, driver.matches() ? driver.group(1) : "", !unclaimed);
    LshwDevice.address(fields.getOrDefault("bus info", ""))
        .ifPresent(a -> device.tell(reading.function(a)));
    fields.clear();
  }
}
