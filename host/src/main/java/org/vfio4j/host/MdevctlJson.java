// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.vfio4j.host.MdevDefinition.Start;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.host.tree.Tree;
import org.vfio4j.host.tree.TreeReader;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/**
 * What mdevctl prints with {@code --dumpjson}: a list of one map, parents by name, each with a list
 * of maps of one field, devices by UUID or types by id.
 */
final class MdevctlJson {
  private MdevctlJson() {}

  /** Whether a text may be of this form. */
  static boolean accepts(String json) {
    return json.contains("\"mdev_type\"") || json.contains("\"available_instances\"");
  }

  /**
   * Tells what a text of this form says.
   *
   * @param active whether devices are those that are there, and not those that are defined
   * @return why it does not count, where it does not
   */
  static Optional<Loss.Reason> read(String json, Optional<Boolean> active, TextReading reading) {
    try (JsonParser parser = new JsonFactory().createParser(ObjectReadContext.empty(), json)) {
      Tree tree = TreeReader.read(parser, "");
      boolean types = !json.contains("\"mdev_type\"");
      if (!types && active.isEmpty() && tree instanceof Tree.Arr) {
        return Optional.of(Loss.Reason.AMBIGUOUS);
      }
      for (Tree parents : tree.asList()) {
        for (Map.Entry<String, Tree> parent : parents.asObject().fields().entrySet()) {
          for (Tree item : parent.getValue().asList()) {
            item(parent.getKey(), item.asObject().fields(), active.orElse(false), reading);
          }
        }
      }
      return Optional.empty();
    } catch (BadInputException | IllegalArgumentException _) {
      return Optional.of(Loss.Reason.NOT_READ);
    }
  }

  private static void item(
      String parent, Map<String, Tree> fields, boolean active, TextReading reading) {
    HostBuilder host = reading.section().host();
    for (Map.Entry<String, Tree> each : fields.entrySet()) {
      Tree.Obj body = each.getValue().asObject();
      Optional<UUID> uuid = Mdev.parseUuid(each.getKey());
      MdevctlText.tell(reading, parent);
      if (body.field("mdev_type").isEmpty()) {
        host.mdevType(parent, type(each.getKey(), body), reading.here());
      } else if (uuid.isPresent()) {
        MdevDefinition definition = MdevDefinition.of(parent, uuid.get(), body);
        if (active) {
          host.mdevAsListed(uuid.get(), parent, Optional.of(definition.type()), reading.here());
        }
        // What is there starts by itself only where it is defined.
        if (!active || definition.start() == Start.AUTO) {
          host.redefine(definition);
        }
      }
    }
  }

  private static MdevType type(String id, Tree.Obj body) {
    List<String> names = List.of("name", "device_api", "description");
    List<Optional<String>> texts =
        names.stream().map(n -> body.field(n).map(Tree::asText)).toList();
    return new MdevType(
        id,
        texts.get(0),
        texts.get(1),
        body.field("available_instances").map(t -> t.asInt(0, Integer.MAX_VALUE)),
        texts.get(2));
  }
}
