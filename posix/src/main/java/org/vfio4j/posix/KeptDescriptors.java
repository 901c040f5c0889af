// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * What outlives a process: the store of its descriptors, and what the process before has left
 * there, until somebody takes it over. Thread-safe.
 */
public final class KeptDescriptors {
  /** Nothing is kept, and nothing was. */
  public static final KeptDescriptors NONE = new KeptDescriptors(DescriptorStore.NONE, Map.of());

  private final DescriptorStore store;
  private final Map<String, Descriptor> left;

  /**
   * Where descriptors are kept, and what is there.
   *
   * @param left by its names; all of it is this object's from now on
   */
  public KeptDescriptors(DescriptorStore store, Map<String, Descriptor> left) {
    this.store = store;
    this.left = new HashMap<>();
    left.forEach((name, file) -> this.left.put(name, store.heldAs(name, file)));
  }

  /** Whether what is held outlives the process. */
  public boolean lasts() {
    return store != DescriptorStore.NONE;
  }

  /**
   * Keeps what a descriptor refers to until it is closed.
   *
   * @param name as of {@link DescriptorStore#keep}
   * @param file stays the caller's
   * @throws SystemCallException as {@link DescriptorStore#keep}
   */
  public void hold(String name, Descriptor file) {
    store.hold(name, file);
  }

  /** What was left and nobody has taken yet, by its names. */
  public synchronized List<String> names() {
    return List.copyOf(left.keySet());
  }

  /** What was left under a name and nobody has taken, to look at: it stays this object's. */
  public synchronized Optional<Descriptor> look(String name) {
    return Optional.ofNullable(left.get(name));
  }

  /** Takes what was left under a name over. It is kept until it is closed. */
  public synchronized Optional<Descriptor> take(String name) {
    return Optional.ofNullable(left.remove(name));
  }

  /** The same of all numbers that follow a prefix; by them. */
  public Map<Integer, Descriptor> takeAll(String prefix) {
    Map<Integer, Descriptor> taken = new HashMap<>();
    for (String name : names()) {
      String number = name.startsWith(prefix) ? name.substring(prefix.length()) : "";
      if (number.matches("\\d{1,9}")) {
        take(name).ifPresent(file -> taken.put(Integer.parseInt(number), file));
      }
    }
    return taken;
  }

  /** Closes what nobody has taken, which ends it. */
  public void closeRest() {
    closeRest(name -> true);
  }

  /** The same of some names. */
  public synchronized void closeRest(Predicate<String> which) {
    for (String name : names()) {
      if (which.test(name)) {
        take(name).ifPresent(Descriptor::close);
      }
    }
  }
}
