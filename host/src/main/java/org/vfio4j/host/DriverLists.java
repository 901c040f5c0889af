// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which driver has which function, as {@code driverctl} and DPDK's {@code dpdk-devbind} list it.
 */
final class DriverLists implements TextForm {

  private static final String ADDRESS =
      "(?:pci[/ ])?((?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7])";
  private static final Pattern DEVBIND =
      Pattern.compile(
          ADDRESS
              + " '(.*)'(?: numa_node=(\\S+))?(?: if=(\\S*))?(?: drv=(\\S+))?(?: unused=(\\S*))?"
              + "\\s*(\\*Active\\*)?");
  private static final Pattern DRIVERCTL =
      Pattern.compile(ADDRESS + "\\s+(\\(none\\)|[A-Za-z0-9][\\w-]*)( \\[\\*\\])?(?: \\((.+)\\))?");

  private int taken;

  @Override
  public boolean take(TextLine line, TextReading reading) {
    return devbind(line.bare(), reading) || driverctl(line, reading);
  }

  private static boolean devbind(String text, TextReading reading) {
    Matcher m = DEVBIND.matcher(text);
    boolean mine = m.matches() && (m.group(5) != null || m.group(6) != null);
    if (!mine || PciAddress.tryParse(m.group(1)).isEmpty()) {
      return false;
    }
    PciFunction.Builder function = reading.function(PciAddress.parse(m.group(1)));
    function.description(Optional.of(m.group(2)));
    function.driver(m.group(5) == null ? Fact.none() : Fact.known(m.group(5)));
    if (m.group(7) != null) {
      PciAddress address = function.address();
      reading.section().host().role(Role.NETWORK, java.util.List.of(address), true);
    }
    return true;
  }

  private boolean driverctl(TextLine line, TextReading reading) {
    Matcher m = DRIVERCTL.matcher(line.bare());
    if (!m.matches() || PciAddress.tryParse(m.group(1)).isEmpty()) {
      return false;
    }
    boolean sure =
        m.group(3) != null
            || m.group(4) != null
            || reading.command().contains("driverctl")
            || taken == line.number() - 1;
    if (!sure) {
      return false;
    }
    taken = line.number();
    PciFunction.Builder function = reading.function(PciAddress.parse(m.group(1)));
    function.driver(m.group(2).equals("(none)") ? Fact.none() : Fact.known(m.group(2)));
    Optional.ofNullable(m.group(4)).ifPresent(d -> function.description(Optional.of(d)));
    if (m.group(3) != null) {
      function.driverOverride(Fact.known(m.group(2)));
    }
    return true;
  }
}
