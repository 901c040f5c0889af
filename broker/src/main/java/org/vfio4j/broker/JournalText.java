// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.function.IntFunction;
import org.vfio4j.user.device.Agreed;

/**
 * A {@link Journal} as text, version 1. A line for each thing, its words apart by one space; a name
 * is the rest of its line. Addresses and sizes are hexadecimal, all else is decimal.
 *
 * <pre>
 * vfio4j-journal 1
 * vm MEMORY NAME
 * range IOVA SIZE ACCESS pinned|noted ST_DEV:ST_INO:OFFSET HOLDER...
 * range IOVA SIZE ACCESS noted - HOLDER...
 * device ADDRESS whole|wrapped idle|connected|draining GROUP|-
 * client PID STARTED MINOR DESCRIPTORS TRANSFER MAPPINGS true|false VECTORS...
 * last ADDRESS NAME
 * </pre>
 *
 * Ranges and devices are of the VM above them, a client is of the device above it.
 */
public final class JournalText {
  private static final String HEAD = "vfio4j-journal 1";

  private JournalText() {}

  /**
   * Writes it.
   *
   * @throws IllegalArgumentException if a name has a line break
   */
  public static String write(Journal journal) {
    StringBuilder text = new StringBuilder(HEAD).append('\n');
    for (Journal.OfVm vm : journal.vms()) {
      line(text, "vm", Long.toHexString(vm.memory()), vm.name());
      vm.ranges().forEach(range -> write(text, range));
      vm.devices().forEach(device -> write(text, device));
    }
    new TreeMap<>(journal.lastUsers()).forEach((address, vm) -> line(text, "last", address, vm));
    return text.toString();
  }

  private static void write(StringBuilder text, Journal.Range range) {
    String where =
        range
            .memory()
            .map(m -> "%x:%x:%x".formatted(m.device(), m.inode(), m.offset()))
            .orElse("-");
    List<String> words = new ArrayList<>();
    words.add(Long.toHexString(range.iova()));
    words.add(Long.toHexString(range.size()));
    words.add(String.valueOf(range.access()));
    words.add(range.pinned() ? "pinned" : "noted");
    words.add(where);
    words.addAll(range.holders());
    line(text, "range", words.toArray(String[]::new));
  }

  private static void write(StringBuilder text, Journal.OfDevice device) {
    OptionalInt group = device.group();
    line(
        text,
        "device",
        device.address(),
        device.wrapped() ? "wrapped" : "whole",
        device.phase().name().toLowerCase(Locale.ROOT),
        group.isPresent() ? String.valueOf(group.getAsInt()) : "-");
    device.client().ifPresent(client -> write(text, client));
  }

  private static void write(StringBuilder text, Journal.OfClient client) {
    Agreed agreed = client.agreed();
    List<String> words = new ArrayList<>();
    words.add(String.valueOf(client.pid()));
    words.add(String.valueOf(client.started()));
    words.add(String.valueOf(agreed.minor()));
    words.add(String.valueOf(agreed.descriptors()));
    words.add(String.valueOf(agreed.maxTransfer()));
    words.add(String.valueOf(agreed.maxMappings()));
    words.add(String.valueOf(agreed.writeMultiple()));
    client.vectors().forEach(n -> words.add(String.valueOf(n)));
    line(text, "client", words.toArray(String[]::new));
  }

  private static void line(StringBuilder text, String kind, String... words) {
    String line = kind + ' ' + String.join(" ", words);
    if (line.lines().count() != 1) {
      throw new IllegalArgumentException("a line break in a journal: " + line);
    }
    text.append(line).append('\n');
  }

  /**
   * Reads it.
   *
   * @throws IllegalArgumentException for anything that {@link #write} does not write; the message
   *     has the line's number
   */
  public static Journal read(String text) {
    List<String> lines = text.lines().toList();
    if (lines.isEmpty() || !lines.getFirst().equals(HEAD)) {
      throw new IllegalArgumentException("line 1: is not '%s'".formatted(HEAD));
    }
    Reading reading = new Reading();
    for (int n = 1; n < lines.size(); n++) {
      try {
        reading.line(lines.get(n));
      } catch (IllegalArgumentException | IndexOutOfBoundsException | NoSuchElementException e) {
        throw new IllegalArgumentException(
            "line %d: '%s': %s".formatted(n + 1, lines.get(n), e.getMessage()), e);
      }
    }
    Journal journal = new Journal(reading.vms, reading.last);
    List<String> same = write(journal).lines().toList();
    for (int n = 0; n < lines.size(); n++) {
      if (n >= same.size() || !same.get(n).equals(lines.get(n))) {
        throw new IllegalArgumentException(
            "line %d: '%s': not as it is written".formatted(n + 1, lines.get(n)));
      }
    }
    return journal;
  }

  /** Lines add to the last of their kind. */
  private static final class Reading {
    final List<Journal.OfVm> vms = new ArrayList<>();
    final Map<String, String> last = new LinkedHashMap<>();

    void line(String line) {
      String[] words = line.split(" ", -1);
      switch (words[0]) {
        case "vm" ->
            vms.add(new Journal.OfVm(rest(line, words), hex(words[1]), List.of(), List.of()));
        case "range" -> range(words);
        case "device" -> device(words);
        case "client" -> client(words);
        case "last" -> last.put(words[1], rest(line, words));
        default -> throw new IllegalArgumentException("no line of a journal");
      }
    }

    /** Behind two words. */
    private static String rest(String line, String[] words) {
      Objects.checkIndex(2, words.length);
      return line.substring(line.indexOf(' ', line.indexOf(' ') + 1) + 1);
    }

    private void range(String[] words) {
      Optional<Journal.OfFile> memory =
          words[5].equals("-") ? Optional.empty() : Optional.of(file(words[5].split(":", -1)));
      Journal.Range range =
          new Journal.Range(
              hex(words[1]),
              hex(words[2]),
              Integer.parseInt(words[3]),
              memory,
              either(words[4], "pinned", "noted"),
              Arrays.asList(words).subList(6, words.length));
      Journal.OfVm vm = vms.removeLast();
      vms.add(new Journal.OfVm(vm.name(), vm.memory(), and(vm.ranges(), range), vm.devices()));
    }

    private static Journal.OfFile file(String[] parts) {
      return new Journal.OfFile(hex(parts[0]), hex(parts[1]), hex(parts[2]));
    }

    private void device(String[] words) {
      OptionalInt group =
          words[4].equals("-") ? OptionalInt.empty() : OptionalInt.of(Integer.parseInt(words[4]));
      Journal.OfDevice device =
          new Journal.OfDevice(
              words[1],
              either(words[2], "wrapped", "whole"),
              BrokerState.Phase.valueOf(words[3].toUpperCase(Locale.ROOT)),
              group,
              Optional.empty());
      devices(old -> and(old, device));
    }

    private void client(String[] words) {
      IntFunction<Integer> number = n -> Integer.parseInt(words[n]);
      Agreed agreed =
          new Agreed(
              number.apply(3),
              number.apply(4),
              number.apply(5),
              number.apply(6),
              either(words[7], "true", "false"));
      List<Integer> vectors = Arrays.stream(words, 8, words.length).map(Integer::valueOf).toList();
      Optional<Journal.OfClient> client =
          Optional.of(
              new Journal.OfClient(number.apply(1), Long.parseLong(words[2]), agreed, vectors));
      devices(
          old -> {
            Journal.OfDevice d = old.getLast();
            return and(
                old.subList(0, old.size() - 1),
                new Journal.OfDevice(d.address(), d.wrapped(), d.phase(), d.group(), client));
          });
    }

    private interface Change {
      List<Journal.OfDevice> of(List<Journal.OfDevice> old);
    }

    private void devices(Change change) {
      Journal.OfVm vm = vms.getLast();
      Journal.OfVm changed =
          new Journal.OfVm(vm.name(), vm.memory(), vm.ranges(), change.of(vm.devices()));
      vms.set(vms.size() - 1, changed);
    }

    private static <T> List<T> and(List<T> list, T more) {
      List<T> both = new ArrayList<>(list);
      both.add(more);
      return both;
    }

    private static boolean either(String word, String yes, String no) {
      if (!word.equals(yes) && !word.equals(no)) {
        throw new IllegalArgumentException("%s is neither %s nor %s".formatted(word, yes, no));
      }
      return word.equals(yes);
    }

    private static long hex(String word) {
      return Long.parseUnsignedLong(word, 16);
    }
  }
}
