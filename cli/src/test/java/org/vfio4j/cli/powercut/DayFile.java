// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.powercut;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import tools.jackson.databind.json.JsonMapper;

/**
 * What one of those asks for who change VMs side by side: by chance, of VMs and functions that
 * nobody else touches. The functions are a host's that is made up, so that devices of ours stand in
 * for them.
 */
final class DayFile {
  static final int WORKERS = 3;
  private static final int VMS = 3;
  private static final int FUNCTIONS = 3;

  /** Files up to this size, so that some have several blocks. */
  private static final int MOST_TEXT = 12_000;

  private static final JsonMapper JSON = new JsonMapper();

  /** What is sent. */
  record Call(String method, String path, String body) {}

  private final int worker;
  private final Random random;
  private final Map<String, Set<String>> mine = new TreeMap<>();

  /**
   * One of them.
   *
   * @param known devices of all VMs by their names
   */
  DayFile(int worker, Random random, Map<String, Set<String>> known) {
    this.worker = worker;
    this.random = random;
    for (String name : names()) {
      Set<String> devices = known.get(name);
      if (devices != null) {
        mine.put(name, new TreeSet<>(devices));
      }
    }
  }

  private List<String> names() {
    return IntStream.range(0, VMS).mapToObj(n -> "w%d-%d".formatted(worker, n)).toList();
  }

  private static String address(int worker, int vm, int function) {
    return "0000:%02x:%02x.0".formatted(0x20 + worker, vm * FUNCTIONS + function);
  }

  private List<String> addresses(String name) {
    int vm = name.charAt(name.length() - 1) - '0';
    return IntStream.range(0, FUNCTIONS).mapToObj(f -> address(worker, vm, f)).toList();
  }

  /** What is asked for next. */
  DayOperation next() {
    List<String> absent = new ArrayList<>(names());
    absent.removeAll(mine.keySet());
    Collections.shuffle(absent, random);
    if (!absent.isEmpty() && (mine.isEmpty() || random.nextInt(4) == 0)) {
      Map<String, Set<String>> vms = new TreeMap<>();
      for (String name : absent.subList(0, 1 + random.nextInt(absent.size()))) {
        Set<String> devices = new TreeSet<>(Set.of("edu"));
        addresses(name).stream().filter(_ -> random.nextInt(3) == 0).forEach(devices::add);
        vms.put(name, devices);
      }
      return new DayOperation.Up(vms);
    }
    List<String> present = List.copyOf(mine.keySet());
    String name = present.get(random.nextInt(present.size()));
    if (random.nextInt(5) == 0) {
      return new DayOperation.Down(name);
    }
    List<String> all = addresses(name);
    String device = all.get(random.nextInt(all.size()));
    return mine.getOrDefault(name, Set.of()).contains(device)
        ? new DayOperation.Detach(name, device)
        : new DayOperation.Attach(name, device);
  }

  /** It was done. */
  void done(DayOperation operation) {
    operation.change(mine);
  }

  /**
   * How it is asked for.
   *
   * @param folder where the host's file is
   */
  Call call(DayOperation operation, Path folder) {
    return switch (operation) {
      case DayOperation.Up up ->
          new Call(
              "POST",
              "/v1/vms",
              JSON.writeValueAsString(
                  Map.of("source", folder.resolve("day.yaml").toString(), "text", text(up))));
      case DayOperation.Attach a ->
          new Call(
              "POST",
              "/v1/vms/" + a.vm() + "/devices",
              JSON.writeValueAsString(Map.of("device", a.device())));
      case DayOperation.Detach d ->
          new Call("DELETE", "/v1/vms/" + d.vm() + "/devices/" + d.device(), "");
      case DayOperation.Down d -> new Call("DELETE", "/v1/vms/" + d.vm(), "");
    };
  }

  private String text(DayOperation.Up up) {
    StringBuilder text = new StringBuilder("host: host.json\nvms:\n");
    up.vms()
        .forEach(
            (name, devices) ->
                text.append("  ")
                    .append(name)
                    .append(": {memory: 64MiB, devices: [")
                    .append(
                        devices.stream()
                            .map(d -> d.equals("edu") ? "{device: edu}" : d)
                            .collect(Collectors.joining(", ")))
                    .append("]}\n"));
    for (int n = random.nextInt(MOST_TEXT); text.length() < n; ) {
      text.append("# ").append(random.nextLong()).append('\n');
    }
    return text.toString();
  }

  /** The host, each function in a group of its own. */
  static String host() {
    StringBuilder functions = new StringBuilder();
    StringBuilder groups = new StringBuilder();
    int group = 0;
    for (int w = 0; w < WORKERS; w++) {
      for (int v = 0; v < VMS; v++) {
        for (int f = 0; f < FUNCTIONS; f++) {
          String comma = group++ == 0 ? "" : ",";
          functions.append(
              """
              %s{"address": "%s", "id": "8086:1521", "class": "020000", "header": "normal",
               "driver": null, "group": %d, "physfn": null, "reset": ["flr"], "parent": null}
              """
                  .formatted(comma, address(w, v, f), group));
          groups.append(
              "%s{\"id\": %d, \"type\": \"DMA\", \"reserved\": []}%n".formatted(comma, group));
        }
      }
    }
    return """
    {"vfio4j-capture": 2, "name": "day", "origin": "manual",
     "iommu": {"interruptRemapping": true, "cacheCoherency": true, "addressWidth": 48},
     "roles": {"bootDisk": [], "managementNetwork": [], "console": [], "storage": [], "network": []},
     "functions": [%s], "groups": [%s]}
    """
        .formatted(functions, groups);
  }
}
