// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.assign.Mode;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.Serving;
import org.vfio4j.assign.VmRequest;
import org.vfio4j.assign.request.RequestText;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.input.BadInputException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A VM that a daemon is to serve, as it was handed over: what is reached again after a boot.
 *
 * @param name of the VM
 * @param source the file that it was in, absolute; others are relative to it
 * @param text all of that file
 * @param host the host, where it is not the one that the file names
 * @param bind whether its functions are to be bound to vfio-pci
 * @param forced addresses that may be taken although the host lives on them
 * @param bound addresses that are given back to their drivers when the VM goes
 * @param wrapped what UUIDs of wrapped functions have meant since it is served: those in the text,
 *     and those by which it got functions later
 * @param started mediated devices of the kernel that are stopped when the VM goes
 * @param attached devices that it got later, and
 * @param detached addresses of those that it lost
 * @param coming all VMs that were handed over with it, as long as not all of them are served: they
 *     are served together or not at all
 * @param going whether it is being taken down
 */
record WantedVm(
    String name,
    String source,
    String text,
    Optional<String> host,
    boolean bind,
    List<String> forced,
    List<String> bound,
    Map<UUID, PciAddress> wrapped,
    List<String> started,
    List<Attached> attached,
    List<String> detached,
    List<String> coming,
    boolean going) {

  /**
   * A function that it got while it was served.
   *
   * @param reset whether it goes to another VM only after a reset
   */
  record Attached(DeviceRequest device, boolean reset) {
    /** As it is sent, and as it is written; by UUID it is sent only. */
    static Attached read(JsonNode node) {
      String device = text(node, "device");
      boolean wrapped = node.path("wrapped").asBoolean(false);
      return new Attached(
          Mdev.parseUuid(device)
              .map(DeviceRequest::mdev)
              .orElseGet(
                  () -> wrapped ? DeviceRequest.wrapped(device) : DeviceRequest.whole(device)),
          node.path("reset").asBoolean(true));
    }

    private void write(JsonGenerator g) {
      Json.put(g, "device", device.device());
      g.writeBooleanProperty("wrapped", device.mode() == Mode.WRAPPED);
      g.writeBooleanProperty("reset", reset);
    }
  }

  private static final int VERSION = 1;
  private static final JsonMapper JSON = new JsonMapper();

  /** Copies the lists. */
  WantedVm {
    forced = List.copyOf(forced);
    bound = List.copyOf(bound);
    wrapped = Map.copyOf(wrapped);
    started = List.copyOf(started);
    attached = List.copyOf(attached);
    detached = List.copyOf(detached);
    coming = List.copyOf(coming);
  }

  /** As a file asks for it. */
  static WantedVm of(
      String name,
      String source,
      String text,
      Optional<String> host,
      boolean bind,
      List<String> forced) {
    return new WantedVm(
        name, source, text, host, bind, forced, List.of(), Map.of(), List.of(), List.of(),
        List.of(), List.of(), false);
  }

  /** Whether both were handed over alike, whatever has become of them. */
  boolean sameAs(WantedVm other) {
    return of(name, source, text, host, bind, forced)
        .equals(of(other.name, other.source, other.text, other.host, other.bind, other.forced));
  }

  /**
   * Another in its place, where it is not served: with what has become of it if it was handed over
   * alike, and in any case with what is to be given back. What it lacks of the kernel's devices is
   * started anew.
   */
  WantedVm again(WantedVm other) {
    return sameAs(other) && !going ? starting(List.of()) : other.binding(bound);
  }

  WantedVm binding(List<String> functions) {
    List<String> all = Stream.concat(bound.stream(), functions.stream()).distinct().toList();
    return new WantedVm(
        name, source, text, host, bind, forced, all, wrapped, started, attached, detached, coming,
        going);
  }

  /** The same without these among those that are given back. */
  WantedVm released(List<String> functions) {
    List<String> left = bound.stream().filter(f -> !functions.contains(f)).toList();
    return new WantedVm(
        name, source, text, host, bind, forced, left, wrapped, started, attached, detached, coming,
        going);
  }

  WantedVm starting(List<String> uuids) {
    return new WantedVm(
        name, source, text, host, bind, forced, bound, wrapped, uuids, attached, detached, coming,
        going);
  }

  WantedVm wrapping(Map<UUID, PciAddress> functions) {
    return new WantedVm(
        name, source, text, host, bind, forced, bound, functions, started, attached, detached,
        coming, going);
  }

  /** The same, with the UUID by which it got a function. */
  WantedVm knowing(UUID uuid, DeviceRequest function) {
    Map<UUID, PciAddress> more = new HashMap<>(wrapped);
    PciAddress address = PciAddress.parse(function.device());
    // What the text means by it is not changed by what it means now.
    if (text.toLowerCase(Locale.ROOT).contains(uuid.toString())) {
      more.putIfAbsent(uuid, address);
    } else {
      more.put(uuid, address);
    }
    return wrapping(more);
  }

  /**
   * The same, where nothing goes on: UUIDs mean what they are defined as now, but for functions
   * that it got or lost by them; and what they meant where they are not defined any more.
   */
  WantedVm meantAnew() throws IOException {
    if (wrapped.isEmpty()) {
      return this;
    }
    Map<UUID, PciAddress> meant = new HashMap<>(wrapped);
    meant.values().removeIf(f -> !hasChanged(f.toString()));
    AskedAssignment now = wrapping(meant).asked();
    meant.putAll(now.wrapped());
    wrapped.forEach(
        (uuid, function) -> {
          if (now.host().mdevDefinitions(uuid).isEmpty() && now.host().mdev(uuid).isEmpty()) {
            meant.putIfAbsent(uuid, function);
          }
        });
    return wrapping(meant);
  }

  private boolean hasChanged(String function) {
    return detached.contains(function)
        || attached.stream().anyMatch(d -> d.device().device().equals(function));
  }

  /** The same, as one of several that are served together or not at all. */
  WantedVm comingWith(List<String> names) {
    return new WantedVm(
        name, source, text, host, bind, forced, bound, wrapped, started, attached, detached, names,
        going);
  }

  /** The same, whatever becomes of those that came with it. */
  WantedVm come() {
    return comingWith(List.of());
  }

  /** Whether all that it came with are written down, too, or have come already. */
  boolean isComplete(List<WantedVm> all) {
    return coming.stream()
        .allMatch(other -> all.stream().anyMatch(w -> w.name.equals(other) && w.isOfFile(this)));
  }

  /** Whether both were handed over at once. */
  private boolean isOfFile(WantedVm other) {
    return sameAs(of(name, other.source, other.text, other.host, other.bind, other.forced));
  }

  WantedVm goingDown() {
    return new WantedVm(
        name, source, text, host, bind, forced, bound, wrapped, started, attached, detached, coming,
        true);
  }

  /** The same with one device more. */
  WantedVm plus(Attached one) {
    List<Attached> more = new ArrayList<>(attached);
    more.add(one);
    return new WantedVm(
        name, source, text, host, bind, forced, bound, wrapped, started, more, detached, coming,
        going);
  }

  /** The same with one device less. */
  WantedVm minus(String address) {
    List<Attached> fewer =
        attached.stream().filter(d -> !d.device().device().equals(address)).toList();
    List<String> more = new ArrayList<>(detached);
    more.add(address);
    return new WantedVm(
        name, source, text, host, bind, forced, bound, wrapped, started, fewer, more, coming,
        going);
  }

  /**
   * What it asks for now, alone.
   *
   * @throws BadInputException if its file does not ask for it, or its host is not there
   */
  AskedAssignment asked() throws IOException {
    AskedAssignment all =
        AskedAssignment.of(List.of(RequestText.of(source, text)), Path.of(source), host, wrapped);
    VmRequest vm =
        all.request()
            .vm(name)
            .orElseThrow(() -> new BadInputException(source, 0, "vms", "has no VM " + name));
    List<DeviceRequest> devices = new ArrayList<>(vm.devices());
    devices.removeIf(d -> detached.contains(d.device()));
    Serving serving = vm.serving();
    for (Attached each : attached) {
      devices.add(each.device());
      serving = serving.handling(each.device(), new Serving.Handling(true, each.reset()));
    }
    Request request = all.request().with(List.of(vm.with(devices).withServing(serving)));
    return new AskedAssignment(request, all.host(), all.live(), all.wrapped());
  }

  /** As it is written. */
  String json() {
    return Json.text(
        g -> {
          g.writeStartObject();
          g.writeNumberProperty("version", VERSION);
          Json.put(g, "name", name);
          Json.put(g, "source", source);
          Json.put(g, "host", host);
          g.writeBooleanProperty("bind", bind);
          Json.put(g, "forced", forced);
          Json.put(g, "bound", bound);
          Json.objects(
              g,
              "wrapped",
              wrapped.entrySet(),
              (o, w) -> {
                Json.put(o, "uuid", w.getKey().toString());
                Json.put(o, "device", w.getValue().toString());
              });
          Json.put(g, "started", started);
          Json.objects(g, "attached", attached, (o, device) -> device.write(o));
          Json.put(g, "detached", detached);
          if (!coming.isEmpty()) {
            Json.put(g, "coming", coming);
          }
          if (going) {
            g.writeBooleanProperty("going", true);
          }
          Json.put(g, "text", text);
          g.writeEndObject();
        });
  }

  /**
   * Reads what {@link #json} has written.
   *
   * @param file its name, for messages
   * @throws BadInputException if it is none, or of a later version
   */
  static WantedVm read(String file, String json) {
    try {
      JsonNode node = JSON.readTree(json);
      int version = node.path("version").asInt(0);
      if (version != VERSION) {
        throw new BadInputException(
            file, 0, "version", "is %d, and this program reads %d".formatted(version, VERSION));
      }
      return new WantedVm(
          text(node, "name"),
          text(node, "source"),
          text(node, "text"),
          node.path("host").stringValueOpt(),
          node.path("bind").asBoolean(false),
          texts(node, "forced"),
          texts(node, "bound"),
          wrapped(node),
          texts(node, "started"),
          node.path("attached").valueStream().map(Attached::read).toList(),
          texts(node, "detached"),
          texts(node, "coming"),
          node.path("going").asBoolean(false));
    } catch (JacksonException | IllegalArgumentException e) {
      throw new BadInputException(file, 0, "", "is damaged: " + e.getMessage());
    }
  }

  private static Map<UUID, PciAddress> wrapped(JsonNode node) {
    return node.path("wrapped")
        .valueStream()
        .collect(
            Collectors.toMap(
                w -> UUID.fromString(text(w, "uuid")), w -> PciAddress.parse(text(w, "device"))));
  }

  /** A text that must be there. */
  static String text(JsonNode node, String field) {
    return node.path(field)
        .stringValueOpt()
        .orElseThrow(() -> new IllegalArgumentException("no '%s'".formatted(field)));
  }

  /** Texts that may be there. */
  static List<String> texts(JsonNode node, String field) {
    return node.path(field).valueStream().map(JsonNode::asString).toList();
  }
}
