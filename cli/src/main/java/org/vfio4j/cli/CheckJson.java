// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.OptionalInt;
import org.vfio4j.assign.Assumption;
import org.vfio4j.assign.DeviceRefusal;
import org.vfio4j.assign.DeviceVerdict;
import org.vfio4j.assign.Verdict;
import org.vfio4j.assign.VmVerdict;
import tools.jackson.core.JsonGenerator;

/** A verdict as JSON; what does not apply is left out. */
final class CheckJson {
  private CheckJson() {}

  static void write(JsonGenerator g, Verdict verdict) {
    g.writeStartObject();
    g.writeBooleanProperty("admitted", verdict.admitted());
    Json.objects(g, "vms", verdict.vms(), CheckJson::vm);
    if (!verdict.assumed().isEmpty()) {
      Json.objects(g, "assumed", verdict.assumed(), CheckJson::assumption);
    }
    g.writeEndObject();
  }

  private static void vm(JsonGenerator g, VmVerdict vm) {
    Json.put(g, "name", vm.name());
    if (vm.lockedBytes() > 0) {
      g.writeNumberProperty("lockedBytes", vm.lockedBytes());
    }
    Json.objects(g, "devices", vm.devices(), CheckJson::device);
  }

  private static void device(JsonGenerator g, DeviceVerdict d) {
    Json.put(g, "device", d.request().device());
    Json.put(g, "mode", d.request().mode().word());
    number(g, "group", d.group());
    number(g, "backingGroup", d.backingGroup());
    Json.put(g, "container", d.container());
    number(g, "domain", d.domain());
    number(g, "users", d.users());
    Json.put(g, "sharing", d.sharing());
    Json.put(g, "outcome", d.outcome().word());
    d.refusal().ifPresent(r -> refusal(g, r));
    Json.put(g, "steps", d.steps());
  }

  private static void refusal(JsonGenerator g, DeviceRefusal r) {
    Json.put(g, "errno", r.errno());
    Json.put(g, "code", r.code());
    Json.put(g, "call", r.call());
    r.holder()
        .ifPresent(
            h -> {
              g.writeObjectPropertyStart("holder");
              Json.put(g, "vm", h.vm());
              Json.put(g, "devices", h.devices());
              g.writeEndObject();
            });
    Json.put(g, "message", r.message());
    Json.put(g, "fixes", r.fixes());
  }

  private static void assumption(JsonGenerator g, Assumption a) {
    Json.put(g, "subject", a.subject());
    Json.put(g, "unknown", a.unknown());
    Json.put(g, "taken", a.taken());
  }

  private static void number(JsonGenerator g, String name, OptionalInt value) {
    value.ifPresent(v -> g.writeNumberProperty(name, v));
  }
}
