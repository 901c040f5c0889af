// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.vfio4j.error.Errno;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.WatchedIommu;

/**
 * Breadth first through all that can be done on a small world, with the real engine: from each
 * state every operation, and every operation once for each call into the IOMMU that it makes, with
 * that call failing. A state is reached again by doing its operations again.
 *
 * <p>A number of states are expanded side by side, and what they led to is taken in their order:
 * the same world is explored the same way each time, whatever the machine does beside.
 */
final class Explorer {
  private static final int CHUNK = 256;

  private final KernelProfile profile;
  private final Alphabet alphabet;
  private final World.Memory memory = new World.Memory();

  /** Written between two chunks only. */
  private final Set<String> seen = new HashSet<>();

  private final Map<WatchedIommu.Call, Integer> faults = new EnumMap<>(WatchedIommu.Call.class);
  private long transitions;
  private Optional<Broken> broken = Optional.empty();

  /** A state, by the operation that led to it. */
  private record Node(@Nullable Node parent, Op op) {
    void path(List<Op> into) {
      if (parent != null) {
        parent.path(into);
      }
      into.add(op);
    }
  }

  /**
   * What was found.
   *
   * @param states different ones
   * @param transitions operations done and checked, refused and failing ones too
   * @param depth to which all is done
   * @param complete whether there is nothing beyond
   * @param nanos how long it took
   * @param faults how often each call was made to fail
   * @param broken the first rule broken, with a script as short as could be made
   */
  record Report(
      int states,
      long transitions,
      int depth,
      boolean complete,
      long nanos,
      Map<WatchedIommu.Call, Integer> faults,
      Optional<Broken> broken) {
    @Override
    public String toString() {
      double seconds = nanos / 1e9;
      return "%d states, %d transitions, %s, %.1f s, %.0f states/s, %.0f transitions/s"
          .formatted(
              states,
              transitions,
              complete ? "complete at depth " + depth : "complete to depth " + depth,
              seconds,
              states / seconds,
              transitions / seconds);
    }
  }

  Explorer(KernelProfile profile, Alphabet alphabet) {
    this.profile = profile;
    this.alphabet = alphabet;
  }

  /** Explores until nothing is left, a rule is broken, the depth is done or the time is up. */
  Report run(double seconds, int depth) {
    return run(seconds, 0, depth);
  }

  /** The same; the time is not up before the least depth is done. */
  Report run(double seconds, int least, int depth) {
    long start = System.nanoTime();
    long end = start + (long) (seconds * 1e9);
    List<Node> frontier = new ArrayList<>();
    frontier.add(new Node(null, Op.of(Op.Kind.UNSAFE, 0, 0, 0)));
    int done = 0;
    boolean inTime = true;
    while (!frontier.isEmpty() && inTime && broken.isEmpty() && done < depth) {
      List<Node> next = new ArrayList<>();
      for (int at = 0; at < frontier.size() && inTime && broken.isEmpty(); at += CHUNK) {
        List<Node> chunk = frontier.subList(at, Math.min(at + CHUNK, frontier.size()));
        chunk.parallelStream().map(this::expand).toList().forEach(e -> take(e, next));
        inTime = System.nanoTime() < end || done < least;
      }
      done += inTime && broken.isEmpty() ? 1 : 0;
      frontier = next;
    }
    return new Report(
        seen.size() + 1,
        transitions,
        done,
        frontier.isEmpty() && inTime,
        System.nanoTime() - start,
        Collections.unmodifiableMap(faults),
        broken.map(this::shorten));
  }

  private void take(Expansion expansion, List<Node> next) {
    transitions += expansion.transitions;
    expansion.faults.forEach((call, n) -> faults.merge(call, n, Integer::sum));
    expansion.found.forEach(
        (key, node) -> {
          if (seen.add(key)) {
            next.add(node);
          }
        });
    broken = broken.or(() -> expansion.broken);
  }

  /** Done again with all checks, a rule may break earlier than it was noticed. */
  private Broken shorten(Broken found) {
    return Attack.run(profile, found.ops(), memory).orElse(found).shorten(memory);
  }

  private Expansion expand(Node node) {
    List<Op> path = new ArrayList<>(alphabet.prelude());
    node.path(path);
    Expansion expansion = new Expansion(node, path);
    try {
      expansion.run();
    } catch (Violation violation) {
      List<Op> log = List.copyOf(expansion.attack.log());
      expansion.broken = Optional.of(new Broken(profile, log, log, violation));
    }
    return expansion;
  }

  /** All operations from one state; one that is refused leaves it, so the world can be used on. */
  private final class Expansion {
    final Map<String, Node> found = new LinkedHashMap<>();
    final Map<WatchedIommu.Call, Integer> faults = new EnumMap<>(WatchedIommu.Call.class);
    long transitions;
    Optional<Broken> broken = Optional.empty();
    private final Node node;
    private final List<Op> path;
    private Attack attack;
    private boolean fresh;

    Expansion(Node node, List<Op> path) {
      this.node = node;
      this.path = path;
      this.attack = rebuild();
    }

    private Attack rebuild() {
      fresh = true;
      return new Attack(profile, memory, path);
    }

    void run() {
      for (Op op : alphabet.from(attack.ledger)) {
        int calls = attempt(op);
        for (int nth = 1; nth <= calls; nth++) {
          attempt(op.failing(nth, 1, Errno.ENOMEM));
        }
      }
      note();
    }

    private int attempt(Op op) {
      if (!fresh) {
        attack = rebuild();
      }
      Attack.Outcome outcome = attack.step(op);
      if (outcome.skipped()) {
        return 0;
      }
      transitions++;
      if (outcome.refusal().isEmpty()) {
        fresh = false;
        String key = alphabet.key(attack.ledger);
        if (!seen.contains(key) && found.putIfAbsent(key, new Node(node, op)) == null) {
          attack.teardown(false);
        }
        note();
      }
      return outcome.calls();
    }

    /** Faults of the world that is given up. */
    private void note() {
      attack.world.faults().injected().forEach((call, n) -> faults.merge(call, n, Integer::sum));
      attack.world.faults().injected().clear();
    }
  }
}
