// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vfio4j.assign.RunningVm;
import org.vfio4j.host.PciAddress;

/**
 * What runs on a machine and has devices through VFIO, as far as {@code /proc/PID/fd} shows it: a
 * process of another user is seen by root only.
 */
final class RunningVms {
  private static final Pattern GROUP = Pattern.compile("/dev/vfio/([0-9]{1,9})");
  private static final Pattern CDEV = Pattern.compile("/dev/vfio/devices/(vfio[0-9]{1,9})");
  private static final Pattern GUEST = Pattern.compile("(?:guest=)?([^,]+).*");
  private static final int MAX_COMMAND_LINE = 1 << 17;

  private final Path root;

  private RunningVms(Path root) {
    this.root = root;
  }

  /**
   * The processes of a machine that have a group or a device open, by the number of the process.
   */
  static List<RunningVm> of(Path root) {
    return new RunningVms(root).read(OptionalLong.empty());
  }

  /** The same of what one process has not. */
  static List<RunningVm> beside(Path root, long process) {
    return new RunningVms(root).read(OptionalLong.of(process));
  }

  private List<RunningVm> read(OptionalLong but) {
    List<RunningVm> running = new ArrayList<>();
    Set<String> names = new HashSet<>();
    TreeSet<Long> processes = new TreeSet<>();
    for (Path entry : entries(root.resolve("proc"))) {
      if (entry.getFileName().toString().matches("[1-9][0-9]{0,9}")) {
        processes.add(Long.parseLong(entry.getFileName().toString()));
      }
    }
    // A group is opened once. Who has it besides keeps it for that process: systemd, 'vfio keep'.
    Map<Long, RunningVm> held = new TreeMap<>();
    Set<Integer> groups = new HashSet<>();
    but.ifPresent(pid -> held(pid).ifPresent(vm -> groups.addAll(vm.groups())));
    for (long pid : processes.descendingSet()) {
      held(pid)
          .map(vm -> without(vm, groups))
          .filter(vm -> !vm.groups().isEmpty() || !vm.devices().isEmpty())
          .filter(vm -> !vm.pid().equals(but))
          .ifPresent(
              vm -> {
                groups.addAll(vm.groups());
                held.put(pid, vm);
              });
    }
    held.values().forEach(vm -> running.add(unique(vm, names)));
    return running;
  }

  private static RunningVm without(RunningVm vm, Set<Integer> groups) {
    Set<Integer> left = new TreeSet<>(vm.groups());
    left.removeAll(groups);
    return new RunningVm(vm.name(), vm.pid(), vm.viommu(), left, vm.devices());
  }

  private Optional<RunningVm> held(long pid) {
    Path process = root.resolve("proc").resolve(Long.toString(pid));
    Set<Integer> groups = new TreeSet<>();
    Set<String> devices = new TreeSet<>();
    for (Path descriptor : entries(process.resolve("fd"))) {
      String target = target(descriptor);
      Matcher group = GROUP.matcher(target);
      Matcher device = CDEV.matcher(target);
      if (group.matches()) {
        groups.add(Integer.parseInt(group.group(1)));
      } else if (device.matches()) {
        device(device.group(1)).ifPresent(devices::add);
      }
    }
    return groups.isEmpty() && devices.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new RunningVm(
                name(process), OptionalLong.of(pid), false, groups, List.copyOf(devices)));
  }

  /** Two that have one name are told apart by their process. */
  private static RunningVm unique(RunningVm vm, Set<String> names) {
    if (names.add(vm.name())) {
      return vm;
    }
    String name = vm.name() + "-" + vm.pid().orElse(0);
    names.add(name);
    return new RunningVm(name, vm.pid(), vm.viommu(), vm.groups(), vm.devices());
  }

  /** The function behind a character device of VFIO. */
  private Optional<String> device(String name) {
    try {
      Path device = root.resolve("sys/class/vfio-dev").resolve(name).resolve("device");
      return PciAddress.tryParse(device.toRealPath().getFileName().toString())
          .map(PciAddress::toString);
    } catch (IOException _) {
      return Optional.empty();
    }
  }

  /** The name that QEMU was given with {@code -name}, or the process's own. */
  private static String name(Path process) {
    List<String> words = List.of(text(process.resolve("cmdline")).split("\0"));
    int option = words.indexOf("-name");
    String name = option >= 0 && option + 1 < words.size() ? words.get(option + 1) : "";
    Matcher guest = GUEST.matcher(name);
    String found = guest.matches() ? guest.group(1) : text(process.resolve("comm"));
    String printable = Text.printable(found).strip().replace('#', '_');
    return printable.isEmpty() ? "process " + process.getFileName() : printable;
  }

  private static String text(Path file) {
    try (var in = Files.newInputStream(file)) {
      return new String(in.readNBytes(MAX_COMMAND_LINE), StandardCharsets.UTF_8);
    } catch (IOException _) {
      return "";
    }
  }

  private static String target(Path descriptor) {
    try {
      return Files.readSymbolicLink(descriptor).toString();
    } catch (IOException _) {
      // Closed in the meantime.
      return "";
    }
  }

  /** Nothing for what has ended, and for what another user runs. */
  private static List<Path> entries(Path folder) {
    List<Path> entries = new ArrayList<>();
    try (DirectoryStream<Path> all = Files.newDirectoryStream(folder)) {
      all.forEach(entries::add);
    } catch (IOException | DirectoryIteratorException _) {
      return entries;
    }
    return entries;
  }
}
