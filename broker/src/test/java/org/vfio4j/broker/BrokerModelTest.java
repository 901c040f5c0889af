// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.ToIntFunction;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.posix.testing.MortalCalls;

/**
 * Random operations of several VMs on one broker, of which system calls fail now and then and whose
 * process dies, against a model of what should be held ({@link HeldWorld}). After each operation
 * journal, state, store, descriptors, eventfds and what each device reaches are what the model
 * says: nothing has leaked, and nobody else's VM was touched. An operation of which a call has
 * failed was done or not done, or its VM's client has lost its connection, with all that it had.
 */
class BrokerModelTest {
  private static final int ROUND = 250;

  /** Operations that are refused if their journal cannot be written; others go on. */
  private static final Set<String> ACQUIRING =
      Set.of(
          "make",
          "connect",
          "connect for another's",
          "speak",
          "speak for another's",
          "map",
          "mapWithout",
          "admit",
          "setIrq");

  @TempDir private Path folder;
  private final Logger log = Logger.getLogger("org.vfio4j");
  private final Map<String, Map<String, Integer>> like = new TreeMap<>();
  private final Map<String, Integer> counts = new TreeMap<>();
  private final Deque<String> history = new ArrayDeque<>();
  private long seed;
  private Random random = new Random();
  private HeldWorld world = new HeldWorld();

  /** Faults are logged by thousands, and what dies says so. */
  @BeforeEach
  void quiet() {
    log.setLevel(Level.OFF);
    Thread.setDefaultUncaughtExceptionHandler(
        (thread, e) -> {
          if (!(e instanceof MortalCalls.Killed)) {
            e.printStackTrace();
          }
        });
  }

  @AfterEach
  void loud() {
    log.setLevel(null);
    Thread.setDefaultUncaughtExceptionHandler(null);
  }

  @Test
  @Timeout(900)
  void shouldHoldWhatTheModelHolds() throws Exception {
    seed = Long.getLong("vfio4j.seed", System.nanoTime());
    System.out.println("seed " + seed);
    int operations = Integer.getInteger("vfio4j.model.operations", 1_500);
    for (int done = 0; done < operations; done += ROUND) {
      random = new Random(seed + done);
      like.clear();
      world = new HeldWorld();
      history.clear();
      round(Files.createDirectory(folder.resolve("" + done)), Math.min(ROUND, operations - done));
    }
    System.out.println(counts);
  }

  private void round(Path place, int operations) throws Exception {
    ModelWorld machine = new ModelWorld(place);
    boolean done = false;
    try {
      ModelOperations all = new ModelOperations(random, machine);
      for (int n = 0; n < operations; n++) {
        if (random.nextInt(60) == 0) {
          restart(machine);
        } else {
          run(all.draw(world), machine);
        }
      }
      machine.end();
      done = true;
    } finally {
      if (!done) {
        System.out.println("seed " + seed + ", of these the last was not as it should be:");
        history.forEach(System.out::println);
        System.out.println("end of history");
        machine.process.calls.kill();
      }
    }
  }

  private FaultyCalls.Fault fault(String name, boolean persistent) {
    Map<String, Integer> made = like.getOrDefault(name, Map.of());
    return made.isEmpty() || random.nextInt(3) != 0
        ? FaultyCalls.Fault.NONE
        : FaultyCalls.draw(made, persistent, random);
  }

  private void remember(String what) {
    history.add(what);
    if (history.size() > 60) {
      history.remove();
    }
  }

  private void run(ModelOperations.Operation operation, ModelWorld machine) {
    // What is refused anyway is not to be refused for two reasons at once.
    boolean persistent =
        ACQUIRING.contains(operation.name()) && operation.model().applyAsInt(world.copy()) == 0;
    FaultyCalls.Fault fault = fault(operation.name(), persistent);
    remember(operation.what() + (fault.times() > 0 ? ", " + fault : ""));
    HeldWorld after = world.copy();
    FaultyCalls calls = machine.process.calls;
    long begun = System.nanoTime();
    calls.begin(fault);
    int got = operation.act().getAsInt();
    machine.process.rest();
    boolean hit = calls.end();
    assertThat(System.nanoTime() - begun)
        .as("nanoseconds for %s: a reply was lost", operation.what())
        .isLessThan(20_000_000_000L);
    int said = operation.model().applyAsInt(after);
    int expected = said == HeldWorld.SOME_ERRNO && got > 0 ? got : said;
    remember("  " + got + (hit ? ", hit" : ""));
    counts.merge(operation.name() + (got == 0 ? "" : " refused"), 1, Integer::sum);
    counts.merge("faults", hit ? 1 : 0, Integer::sum);
    like.merge(operation.name(), calls.made(), FaultyCalls::most);
    if (!hit) {
      assertThat(got).as("what %s was answered", operation.what()).isEqualTo(expected);
    }
    List<HeldWorld> candidates = new ArrayList<>();
    boolean loud = got == 0 || got == expected || got == ModelCaller.LOST;
    if (loud) {
      candidates.add(after);
    }
    if (hit) {
      if (got == 0) {
        HeldWorld apart = world.copy();
        apart.apart = true;
        candidates.add(changed(apart, operation.model()));
      }
      if (got != 0 || operation.name().equals("arrive")) {
        candidates.add(world.copy());
        operation.partial().forEach(p -> candidates.add(changed(world, p)));
      }
      List.copyOf(candidates).forEach(c -> without(c, operation.who(), machine, candidates));
    }
    settle(candidates, machine);
  }

  private static HeldWorld changed(HeldWorld from, ToIntFunction<HeldWorld> change) {
    HeldWorld copy = from.copy();
    var _ = change.applyAsInt(copy);
    return copy;
  }

  /** The same, but who did it has lost its connection. */
  private static void without(
      HeldWorld from, int who, ModelWorld machine, List<HeldWorld> candidates) {
    for (HeldVm vm : from.vms) {
      for (int n = 0; n < vm.devices.size(); n++) {
        if (who != -1 && vm.devices.get(n).current == who) {
          int index = n;
          candidates.add(
              changed(
                  from,
                  w -> {
                    w.leave(vm.slot, index, other -> machine.gone(other));
                    return 0;
                  }));
        }
      }
    }
  }

  /** One of these it is: which one is what the model goes on with. */
  private void settle(List<HeldWorld> candidates, ModelWorld machine) {
    long within = random.nextInt((int) (HeldLines.UNIT >> 12)) * 4096L;
    long deadline = System.nanoTime() + 1_000_000_000L;
    List<String> differences = new ArrayList<>();
    do {
      differences.clear();
      machine.process.rest();
      for (HeldWorld candidate : candidates) {
        List<String> expected = HeldLines.of(candidate, within);
        List<String> seen = machine.see(candidate, within);
        if (SeenLines.same(expected, seen)) {
          adopt(candidate, machine);
          write(machine, within);
          return;
        }
        differences.add(
            SeenLines.difference(expected, seen)
                .replaceAll("the journal says.*", "another journal than state"));
      }
    } while (System.nanoTime() < deadline);
    throw new AssertionError(
        "seed %d: none of %d; from the nearest it differs by this:%n%s"
            .formatted(
                seed,
                candidates.size(),
                differences.stream().min(Comparator.comparingInt(String::length)).orElse("")));
  }

  private void adopt(HeldWorld chosen, ModelWorld machine) {
    chosen.signals.clear();
    chosen.apart = false;
    machine.forgetSignals();
    world = chosen;
    TreeSet<Integer> there = new TreeSet<>();
    for (HeldVm vm : world.vms) {
      for (HeldVm.Device device : vm.devices) {
        there.add(device.current);
        there.addAll(device.queue);
      }
    }
    for (int who : List.copyOf(machine.callers.keySet())) {
      if (!there.contains(who)) {
        machine.caller(who).close();
        machine.callers.remove(who);
      }
    }
  }

  private void write(ModelWorld machine, long within) {
    for (HeldVm vm : world.vms) {
      for (int n = 0; n < vm.devices.size(); n++) {
        int index = n;
        if (vm.devices.get(n).user.isPresent()) {
          vm.pieces.values().stream()
              .filter(p -> p.pinned && (p.range.prot() & 2) != 0)
              .skip(random.nextInt(3))
              .findFirst()
              .ifPresent(p -> machine.write(vm, index, p, within));
        }
      }
    }
  }

  /** The process dies, maybe somebody leaves, and another goes on. */
  private void restart(ModelWorld machine) throws Exception {
    FaultyCalls.Fault fault = fault("restart", false);
    remember("the process dies" + (fault.times() > 0 ? ", " + fault : ""));
    HeldWorld after = world.copy();
    ModelProcess next = machine.follow();
    next.calls.begin(fault);
    boolean failed = false;
    try {
      next.goOn(world);
    } catch (RuntimeException refused) {
      failed = true;
      remember("  a start failed: " + refused);
    }
    if (!failed) {
      next.rest();
    }
    boolean hit = next.calls.end();
    like.merge("restart", next.calls.made(), FaultyCalls::most);
    if (failed) {
      assertThat(hit).as("a start without a fault").isTrue();
      machine.follow().goOn(world);
    }
    counts.merge("restart" + (failed ? " twice" : ""), 1, Integer::sum);
    counts.merge("faults", hit ? 1 : 0, Integer::sum);
    machine.process.rest();
    if (hit) {
      after.forget(who -> !machine.gone(who) && machine.caller(who).lost());
    }
    after.restart(machine::gone);
    List<HeldWorld> candidates = new ArrayList<>(List.of(after));
    if (hit && !failed) {
      for (HeldVm vm : after.vms) {
        ModelOperations.lost(vm, machine).forEach(p -> candidates.add(changed(after, p)));
      }
    }
    settle(candidates, machine);
  }
}
