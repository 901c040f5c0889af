// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign.request;

import java.io.StringReader;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;
import org.vfio4j.assign.Request;
import org.vfio4j.host.input.BadInputException;

/** Reads domain XML as {@code virsh dumpxml} prints it, of one domain or of several in a row. */
final class LibvirtDomains {
  private static final String ROOT = "vfio4j-domains";

  /** libvirt's units: those that end in B, but for the iB, are decimal. */
  private static final Map<String, Long> UNITS =
      Map.ofEntries(
          Map.entry("b", 1L),
          Map.entry("bytes", 1L),
          Map.entry("kb", 1000L),
          Map.entry("k", 1L << 10),
          Map.entry("kib", 1L << 10),
          Map.entry("mb", 1000_000L),
          Map.entry("m", 1L << 20),
          Map.entry("mib", 1L << 20),
          Map.entry("gb", 1000_000_000L),
          Map.entry("g", 1L << 30),
          Map.entry("gib", 1L << 30),
          Map.entry("tb", 1000_000_000_000L),
          Map.entry("t", 1L << 40),
          Map.entry("tib", 1L << 40));

  private final String source;
  private final XMLStreamReader xml;
  private final Deque<String> path = new ArrayDeque<>();
  private final List<VmDraft> domains = new ArrayList<>();
  private Optional<VmDraft> open = Optional.empty();
  private String kind = "";

  private LibvirtDomains(String source, XMLStreamReader xml) {
    this.source = source;
    this.xml = xml;
  }

  static Request read(String source, String text) {
    // Several documents in a row are one, once their declarations are gone.
    String one = "<%s>%s</%s>".formatted(ROOT, text.replaceAll("<\\?xml[^>]*\\?>", ""), ROOT);
    XMLInputFactory factory = XMLInputFactory.newDefaultFactory();
    factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
    factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
    factory.setProperty(XMLInputFactory.IS_NAMESPACE_AWARE, false);
    try {
      XMLStreamReader xml = factory.createXMLStreamReader(new StringReader(one));
      LibvirtDomains reader = new LibvirtDomains(source, xml);
      reader.read();
      return VmDraft.request(source, reader.domains);
    } catch (XMLStreamException e) {
      int line = e.getLocation() == null ? 0 : e.getLocation().getLineNumber();
      throw new BadInputException(source, line, "", "no XML of libvirt: " + said(e));
    }
  }

  private static String said(XMLStreamException e) {
    String message = String.valueOf(e.getMessage());
    return message.lines().reduce((first, last) -> last).orElse(message).replace("Message: ", "");
  }

  private int line() {
    return xml.getLocation().getLineNumber();
  }

  private String attribute(String name) {
    String value = xml.getAttributeValue(null, name);
    return value == null ? "" : value.strip();
  }

  private boolean in(String... elements) {
    int i = 0;
    for (String each : path) {
      if (i < elements.length && !each.equals(elements[i])) {
        return false;
      }
      i++;
    }
    return i >= elements.length;
  }

  private void read() throws XMLStreamException {
    while (xml.hasNext()) {
      int event = xml.next();
      if (event == XMLStreamConstants.START_ELEMENT) {
        path.push(xml.getLocalName());
        start();
      } else if (event == XMLStreamConstants.END_ELEMENT) {
        String ended = path.pop();
        if (ended.equals("domain") && open.isPresent() && !path.contains("domain")) {
          domains.add(open.get());
          open = Optional.empty();
        }
      }
    }
  }

  private void start() throws XMLStreamException {
    String element = path.getFirst();
    if (element.equals("domain") && open.isEmpty() && !path.contains("inactiveDomain")) {
      open = Optional.of(new VmDraft(source, line(), "domain" + (domains.size() + 1)));
      return;
    }
    if (open.isPresent()) {
      inDomain(open.get());
    }
  }

  private void inDomain(VmDraft domain) throws XMLStreamException {
    int at = line();
    if (in("name", "domain")) {
      domain.name = text().strip();
    } else if (in("memory", "domain")) {
      domain.memory(at, size(attribute("unit"), at, domain));
    } else if (in("hard_limit", "memtune", "domain")) {
      domain.memlock = Optional.of(size(attribute("unit"), at, domain));
    } else if (in("iommu", "devices", "domain")) {
      domain.viommu = true;
    } else if (in("hostdev", "devices", "domain") || in("interface", "devices", "domain")) {
      kind = path.getFirst().equals("hostdev") ? attribute("type") : "interface";
      if (kind.equals("interface") && !attribute("type").equals("hostdev")) {
        kind = "";
      }
    } else if (in("address", "source", "hostdev") || in("address", "source", "interface")) {
      address(domain, at);
    }
  }

  private void address(VmDraft domain, int at) {
    switch (kind) {
      case "pci", "interface" -> domain.function(at, pci(domain, at));
      case "mdev" -> domain.mdev(at, attribute("uuid"));
      default -> {}
    }
  }

  private String pci(VmDraft domain, int at) {
    return "%04x:%02x:%02x.%x"
        .formatted(
            number("domain", domain, at),
            number("bus", domain, at),
            number("slot", domain, at),
            number("function", domain, at));
  }

  private int number(String name, VmDraft domain, int at) {
    String text = attribute(name);
    if (text.isEmpty()) {
      return 0;
    }
    try {
      return Integer.decode(text);
    } catch (NumberFormatException _) {
      throw domain.error(at, "address: %s='%s' is no number".formatted(name, text));
    }
  }

  private String text() throws XMLStreamException {
    String text = xml.getElementText();
    path.pop();
    return text;
  }

  private long size(String unit, int at, VmDraft domain) throws XMLStreamException {
    long each = UNITS.getOrDefault(unit.isEmpty() ? "kib" : unit.toLowerCase(Locale.ROOT), 0L);
    String text = text().strip();
    if (each == 0 || !text.matches("[0-9]{1,15}")) {
      throw domain.error(at, "no size of libvirt: '%s %s'".formatted(text, unit));
    }
    long count = Long.parseLong(text);
    if (count > Long.MAX_VALUE / each) {
      throw domain.error(at, "out of range: '%s %s'".formatted(text, unit));
    }
    // libvirt itself rounds up to whole KiB, QEMU's RAM to whole pages.
    return (count * each + 4095) & -4096;
  }
}
