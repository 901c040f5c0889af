// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What {@code virsh nodedev-list} prints, as a list or with {@code --tree}. */
final class NodedevTree implements TextForm {

  private static final Pattern NODE =
      Pattern.compile("([ |+-]*)pci_([0-9a-f]{4})_([0-9a-f]{2})_([0-9a-f]{2})_([0-7])(?:\\s.*)?");
  private static final Pattern OTHER =
      Pattern.compile(
          "[ |+-]*(?:computer|(?:net|scsi|usb|block|drm|mdev|ccw|css|dasd)_\\S+)|[ |+-]+");

  private record Above(int indent, PciAddress address) {}

  private final Deque<Above> above = new ArrayDeque<>();
  private boolean inside;

  @Override
  public boolean take(TextLine line, TextReading reading) {
    Matcher m = NODE.matcher(line.text());
    if (!m.matches()) {
      boolean mine = inside && OTHER.matcher(line.text()).matches();
      inside = mine || line.bare().equals("computer");
      return mine;
    }
    inside = true;
    String address = "%s:%s:%s.%s".formatted(m.group(2), m.group(3), m.group(4), m.group(5));
    Optional<PciAddress> node = PciAddress.tryParse(address);
    if (node.isEmpty()) {
      return false;
    }
    int indent = m.group(1).length();
    while (!above.isEmpty() && above.peek().indent() >= indent) {
      above.pop();
    }
    PciFunction.Builder function = reading.function(node.get());
    if (m.group(1).contains("+-")) {
      Fact<PciAddress> bridge = above.isEmpty() ? Fact.none() : Fact.known(above.peek().address());
      function.parent(bridge);
      above.push(new Above(indent, node.get()));
    }
    return true;
  }
}
