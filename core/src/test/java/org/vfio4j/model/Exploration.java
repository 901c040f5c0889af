// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.model;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.vfio4j.model.World.Answer;
import org.vfio4j.model.World.Step;

/**
 * All states of a world that the real engine reaches, breadth first. The next state is reached from
 * the last by undoing steps to where their paths part; a step tried from it is undone by its
 * opposite, and after all of them the state must be the one they began with. From every eighth
 * state all is released, which must leave nothing, and its path is done again.
 */
final class Exploration {
  private static final int RELEASES = 8;

  private final Machine machine;
  private final List<Step> steps;
  private final LongSet seen = new LongSet();

  private final Deque<Node> frontier = new ArrayDeque<>();
  private final long[] answers = new long[Answer.values().length];
  private long transitions;
  private long fingerprint;

  private record Node(Optional<Node> parent, Optional<Step> step, long state, int depth) {
    List<Step> path() {
      List<Step> path = parent.map(Node::path).orElseGet(ArrayList::new);
      step.ifPresent(path::add);
      return path;
    }

    void redo(Machine machine) {
      machine.perform(step.orElseThrow(), up().state);
    }

    void undo(Machine machine) {
      machine.perform(step.orElseThrow().opposite(), state);
    }

    Node up() {
      return parent.orElseThrow();
    }
  }

  /**
   * What was found, by the engine or by the model.
   *
   * @param states different ones
   * @param transitions steps from all of them, refused ones too
   * @param answers how many came to what, by {@link Answer}
   * @param fingerprint the sum of a hash of (state, step, answer, next state): the same
   *     transitions, not just as many
   */
  record Found(long states, long transitions, List<Long> answers, long fingerprint) {}

  /** With how long it took. */
  record Report(World world, Found found, double seconds) {
    double rate() {
      return found.states / seconds;
    }

    /** One line for spin/run: who, world, states, transitions, seconds, fingerprint, answers. */
    @Override
    public String toString() {
      return "engine %s %d %d %.3f %016x %s"
          .formatted(
              world.title(),
              found.states,
              found.transitions,
              seconds,
              found.fingerprint,
              found.answers.stream().map(String::valueOf).collect(Collectors.joining(" ")));
    }
  }

  private Exploration(World world) {
    this.machine = new Machine(world);
    this.steps = world.steps();
  }

  static Report of(World world) {
    long start = System.nanoTime();
    Exploration exploration = new Exploration(world);
    exploration.run();
    return new Report(world, exploration.found(), (System.nanoTime() - start) / 1e9);
  }

  private Found found() {
    List<Long> each = LongStream.of(Arrays.copyOf(answers, answers.length)).boxed().toList();
    return new Found(seen.size(), transitions, each, fingerprint);
  }

  private void run() {
    long start = machine.state();
    seen.add(start);
    Node root = new Node(Optional.empty(), Optional.empty(), start, 0);
    Node at = root;
    frontier.add(root);
    for (long done = 0; !frontier.isEmpty(); done++) {
      Node node = frontier.remove();
      List<Step> path = node.path();
      if (done % RELEASES == 0) {
        machine.reset();
        at = root;
      }
      go(at, node);
      at = node;
      expect(machine.state() == node.state, "another state than the first time", path);
      for (Step step : steps) {
        path.addLast(step);
        take(node, step, path);
        path.removeLast();
      }
      expect(machine.state() == node.state, "its steps and their opposites leave another", path);
    }
  }

  /** Back from a state to where its way parts from the other's, and on from there. */
  private void go(Node from, Node to) {
    Deque<Node> down = new ArrayDeque<>();
    Node up = from;
    Node node = to;
    while (up != node) {
      if (up.depth >= node.depth) {
        up.undo(machine);
        up = up.up();
      } else {
        down.push(node);
        node = node.up();
      }
    }
    down.forEach(each -> each.redo(machine));
  }

  private void take(Node from, Step step, List<Step> path) {
    try {
      Answer answer = machine.perform(step, from.state);
      long to = answer.changes ? machine.state() : machine.unchanged(step, from.state);
      note(from.state, step, answer, to);
      if (to != from.state) {
        if (seen.add(to)) {
          frontier.add(new Node(Optional.of(from), Optional.of(step), to, from.depth + 1));
        }
        undo(from, step, to, path);
      }
    } catch (AssertionError | RuntimeException broken) {
      throw new AssertionError(broken.getMessage() + ", after " + path, broken);
    }
  }

  private void undo(Node from, Step step, long to, List<Step> path) {
    path.addLast(step.opposite());
    machine.perform(step.opposite(), to);
    machine.unchanged(step, from.state);
    path.removeLast();
  }

  private void note(long from, Step step, Answer answer, long to) {
    transitions++;
    answers[answer.ordinal()]++;
    long hash = mix(from + 0x9e3779b97f4a7c15L);
    hash = mix(hash + step.number() * 8L + answer.ordinal());
    fingerprint += mix(hash + to);
  }

  /** The finalizer of splitmix64. */
  static long mix(long value) {
    long z = (value ^ (value >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }

  private static void expect(boolean holds, String otherwise, List<Step> path) {
    if (!holds) {
      throw new AssertionError(otherwise + ", after " + path);
    }
  }
}
