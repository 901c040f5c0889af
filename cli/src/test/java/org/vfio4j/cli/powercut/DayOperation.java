// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.powercut;

import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Something that a daemon is asked to change, and what becomes of its VMs and their devices. */
sealed interface DayOperation {

  /** All VMs of a file are served, or none. */
  record Up(Map<String, Set<String>> vms) implements DayOperation {
    @Override
    public Set<String> names() {
      return vms.keySet();
    }

    @Override
    public void change(Map<String, Set<String>> all) {
      vms.forEach((name, devices) -> all.put(name, new TreeSet<>(devices)));
    }

    @Override
    public String text() {
      return "up " + DayOperation.text(vms);
    }
  }

  /** A VM gets a device more. */
  record Attach(String vm, String device) implements DayOperation {
    @Override
    public Set<String> names() {
      return Set.of(vm);
    }

    @Override
    public void change(Map<String, Set<String>> all) {
      all.computeIfAbsent(vm, _ -> new TreeSet<>()).add(device);
    }

    @Override
    public String text() {
      return "attach %s %s".formatted(vm, device);
    }
  }

  /** A VM gets a device less. */
  record Detach(String vm, String device) implements DayOperation {
    @Override
    public Set<String> names() {
      return Set.of(vm);
    }

    @Override
    public void change(Map<String, Set<String>> all) {
      all.computeIfAbsent(vm, _ -> new TreeSet<>()).remove(device);
    }

    @Override
    public String text() {
      return "detach %s %s".formatted(vm, device);
    }
  }

  /** A VM is forgotten. */
  record Down(String vm) implements DayOperation {
    @Override
    public Set<String> names() {
      return Set.of(vm);
    }

    @Override
    public void change(Map<String, Set<String>> all) {
      all.remove(vm);
    }

    @Override
    public String text() {
      return "down " + vm;
    }
  }

  /** Whose it is: nothing else is asked for them meanwhile. */
  Set<String> names();

  /** Changes the devices of VMs by their names as it does, if it is done. */
  void change(Map<String, Set<String>> all);

  /** One line, as {@link #read} reads it. */
  String text();

  /** Reads {@link #text}. */
  static DayOperation read(String text) {
    String[] words = text.split(" ", -1);
    return switch (words[0]) {
      case "up" -> new Up(vms(Arrays.copyOfRange(words, 1, words.length)));
      case "attach" -> new Attach(words[1], words[2]);
      case "detach" -> new Detach(words[1], words[2]);
      case "down" -> new Down(words[1]);
      default -> throw new IllegalArgumentException("no operation: " + text);
    };
  }

  /** VMs and their devices, {@code web=0000:20:00.0,edu db=}. */
  static String text(Map<String, Set<String>> vms) {
    return new TreeMap<>(vms)
        .entrySet().stream()
            .map(e -> e.getKey() + "=" + String.join(",", new TreeSet<>(e.getValue())))
            .collect(Collectors.joining(" "));
  }

  /** Reads what {@link #text(Map)} has written. */
  static Map<String, Set<String>> vms(String... words) {
    Map<String, Set<String>> all = new TreeMap<>();
    for (String word : words) {
      int at = word.indexOf('=');
      if (at > 0) {
        String devices = word.substring(at + 1);
        all.put(
            word.substring(0, at),
            devices.isEmpty()
                ? new TreeSet<>()
                : new TreeSet<>(Arrays.asList(devices.split(",", -1))));
      }
    }
    return all;
  }
}
