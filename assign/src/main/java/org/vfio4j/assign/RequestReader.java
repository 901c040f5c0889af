// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.host.tree.Tree;
import org.vfio4j.host.tree.TreeReader;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.dataformat.yaml.YAMLFactory;
import tools.jackson.dataformat.yaml.YAMLParser;

/** Reads a request from YAML (or JSON, which is YAML). */
public final class RequestReader {
  /** Characters a file may have. */
  public static final int MAX_CHARACTERS = 4 << 20;

  private static final int MAX_LINE = 1 << 16;
  private static final Pattern INDENTED_BY_TAB = Pattern.compile(" *\\t\\s*[^\\s#]");

  private RequestReader() {}

  /**
   * Reads a request.
   *
   * @param source the file's name, for errors
   * @param text all of it
   * @throws BadInputException at the first thing that does not belong there
   */
  public static Request read(String source, String text) {
    if (text.length() > MAX_CHARACTERS) {
      throw new BadInputException(
          source,
          1,
          "",
          "too large for a request: %d characters, at most %d"
              .formatted(text.length(), MAX_CHARACTERS));
    }
    checkLines(source, text);
    Tree tree;
    try (JsonParser parser = new YAMLFactory().createParser(ObjectReadContext.empty(), text)) {
      tree = TreeReader.read(parser, source, RequestReader::isAlias);
    }
    return request(source, tree.asObject());
  }

  private static boolean isAlias(JsonParser parser) {
    return parser instanceof YAMLParser yaml && yaml.isCurrentAlias();
  }

  /** What the YAML parser allocates for a line grows faster than the line. */
  private static void checkLines(String source, String text) {
    int number = 0;
    for (String line : (Iterable<String>) text.lines()::iterator) {
      number++;
      if (INDENTED_BY_TAB.matcher(line).lookingAt()) {
        throw new BadInputException(
            source, number, "", "a tab: YAML is indented by spaces, write two for it");
      }
      if (line.length() > MAX_LINE) {
        throw new BadInputException(
            source,
            number,
            "",
            "line too long: length=%d, max=%d".formatted(line.length(), MAX_LINE));
      }
    }
  }

  private static Request request(String source, Tree.Obj root) {
    root.only(Set.of("host", "vms", "running", "drivers"));
    Tree.Obj vms = root.required("vms").asObject();
    List<VmRequest> read = new ArrayList<>();
    vms.fields().forEach((name, vm) -> read.add(vm(name, vm)));
    if (read.isEmpty()) {
      throw vms.at().error("no VM");
    }
    // Where nothing of a host is asked for, there need be none.
    boolean needsHost = read.stream().anyMatch(vm -> !vm.devices().isEmpty());
    String host =
        needsHost
            ? root.required("host").asText()
            : root.field("host").map(Tree::asText).orElse("");
    List<RunningVm> running = new ArrayList<>();
    root.field("running")
        .ifPresent(
            r -> r.asObject().fields().forEach((name, vm) -> running.add(running(name, vm))));
    Map<PciAddress, Optional<String>> drivers = new HashMap<>();
    root.field("drivers")
        .ifPresent(
            d ->
                d.asObject()
                    .fields()
                    .forEach(
                        (address, driver) ->
                            drivers.put(address(address, driver), driver(driver))));
    return new Request(source, host, read, running, drivers, List.of());
  }

  private static PciAddress address(String text, Tree at) {
    return PciAddress.tryParse(text)
        .orElseThrow(() -> at.at().error("drivers are named by address, as in 0000:01:00.1: none"));
  }

  private static Optional<String> driver(Tree tree) {
    String name = tree.asText();
    return name.equals("none") ? Optional.empty() : Optional.of(name);
  }

  /** What it holds: groups by number, devices by address or UUID. */
  private static RunningVm running(String name, Tree tree) {
    Tree.Obj vm = tree.asObject();
    vm.only(Set.of("pid", "viommu", "holds"));
    Set<Integer> groups = new TreeSet<>();
    List<String> devices = new ArrayList<>();
    for (Tree held : vm.required("holds").asList()) {
      if (held instanceof Tree.Num) {
        groups.add(held.asInt(0, Integer.MAX_VALUE));
      } else {
        devices.add(held.parse(RequestReader::heldDevice));
      }
    }
    OptionalLong pid =
        vm.field("pid")
            .map(p -> OptionalLong.of(p.asLong(1, Integer.MAX_VALUE)))
            .orElse(OptionalLong.empty());
    boolean viommu = vm.field("viommu").map(Tree::asBoolean).orElse(false);
    return value(tree, () -> new RunningVm(name, pid, viommu, groups, devices));
  }

  private static String heldDevice(String text) {
    return RunningVm.holding("any", text).devices().getFirst();
  }

  /** What a value refuses of itself is refused with its place. */
  private static <T> T value(Tree at, Supplier<T> value) {
    try {
      return value.get();
    } catch (IllegalArgumentException e) {
      throw at.at().error(String.valueOf(e.getMessage()));
    }
  }

  private static VmRequest vm(String name, Tree tree) {
    Tree.Obj vm = tree.asObject();
    vm.only(
        Set.of(
            "memory", "memlock", "viommu", "devices", "user", "group", "mode", "timeout", "shared",
            "mmap", "qmp"));
    ServingReader serving = new ServingReader(vm);
    List<DeviceRequest> devices = new ArrayList<>();
    Set<DeviceRequest> seen = new HashSet<>();
    for (Tree item : vm.required("devices").asList()) {
      if (serving.builtIn(item)) {
        continue;
      }
      DeviceRequest device = device(item);
      if (!seen.add(device.withoutToken()) && device.oncePerVm()) {
        throw item.at().error(device + " stands here twice");
      }
      devices.add(device);
      serving.handled(device, item);
    }
    Optional<Long> memory = vm.field("memory").map(RequestReader::size);
    memory.ifPresent(bytes -> checkRam(vm.required("memory"), bytes));
    Optional<Long> memlock = vm.field("memlock").flatMap(RequestReader::limit);
    boolean viommu = vm.field("viommu").map(Tree::asBoolean).orElse(false);
    return value(
        tree, () -> new VmRequest(name, memory, memlock, viommu, devices, serving.serving()));
  }

  private static void checkRam(Tree tree, long bytes) {
    if (bytes < VmRequest.LEAST_RAM && tree.asScalar().strip().matches("[1-9][0-9]*")) {
      throw tree.at()
          .error(
              "%1$s without a unit is %1$s bytes: 4096MiB and 4GiB are sizes of RAM"
                  .formatted(tree.asScalar().strip()));
    }
    if (!VmRequest.isRam(bytes)) {
      throw tree.at().error("RAM is 1MiB to 4EiB, in whole pages of 4KiB: " + tree.asScalar());
    }
  }

  private static DeviceRequest device(Tree tree) {
    if (tree instanceof Tree.Text text) {
      return Mdev.parseUuid(text.asText())
          .map(DeviceRequest::mdev)
          .orElseGet(() -> DeviceRequest.whole(address(text)))
          .at(tree.at());
    }
    Tree.Obj item = tree.asObject();
    List<Mode> modes =
        Stream.of(Mode.values()).filter(m -> item.field(key(m)).isPresent()).toList();
    if (modes.size() != 1) {
      item.only(
          Set.of("device", "wrap", "mdev", "aux", "emulated", "type", "mmap", "reset", "vf_token"));
      throw tree.at()
          .error("a device is an address, a UUID, or one of device, wrap, mdev, aux, emulated");
    }
    Mode mode = modes.getFirst();
    switch (mode) {
      case AUX, EMULATED -> item.only(Set.of(key(mode), "type"));
      case WHOLE -> item.only(Set.of(key(mode), "mmap", "reset", "vf_token"));
      case WRAPPED -> item.only(Set.of(key(mode), "mmap", "reset"));
      case MDEV -> item.only(Set.of(key(mode)));
    }
    Tree value = item.required(key(mode));
    String device = mode == Mode.MDEV ? uuid(value) : address(value);
    return new DeviceRequest(
        mode,
        device,
        item.field("type").map(Tree::asScalar),
        item.field("vf_token").map(t -> UUID.fromString(uuid(t))),
        Optional.of(tree.at()));
  }

  /** A function itself needs no key, unless more is said of it. */
  private static String key(Mode mode) {
    return mode == Mode.WHOLE ? ServingReader.DEVICE : mode.key();
  }

  private static String address(Tree tree) {
    return tree.parse(PciAddress::parse).toString();
  }

  private static String uuid(Tree tree) {
    return Mdev.parseUuid(tree.asText())
        .orElseThrow(() -> tree.at().error("not a UUID: " + tree.asText()))
        .toString()
        .toLowerCase(Locale.ROOT);
  }

  private static Optional<Long> limit(Tree tree) {
    return tree.asScalar().strip().equals("unlimited") ? Optional.empty() : Optional.of(size(tree));
  }

  private static long size(Tree tree) {
    return Sizes.parse(tree.asScalar())
        .orElseThrow(
            () ->
                tree.at()
                    .error("no size such as 4GiB, 3.5G or 4096M, below 8EiB: " + tree.asScalar()));
  }
}
