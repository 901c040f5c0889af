// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.io.StringReader;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;

/**
 * What {@code virsh nodedev-dumpxml} prints: a device of libvirt, with the members of its group.
 */
final class NodedevXml implements TextForm {

  private static final int MAX_LINES = 4096;
  private static final Pattern BEGIN = Pattern.compile("(?:<\\?xml.*\\?>)?\\s*<device>.*");

  private final StringBuilder block = new StringBuilder();
  private int lines;
  private TextLine first = new TextLine(0, "", "");

  @Override
  public boolean take(TextLine line, TextReading reading) {
    if (block.isEmpty()) {
      if (!BEGIN.matcher(line.bare()).matches()) {
        return false;
      }
      first = line;
    }
    block.append(line.bare(), Math.max(0, line.bare().indexOf("<device>")), line.bare().length());
    block.append('\n');
    if (line.bare().contains("</device>")) {
      flush(reading);
    } else if (++lines > MAX_LINES) {
      reading.lost(first, Loss.Reason.CUT);
      clear();
    }
    return true;
  }

  @Override
  public void end(TextReading reading) {
    if (!block.isEmpty()) {
      reading.lost(first, Loss.Reason.CUT);
    }
  }

  private void clear() {
    block.setLength(0);
    lines = 0;
  }

  private void flush(TextReading reading) {
    String xml = block.toString();
    clear();
    try {
      if (!new Reader(reading).read(xml.substring(0, xml.indexOf("</device>") + 9))) {
        reading.lost(first, Loss.Reason.NOT_READ);
      }
    } catch (XMLStreamException e) {
      reading.lost(first, Loss.Reason.CUT);
    }
  }

  /** Reads one device. */
  private static final class Reader {
    private final TextReading reading;
    private final Map<String, String> texts = new HashMap<>();
    private final Map<String, String> ids = new HashMap<>();
    private final Deque<String> path = new ArrayDeque<>();
    private final Deque<PciAddress> members = new ArrayDeque<>();
    private Optional<String> group = Optional.empty();
    private Optional<PciAddress> physical = Optional.empty();
    private String capability = "";
    private boolean hasDriver;

    Reader(TextReading reading) {
      this.reading = reading;
    }

    boolean read(String xml) throws XMLStreamException {
      XMLInputFactory factory = XMLInputFactory.newDefaultFactory();
      factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
      factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
      XMLStreamReader in = factory.createXMLStreamReader(new StringReader(xml));
      while (in.hasNext()) {
        switch (in.next()) {
          case XMLStreamConstants.START_ELEMENT -> begin(in);
          case XMLStreamConstants.END_ELEMENT -> path.pop();
          case XMLStreamConstants.CHARACTERS -> {
            if (!in.isWhiteSpace()) {
              texts.putIfAbsent(key(), in.getText().strip());
            }
          }
          default -> {}
        }
      }
      return put();
    }

    private String key() {
      StringBuilder key = new StringBuilder();
      path.descendingIterator().forEachRemaining(p -> key.append('/').append(p));
      return key.toString();
    }

    private void begin(XMLStreamReader in) {
      path.push(in.getLocalName());
      switch (in.getLocalName()) {
        case "product", "vendor" -> ids.putIfAbsent(in.getLocalName(), value(in, "id"));
        case "driver" -> hasDriver = true;
        case "iommuGroup" -> group = Optional.of(value(in, "number"));
        case "capability" -> capability = value(in, "type");
        case "address" -> {
          Optional<PciAddress> at = address(in);
          if (path.contains("iommuGroup")) {
            at.ifPresent(members::add);
          } else if (capability.equals("phys_function")) {
            physical = at;
          }
        }
        default -> {}
      }
    }

    private static String value(XMLStreamReader in, String name) {
      return Optional.ofNullable(in.getAttributeValue(null, name)).orElse("");
    }

    private static Optional<PciAddress> address(XMLStreamReader in) {
      String text =
          "%s:%s:%s.%s"
              .formatted(
                  hex(value(in, "domain")),
                  hex(value(in, "bus")),
                  hex(value(in, "slot")),
                  hex(value(in, "function")));
      return PciAddress.tryParse(text);
    }

    private static String hex(String text) {
      return text.replaceFirst("^0x", "");
    }

    private boolean put() {
      String name = texts.getOrDefault("/device/name", "");
      Optional<PciAddress> address =
          PciAddress.tryParse(
              name.replaceFirst(
                  "^pci_([0-9a-f]{4})_([0-9a-f]{2})_([0-9a-f]{2})_([0-7])$", "$1:$2:$3.$4"));
      if (address.isEmpty()) {
        return !name.startsWith("pci_") && !name.isEmpty();
      }
      PciFunction.Builder function = reading.function(address.get());
      String code = texts.getOrDefault("/device/capability/class", "");
      if (code.matches("0x[0-9a-fA-F]{6}")) {
        function.classCode(Optional.of(PciClass.parse(code.substring(2))));
      }
      String id = hex(ids.getOrDefault("vendor", "")) + ":" + hex(ids.getOrDefault("product", ""));
      if (id.matches("[0-9a-fA-F]{4}:[0-9a-fA-F]{4}")) {
        function.id(Optional.of(PciId.parse(id)));
      }
      String words = texts.getOrDefault("/device/capability/vendor", "");
      words = (words + " " + texts.getOrDefault("/device/capability/product", "")).strip();
      function.description(Optional.of(words).filter(w -> !w.isEmpty()));
      String driver = texts.getOrDefault("/device/driver/name", "");
      if (!driver.isEmpty()) {
        function.driver(Fact.known(driver));
      } else if (!hasDriver) {
        function.driver(Fact.none()); // One whose name is missing is a driver all the same.
      }
      physical.ifPresent(p -> function.physicalFunction(Fact.known(p)));
      String parent = texts.getOrDefault("/device/path", "");
      if (parent.startsWith("/sys/devices/")) {
        GroupPaths.path(parent, reading);
      }
      members(address.get());
      return true;
    }

    private void members(PciAddress self) {
      if (group.filter(g -> g.matches("[0-9]{1,9}")).isEmpty()) {
        return;
      }
      int number = Integer.parseInt(group.get());
      reading.member(number, self.toString());
      members.forEach(m -> reading.member(number, m.toString()));
    }
  }
}
