// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.KeptDescriptors;

/**
 * The listener of a server and its connections among what outlives the process: {@code l} with the
 * server's name, {@code s} with it and a number. What another process has left there is served on.
 */
final class KeptConnections {
  private final KeptDescriptors kept;
  private final String name;
  private int last;

  /**
   * Those of a server.
   *
   * @param name the same in each process, and no other server's
   */
  KeptConnections(KeptDescriptors kept, String name) {
    this.kept = kept;
    this.name = name;
  }

  /** Whether another process may go on with them. */
  boolean lasts() {
    return kept.lasts();
  }

  /** The listener that was left; taken over. */
  Optional<Descriptor> listener() {
    return kept.take("l" + name);
  }

  /** Keeps the listener. */
  void listen(Descriptor file) {
    kept.hold("l" + name, file);
  }

  private String name(int number) {
    return "s%s.%d".formatted(name, number);
  }

  /**
   * Keeps a connection.
   *
   * @return the name under which it is kept; empty if nothing is
   */
  synchronized String connected(Descriptor file) {
    if (!kept.lasts()) {
      return "";
    }
    String as = name(++last);
    kept.hold(as, file);
    return as;
  }

  /** A connection that was left. */
  record Left(String name, Descriptor file) {}

  /** Those that were left, in the order in which they came; taken over. */
  synchronized List<Left> left() {
    List<Left> all = new ArrayList<>();
    new TreeMap<>(kept.takeAll("s%s.".formatted(name)))
        .forEach(
            (number, file) -> {
              last = number;
              all.add(new Left(name(number), file));
            });
    return all;
  }
}
