// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Locale;
import org.vfio4j.host.CaptureWriter;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.IommuState;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.Role;
import tools.jackson.core.JsonGenerator;

/**
 * What {@code vfio host --json} answers: the capture, and beside it what the same command says of
 * the IOMMU and of each group in its table and pictures ({@link GroupFacts}).
 *
 * <p>It stands with the command because that is an answer and no format: the contract is the
 * capture in it, which {@link CaptureWriter} of module {@code host} writes and {@code
 * capture.schema.json} there describes, and who gets what is the verdict's, which {@code assign}
 * writes. Who reads a host back reads the field {@code capture}.
 */
final class HostJson {

  private HostJson() {}

  static void print(Console console, HostTopology host) {
    Json.print(
        console,
        g -> {
          g.writeStartObject();
          g.writeName("capture");
          g.writeRawValue(CaptureWriter.write(host).stripTrailing());
          writeIommu(g, IommuState.of(host));
          Json.objects(g, "groups", GroupFacts.of(host).values(), HostJson::writeGroup);
          g.writeEndObject();
        });
  }

  private static void writeIommu(JsonGenerator g, IommuState state) {
    g.writeObjectPropertyStart("iommu");
    Json.put(g, "state", state.answer().name().toLowerCase(Locale.ROOT));
    Json.put(g, "because", state.because());
    Json.put(g, "advice", state.advice());
    g.writeEndObject();
  }

  private static void writeGroup(JsonGenerator g, GroupFacts group) {
    g.writeNumberProperty("id", group.id());
    Json.put(g, "holding", group.holding().word());
    g.writeBooleanProperty("shared", group.shared());
    Json.put(g, "endpoints", group.endpoints().stream().map(PciFunction::address).toList());
    Json.put(
        g,
        "bridges",
        group.members().stream()
            .filter(m -> !group.endpoints().contains(m))
            .map(PciFunction::address)
            .toList());
    Json.put(g, "others", group.others());
    Json.put(g, "drivers", group.drivers());
    Json.put(g, "roles", group.roles().stream().map(Role::word).toList());
  }
}
