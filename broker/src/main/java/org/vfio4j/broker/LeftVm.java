// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.KeptDescriptors;

/**
 * A VM that the process before has left.
 *
 * @param number of it in the names of what was kept
 * @param generation of its journal: one is written anew by each process, and kept when it is whole
 * @param journal what is written there
 * @param file the journal, which is kept no longer when it is closed
 */
record LeftVm(int number, int generation, Journal.OfVm journal, Descriptor file) {
  private static final Pattern NAME = Pattern.compile("v(\\d{1,9})\\.(\\d{1,9})");

  /** The name of a journal. */
  static String name(int number, int generation) {
    return "v%d.%d".formatted(number, generation);
  }

  /**
   * All that were left. One whose journal is damaged is not among them.
   *
   * @throws VmJournal.LaterException if a later version of this program has left one
   */
  static List<LeftVm> all(KeptDescriptors kept) {
    Map<Integer, Integer> generations = new HashMap<>();
    for (String name : kept.names()) {
      Matcher m = NAME.matcher(name);
      if (m.matches()) {
        generations.merge(Integer.parseInt(m.group(1)), Integer.parseInt(m.group(2)), Math::max);
      }
    }
    List<LeftVm> left = new ArrayList<>();
    generations.forEach(
        (number, generation) ->
            kept.take(name(number, generation))
                .ifPresent(
                    file -> {
                      try {
                        left.add(new LeftVm(number, generation, VmJournal.read(file), file));
                      } catch (IllegalArgumentException damaged) {
                        Broker.LOG.log(
                            Level.ERROR,
                            "what VM %d of the process before had is given back: %s"
                                .formatted(number, damaged.getMessage()));
                        file.close();
                      }
                    }));
    return left;
  }
}
