// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.vfio4j.api.ApiCall;
import org.vfio4j.api.ApiLines;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.assign.VerdictJson;
import org.vfio4j.assign.VmRequest;
import org.vfio4j.assign.request.RequestText;
import org.vfio4j.broker.BrokerState;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.input.BadInputException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What may be asked of a daemon. Every object that it answers has a {@code text} for people; one of
 * a refusal has {@code error} and the command's exit {@code status}, too.
 *
 * <pre>
 * GET    /v1/vms                           all VMs, and what they have
 * POST   /v1/vms                           serve the VMs of a file
 * DELETE /v1/vms/NAME?force=yes            take a VM down
 * POST   /v1/vms/NAME/devices              give it a function more
 * DELETE /v1/vms/NAME/devices/ADDRESS?force=yes   or the UUID of a wrapped one
 * GET    /v1/events                        what happens, from the last events on
 * </pre>
 */
final class DaemonCalls {
  private static final Logger LOG = LoggerFactory.getLogger(DaemonCalls.class);

  /** How often it is found out whether a reader of events is still there. */
  private static final Duration ALIVE = Duration.ofSeconds(10);

  private static final JsonMapper JSON = new JsonMapper();

  private final Daemon daemon;
  private final EventLines lines;
  private final EventFeed feed;
  private final HotPlug plugging;

  DaemonCalls(Daemon daemon, EventLines lines, EventFeed feed, HotPlug plugging) {
    this.daemon = daemon;
    this.lines = lines;
    this.feed = feed;
    this.plugging = plugging;
  }

  /** Answers a call. */
  void answer(ApiCall call) throws IOException {
    try (Answering answering = new Answering(call)) {
      try {
        route(call, answering);
      } catch (NotAdmittedException e) {
        answering.refuse(409, g -> refused(g, e));
      } catch (BadInputException e) {
        answering.refuse(400, Complaint.of(e).orElseThrow()::write);
      } catch (RefusedException e) {
        answering.refuse(409, Complaint.of(e).orElseThrow()::write);
      } catch (JacksonException | IllegalArgumentException e) {
        answering.refuse(400, new Complaint(Main.BAD_INPUT, "call: " + e.getMessage())::write);
      } catch (UncheckedIOException | ApiCall.TooLargeException e) {
        answering.refuse(400, new Complaint(Main.BAD_INPUT, "call: " + e.getMessage())::write);
      } catch (InterruptedException _) {
        Thread.currentThread().interrupt();
      } catch (RuntimeException e) {
        LOG.error("{} {} failed", call.method(), call.path(), e);
        answering.refuse(
            500,
            new Complaint(Main.BROKEN, "a mistake of this program, please report it: " + e)::write);
      }
    }
  }

  private void route(ApiCall call, Answering answering) throws IOException, InterruptedException {
    String[] path = call.path().toArray(String[]::new);
    String route = call.method() + " " + path.length + " " + (path.length > 1 ? path[1] : "");
    boolean known = path.length > 1 && path[0].equals("v1");
    boolean devices = path.length < 4 || path[3].equals("devices");
    switch (known && devices ? route : "none") {
      case "GET 2 vms" -> answering.answer(this::vms);
      case "POST 2 vms" -> up(JSON.readTree(call.body()), answering);
      case "DELETE 3 vms" -> {
        daemon.down(path[2], call.says("force"), report(answering, false));
        answering.done(path[2] + " is down");
      }
      case "POST 4 vms" -> attach(path[2], JSON.readTree(call.body()), answering);
      case "DELETE 5 vms" -> {
        String address = address(path[2], path[4]);
        daemon.detach(path[2], address, call.says("force"), plugging::unplug);
        answering.done("%s: %s is given back".formatted(path[2], address));
      }
      case "GET 2 events" -> events(answering);
      default ->
          answering.refuse(
              404,
              new Complaint(
                      Main.BAD_INPUT,
                      "nothing can be asked by %s at /%s"
                          .formatted(call.method(), String.join("/", path)))
                  ::write);
    }
  }

  /** A function is named by its address, or a wrapped one by its UUID. */
  private String address(String vm, String text) throws IOException {
    Optional<UUID> uuid = Mdev.parseUuid(text);
    if (uuid.isPresent()) {
      Optional<String> had = daemon.had(vm, uuid.get());
      if (had.isPresent()) {
        return had.get();
      }
      WantedVm.Attached named = new WantedVm.Attached(DeviceRequest.mdev(uuid.get()), true);
      return daemon.meant(vm, named).device().device();
    }
    return PciAddress.tryParse(text)
        .map(PciAddress::toString)
        .orElseThrow(
            () -> new BadInputException(text, 0, "", "is no PCI address, as in 0000:01:00.0"));
  }

  private UpReport report(Answering answering, boolean libvirt) {
    return new UpReport(lines.and(answering::event), libvirt);
  }

  private void up(JsonNode body, Answering answering) throws IOException {
    String source = WantedVm.text(body, "source");
    String text = WantedVm.text(body, "text");
    Optional<String> host = body.path("host").stringValueOpt();
    boolean bind = body.path("bind").asBoolean(false);
    List<String> forced = WantedVm.texts(body, "force");
    AskedAssignment asked =
        AskedAssignment.of(
            List.of(RequestText.of(source, text)), java.nio.file.Path.of(source), host, Map.of());
    List<WantedVm> wanted =
        asked.request().vms().stream()
            .map(VmRequest::name)
            .map(name -> WantedVm.of(name, source, text, host, bind, forced))
            .toList();
    boolean libvirt = body.path("form").asString("qemu").equals("libvirt");
    boolean any = daemon.up(wanted, report(answering, libvirt));
    answering.done(any ? "" : "up already");
  }

  private void attach(String vm, JsonNode body, Answering answering) throws IOException {
    WantedVm.Attached named = WantedVm.Attached.read(body);
    WantedVm.Attached one = daemon.meant(vm, named);
    Optional<UUID> uuid = Mdev.parseUuid(named.device().device());
    Plug plug = daemon.attach(vm, one, uuid, report(answering, false));
    boolean done = false;
    try {
      answering.done(plugging.plug(daemon.plugged(vm), plug));
      done = true;
    } finally {
      if (!done) {
        daemon.detach(vm, one.device().device(), true, (_, _) -> {});
      }
    }
  }

  private void events(Answering answering) throws InterruptedException {
    try (EventFeed.Reader reader = feed.read(true)) {
      while (answering.event(reader.next(ALIVE).orElse("{\"event\":\"alive\"}"))) {
        // Until nobody reads any more.
      }
    }
  }

  private static void refused(JsonGenerator g, NotAdmittedException e) {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    Console console =
        Console.plain(new PrintStream(text, true, StandardCharsets.UTF_8), System.err);
    AssignmentChoice.print(console, false, e.verdict(), e.asked());
    Json.put(g, "error", "refused");
    g.writeNumberProperty("status", AssignmentChoice.status(e.verdict()));
    g.writeName("verdict");
    VerdictJson.write(g, e.verdict());
    Json.put(g, "text", text.toString(StandardCharsets.UTF_8).stripTrailing());
  }

  private void vms(JsonGenerator g) {
    Json.objects(g, "vms", daemon.vms(), this::vm);
  }

  private void vm(JsonGenerator g, HostedVm vm) {
    String name = vm.wanted().name();
    Json.put(g, "name", name);
    Json.put(g, "source", vm.wanted().source());
    Json.put(g, "state", state(vm));
    Json.put(g, "why", Optional.of(vm.failed()).filter(f -> !f.isEmpty()));
    List<BrokerState.OfVm> states = vm.states();
    g.writeNumberProperty(
        "mapped", states.stream().mapToLong(BrokerState.OfVm::pinned).reduce(0, Long::sum));
    Json.objects(
        g,
        "groups",
        states.stream().flatMap(s -> s.groups().stream()).toList(),
        (o, group) -> {
          o.writeNumberProperty("group", group.number());
          o.writeNumberProperty("users", group.users());
        });
    Json.objects(
        g,
        "devices",
        vm.plugged().map(PluggedVm::plugs).orElse(List.of()),
        (o, plug) -> {
          Json.put(o, "device", plug.source().name());
          Json.put(o, "socket", plug.socket().toString());
          Json.put(o, "phase", phase(vm, states, plug));
          state(states, plug)
              .flatMap(BrokerState.OfDevice::trouble)
              .ifPresent(t -> Json.put(o, "trouble", UpReport.word(t)));
          vm.user(plug).ifPresent(pid -> o.writeNumberProperty("pid", pid));
        });
  }

  private String state(HostedVm vm) {
    if (daemon.isChanging(vm.wanted().name())) {
      return "changing";
    }
    return vm.failed().isEmpty() ? "served" : "failed";
  }

  private static Optional<BrokerState.OfDevice> state(List<BrokerState.OfVm> states, Plug plug) {
    return plug.source() instanceof Plug.Function f
        ? states.stream()
            .flatMap(s -> s.devices().stream())
            .filter(d -> d.address().equals(f.address()))
            .findFirst()
        : Optional.empty();
  }

  private static String phase(HostedVm vm, List<BrokerState.OfVm> states, Plug plug) {
    return state(states, plug)
        .map(d -> d.phase().name().toLowerCase(Locale.ROOT))
        .orElse(vm.user(plug).isPresent() ? "connected" : "idle");
  }

  /** One answer: an object; or, from the first event on, several. */
  private static final class Answering implements AutoCloseable {
    private final ApiCall call;
    private Optional<ApiLines> lines = Optional.empty();
    private boolean gone;
    private boolean ended;

    Answering(ApiCall call) {
      this.call = call;
    }

    /** Sends an event; whether somebody reads still. */
    synchronized boolean event(String json) {
      if (gone || ended) {
        return false;
      }
      try {
        if (lines.isEmpty()) {
          lines = Optional.of(call.lines());
        }
        lines.get().send(json);
        return true;
      } catch (IOException _) {
        gone = true;
        return false;
      }
    }

    /** Answers with one object. */
    synchronized void answer(Consumer<JsonGenerator> fields) throws IOException {
      ended = true;
      call.answer(200, Json.line(fields));
    }

    /** What was asked for is done. */
    void done(String text) {
      event(
          Json.line(
              g -> {
                Json.put(g, "event", "done");
                Json.put(g, "text", text);
              }));
    }

    /** What was asked for is not done, or not to its end. */
    void refuse(int status, Consumer<JsonGenerator> fields) throws IOException {
      synchronized (this) {
        if (lines.isEmpty() && !gone) {
          ended = true;
          call.answer(status, Json.line(fields));
          return;
        }
      }
      event(
          Json.line(
              g -> {
                Json.put(g, "event", "refused");
                fields.accept(g);
              }));
    }

    @Override
    public synchronized void close() throws IOException {
      ended = true;
      if (lines.isPresent()) {
        lines.get().close();
      }
    }
  }
}
