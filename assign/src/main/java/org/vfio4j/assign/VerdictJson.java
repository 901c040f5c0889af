// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.io.StringWriter;
import java.util.Collection;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.BiConsumer;
import org.vfio4j.host.MdevDefinition;
import org.vfio4j.host.PciFunction;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/**
 * A verdict as JSON, as {@code verdict.schema.json} beside this class describes it: the contract
 * for everybody who does not run Java. What does not apply is left out. New fields may come, those
 * that are there stay what they are while the number in {@code vfio4j-verdict} does.
 */
public final class VerdictJson {
  /** The version of the format. */
  public static final int VERSION = 1;

  private static final JsonFactory FACTORY = new JsonFactory();

  private VerdictJson() {}

  /** The verdict as a JSON text of one line. */
  public static String text(Verdict verdict) {
    StringWriter out = new StringWriter();
    try (JsonGenerator generator = FACTORY.createGenerator(ObjectWriteContext.empty(), out)) {
      write(generator, verdict);
    }
    return out.toString();
  }

  /** Writes the verdict as one JSON value, laid out as the generator does. */
  public static void write(JsonGenerator g, Verdict verdict) {
    g.writeStartObject();
    g.writeNumberProperty("vfio4j-verdict", VERSION);
    g.writeBooleanProperty("admitted", verdict.admitted());
    strictly(g, verdict);
    g.writeStringProperty("host", verdict.findings().host());
    g.writeStringProperty("kernel", verdict.kernel());
    answering(g, verdict.findings().kernel());
    objects(g, "vms", verdict.vms(), VerdictJson::vm);
    if (!verdict.beyond().isEmpty()) {
      objects(g, "beyondLinux", verdict.beyond(), VerdictJson::beyond);
    }
    if (!verdict.warnings().isEmpty()) {
      objects(g, "warnings", verdict.warnings(), VerdictJson::warning);
    }
    if (!verdict.assumed().isEmpty()) {
      objects(g, "assumed", verdict.assumed(), VerdictJson::assumption);
    }
    g.writeEndObject();
  }

  private static void strictly(JsonGenerator g, Verdict verdict) {
    if (verdict instanceof Verdict.Refused refused) {
      texts(g, "strictly", refused.strictly().stream().map(Verdict.Strictness::word).toList());
    }
  }

  private static void answering(JsonGenerator g, AnsweringKernel kernel) {
    g.writeObjectPropertyStart("answering");
    g.writeStringProperty("basis", kernel.basis().word());
    kernel.release().ifPresent(r -> g.writeStringProperty("release", r));
    g.writeStringProperty("interface", "group");
    g.writeEndObject();
  }

  private static void beyond(JsonGenerator g, Beyond b) {
    wanted(g, b.vm(), b.device());
    g.writeStringProperty("message", b.message());
  }

  private static void warning(JsonGenerator g, Warning w) {
    wanted(g, w.vm(), w.device());
    g.writeStringProperty("warning", w.kind().word());
    g.writeStringProperty("message", w.message());
  }

  private static void step(JsonGenerator g, Step step) {
    switch (step) {
      case Step.Bind s -> {
        g.writeStringProperty("step", "bind");
        g.writeStringProperty("device", s.device());
        g.writeStringProperty("driver", s.driver());
        s.before().ifPresent(b -> g.writeStringProperty("before", b));
      }
      case Step.CreateMdev s -> {
        g.writeStringProperty("step", "create-mdev");
        g.writeStringProperty("device", s.parent());
        g.writeStringProperty("type", s.type());
      }
      case Step.StartMdev s -> {
        g.writeStringProperty("step", "start-mdev");
        g.writeStringProperty("device", s.parent());
        g.writeStringProperty("type", s.type());
        texts(g, "mdevs", List.of(s.mdev()));
      }
      case Step.ChooseVgpu s -> {
        g.writeStringProperty("step", "choose-vgpu");
        g.writeStringProperty("device", s.function().toString());
        objects(
            g,
            "types",
            s.types(),
            (to, type) -> {
              to.writeNumberProperty("id", type.id());
              to.writeStringProperty("name", type.name());
            });
      }
      case Step.LoseMdevs s -> {
        g.writeStringProperty("step", "lose-mdevs");
        g.writeStringProperty("device", s.parent());
        texts(g, "mdevs", s.mdevs());
      }
    }
  }

  private static void vm(JsonGenerator g, VmVerdict vm) {
    g.writeStringProperty("name", vm.name());
    if (vm.lockedBytes() > 0) {
      g.writeNumberProperty("lockedBytes", vm.lockedBytes());
    }
    objects(g, "devices", vm.devices(), VerdictJson::device);
  }

  private static void device(JsonGenerator g, DeviceVerdict d) {
    g.writeStringProperty("device", d.request().device());
    g.writeStringProperty("mode", d.request().mode().word());
    d.request().type().ifPresent(t -> g.writeStringProperty("type", t));
    number(g, "group", d.group());
    number(g, "backingGroup", d.backingGroup());
    d.container().ifPresent(c -> g.writeStringProperty("container", c));
    number(g, "domain", d.domain());
    number(g, "users", d.users());
    texts(g, "sharing", d.sharing());
    g.writeStringProperty("outcome", d.outcome().word());
    d.refusal().ifPresent(r -> refusal(g, r));
    texts(g, "steps", d.steps().stream().map(Step::sentence).toList());
    if (!d.steps().isEmpty()) {
      objects(g, "actions", d.steps(), VerdictJson::step);
    }
  }

  private static void refusal(JsonGenerator g, DeviceRefusal r) {
    r.errno().ifPresent(e -> g.writeStringProperty("errno", e.name()));
    g.writeStringProperty("code", r.code().name());
    g.writeStringProperty("call", r.call());
    r.holder().ifPresent(h -> holder(g, h));
    g.writeStringProperty("message", r.message());
    if (!r.fixes().isEmpty()) {
      objects(g, "fixes", r.fixes(), VerdictJson::fix);
    }
  }

  private static void holder(JsonGenerator g, DeviceRefusal.HolderVm h) {
    g.writeObjectPropertyStart("holder");
    g.writeStringProperty("vm", h.vm());
    texts(g, "devices", h.devices());
    if (h.running()) {
      g.writeBooleanProperty("running", true);
    }
    h.pid().ifPresent(pid -> g.writeNumberProperty("pid", pid));
    g.writeEndObject();
  }

  private static void fix(JsonGenerator g, Fix fix) {
    g.writeStringProperty("fix", word(fix));
    g.writeStringProperty("sentence", fix.sentence());
    switch (fix) {
      case Fix.Unbind(List<PciFunction> functions) ->
          texts(g, "functions", functions.stream().map(PciFunction::address).toList());
      case Fix.GiveToo f -> {
        g.writeStringProperty("vm", f.vm());
        texts(g, "functions", f.functions());
      }
      case Fix.Move f -> {
        wanted(g, f.from(), f.device());
        g.writeStringProperty("to", f.to());
      }
      case Fix.Together(List<Fix> fixes) -> objects(g, "fixes", fixes, VerdictJson::fix);
      case Fix.ShareAddressSpace f -> g.writeStringProperty("vm", f.vm());
      case Fix.AskWhole f -> {
        g.writeStringProperty("vm", f.vm());
        texts(g, "functions", List.of(f.function()));
      }
      case Fix.RaiseMemlock f -> bytes(g, f.vm(), f.bytes());
      case Fix.LessMemory f -> bytes(g, f.vm(), f.bytes());
      case Fix.AskFor f -> {
        wanted(g, f.vm(), f.device());
        texts(g, "functions", List.of(f.other()));
      }
      case Fix.LeaveOut f -> wanted(g, f.vm(), f.device());
      case Fix.UseToken f -> {
        wanted(g, f.vm(), f.device());
        texts(g, "functions", List.of(f.physical()));
        f.holder().ifPresent(h -> g.writeStringProperty("holder", h));
        f.token().ifPresent(t -> g.writeStringProperty("token", t.toString()));
      }
      case Fix.RaiseEntryLimit f -> g.writeNumberProperty("limit", f.limit());
      case Fix.ReleasePhysical f -> texts(g, "functions", List.of(f.function()));
      case Fix.NoVirtualFunctions f -> texts(g, "functions", List.of(f.function()));
      case Fix.ShowGroups f -> texts(g, "functions", List.of(f.function()));
      case Fix.StartManually(MdevDefinition d) -> texts(g, "mdevs", List.of(d.uuid()));
      case Fix.DefineAs f -> {
        texts(g, "mdevs", List.of(f.definition().uuid()));
        g.writeStringProperty("type", f.type());
      }
      case Fix.RemapInterrupts _, Fix.AllowUnsafeInterrupts _ -> {}
    }
  }

  private static String word(Fix fix) {
    return switch (fix) {
      case Fix.Unbind _ -> "unbind";
      case Fix.GiveToo _ -> "give-too";
      case Fix.Move _ -> "move";
      case Fix.Together _ -> "together";
      case Fix.ShareAddressSpace _ -> "share-address-space";
      case Fix.AskWhole _ -> "ask-whole";
      case Fix.RaiseMemlock _ -> "raise-memlock";
      case Fix.LessMemory _ -> "less-memory";
      case Fix.AskFor _ -> "ask-for";
      case Fix.LeaveOut _ -> "leave-out";
      case Fix.UseToken _ -> "use-token";
      case Fix.RemapInterrupts _ -> "remap-interrupts";
      case Fix.AllowUnsafeInterrupts _ -> "allow-unsafe-interrupts";
      case Fix.RaiseEntryLimit _ -> "raise-entry-limit";
      case Fix.ReleasePhysical _ -> "release-physical";
      case Fix.NoVirtualFunctions _ -> "no-virtual-functions";
      case Fix.ShowGroups _ -> "show-groups";
      case Fix.StartManually _ -> "start-manually";
      case Fix.DefineAs _ -> "define-as";
    };
  }

  private static void wanted(JsonGenerator g, String vm, DeviceRequest device) {
    g.writeStringProperty("vm", vm);
    g.writeStringProperty("device", device.device());
    g.writeStringProperty("mode", device.mode().word());
  }

  private static void bytes(JsonGenerator g, String vm, long bytes) {
    g.writeStringProperty("vm", vm);
    g.writeNumberProperty("bytes", bytes);
  }

  private static void assumption(JsonGenerator g, Assumption a) {
    g.writeStringProperty("subject", a.subject());
    g.writeStringProperty("unknown", a.unknown());
    g.writeStringProperty("taken", a.taken());
  }

  private static void number(JsonGenerator g, String name, OptionalInt value) {
    value.ifPresent(v -> g.writeNumberProperty(name, v));
  }

  /** Texts, left out where there are none. */
  private static void texts(JsonGenerator g, String name, Collection<?> values) {
    if (!values.isEmpty()) {
      g.writeArrayPropertyStart(name);
      values.forEach(v -> g.writeString(v.toString()));
      g.writeEndArray();
    }
  }

  private static <T> void objects(
      JsonGenerator g, String name, Collection<T> items, BiConsumer<JsonGenerator, T> fields) {
    g.writeArrayPropertyStart(name);
    for (T item : items) {
      g.writeStartObject();
      fields.accept(g, item);
      g.writeEndObject();
    }
    g.writeEndArray();
  }
}
