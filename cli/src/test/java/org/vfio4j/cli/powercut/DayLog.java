// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.powercut;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * What was asked of a daemon and acknowledged by it, line by line, and what it has to know
 * therefore.
 *
 * <pre>
 * settled VM=DEVICE,... VM=    this was found, and nothing is under way
 * begin N OPERATION            it is about to be asked for
 * acked N                      it was acknowledged
 * refused N WHY                it was refused: nothing may have changed
 * </pre>
 *
 * Other lines say nothing of that, and neither does one that was cut.
 */
final class DayLog {
  private final Map<String, Set<String>> known = new TreeMap<>();
  private final Map<String, DayOperation> underWay = new TreeMap<>();

  /** Takes all whole lines of a text. */
  void read(String text) {
    for (int from = 0, to; (to = text.indexOf('\n', from)) >= 0; from = to + 1) {
      line(text.substring(from, to));
    }
  }

  private void line(String line) {
    String[] words = line.split(" ", 3);
    switch (words[0]) {
      case "settled" -> {
        known.clear();
        underWay.clear();
        known.putAll(DayOperation.vms(line.split(" ", -1)));
      }
      case "begin" -> underWay.put(words[1], DayOperation.read(words[2]));
      case "acked" -> required(words[1]).change(known);
      case "refused" -> required(words[1]);
      default -> {}
    }
  }

  private DayOperation required(String number) {
    DayOperation operation = underWay.remove(number);
    if (operation == null) {
      throw new IllegalArgumentException("nobody began " + number);
    }
    return operation;
  }

  /** What is under way: it may be done or not, but not in half. */
  List<DayOperation> underWay() {
    return List.copyOf(underWay.values());
  }

  /** The devices of the VMs, less what is under way. */
  Map<String, Set<String>> known() {
    return known;
  }

  /**
   * Compares what was found with what has to be known.
   *
   * @param found devices of VMs by their names
   * @return a sentence for each difference
   */
  List<String> differences(Map<String, Set<String>> found) {
    List<String> all = new ArrayList<>();
    Set<String> names = new TreeSet<>(known.keySet());
    names.addAll(found.keySet());
    for (DayOperation operation : underWay.values()) {
      names.removeAll(operation.names());
      Map<String, Set<String>> before = of(known, operation.names());
      Map<String, Set<String>> after = new TreeMap<>();
      before.forEach((name, devices) -> after.put(name, new TreeSet<>(devices)));
      operation.change(after);
      Map<String, Set<String>> is = of(found, operation.names());
      if (!is.equals(before) && !is.equals(after)) {
        all.add(
            "neither before nor after '%s': '%s', before '%s'"
                .formatted(operation.text(), DayOperation.text(is), DayOperation.text(before)));
      }
    }
    for (String name : names) {
      Map<String, Set<String>> was = of(known, Set.of(name));
      Map<String, Set<String>> is = of(found, Set.of(name));
      if (!was.equals(is)) {
        all.add(
            "%s is '%s', and '%s' was acknowledged"
                .formatted(name, DayOperation.text(is), DayOperation.text(was)));
      }
    }
    return all;
  }

  private static Map<String, Set<String>> of(Map<String, Set<String>> all, Set<String> names) {
    Map<String, Set<String>> some = new TreeMap<>(all);
    some.keySet().retainAll(names);
    return some;
  }
}
