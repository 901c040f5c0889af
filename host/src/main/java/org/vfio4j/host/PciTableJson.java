// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/** JSON of Proxmox' {@code pvesh}, of {@code lshw -json}, and of mdevctl. */
final class PciTableJson implements TextForm {

  private static final int MAX_LENGTH = 8 << 20;
  private static final Pattern BEGIN = Pattern.compile("\\[|\\[? ?\\{(?:\\s*\"[\\w-]+\"\\s*:.*)?");

  private final StringBuilder block = new StringBuilder();
  private TextLine first = new TextLine(0, "", "");
  private int depth;
  private boolean inString;

  @Override
  public boolean take(TextLine line, TextReading reading) {
    if (block.isEmpty()) {
      if (!BEGIN.matcher(line.bare()).matches()) {
        return false;
      }
      first = line;
    }
    block.append(line.bare()).append('\n');
    count(line.bare());
    if (depth <= 0 || block.length() > MAX_LENGTH) {
      flush(reading);
    }
    return true;
  }

  @Override
  public boolean takesLongLines() {
    return true;
  }

  private void count(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (inString) {
        i += c == '\\' ? 1 : 0;
        inString = c != '"';
      } else if (c == '"') {
        inString = true;
      } else if (c == '[' || c == '{') {
        depth++;
      } else if (c == ']' || c == '}') {
        depth--;
      }
    }
    inString = false;
  }

  @Override
  public void end(TextReading reading) {
    if (!block.isEmpty()) {
      flush(reading);
    }
  }

  private void flush(TextReading reading) {
    String json = block.toString();
    block.setLength(0);
    depth = 0;
    if (MdevctlJson.accepts(json)) {
      MdevctlJson.read(json, MdevctlText.listsActive(reading.command()), reading)
          .ifPresent(why -> reading.lost(first, why));
      return;
    }
    try (JsonParser parser = new JsonFactory().createParser(ObjectReadContext.empty(), json)) {
      if (!objects(parser, reading) && SaysNothing.namesSomething(json)) {
        reading.lost(first, Loss.Reason.NOT_READ);
      }
    } catch (JacksonException e) {
      reading.lost(first, Loss.Reason.CUT);
    }
  }

  /**
   * An object whose end has not come.
   *
   * @param name the field that it is the value of; empty in an array
   */
  private record Open(String name, Map<String, String> fields) {}

  /** Takes each object that tells of a function; whether there was one. */
  private static boolean objects(JsonParser parser, TextReading reading) {
    boolean any = false;
    Deque<Open> open = new ArrayDeque<>();
    for (JsonToken t = parser.nextToken(); t != null; t = parser.nextToken()) {
      if (t == JsonToken.START_OBJECT) {
        open.push(new Open(Objects.requireNonNullElse(parser.currentName(), ""), new HashMap<>()));
      } else if (t == JsonToken.END_OBJECT) {
        Open ended = open.pop();
        if (ended.name().equals("configuration") && !open.isEmpty()) {
          open.peek().fields().putAll(ended.fields());
        }
        any |= put(ended.fields(), reading);
      } else if (t.isScalarValue() && !open.isEmpty() && parser.currentName() != null) {
        open.peek().fields().putIfAbsent(parser.currentName(), parser.getString());
      }
    }
    return any;
  }

  private static boolean put(Map<String, String> object, TextReading reading) {
    String bus = object.getOrDefault("businfo", "");
    if (!bus.startsWith("pci@")) {
      return object.containsKey("iommugroup") && PciTable.put(object, reading);
    }
    String driver = object.getOrDefault("driver", "");
    LshwDevice device = LshwDevice.of(object, driver, object.containsKey("claimed"));
    Optional<PciAddress> address = LshwDevice.address(bus);
    address.ifPresent(a -> device.tell(reading.function(a)));
    return address.isPresent();
  }
}
