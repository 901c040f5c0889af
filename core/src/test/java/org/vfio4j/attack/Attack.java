// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.vfio4j.attack.Ledger.Fd;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.WatchedIommu;
import org.vfio4j.vfio.KernelBugException;

/** Runs operations on a world, keeps the ledger, and looks for broken rules after each. */
final class Attack {
  /** What an operation came to. */
  record Outcome(boolean skipped, Optional<Errno> refusal, int calls) {}

  final World world;
  final Ledger ledger;
  private final Answers answers;
  private final Invariants invariants;
  private final Actions actions;
  private final List<Op> log = new ArrayList<>();
  private List<Object> before = List.of();

  Attack(KernelProfile profile, World.Memory memory) {
    this(profile, memory, List.of());
  }

  /** Begins after operations that a caller has checked before. */
  Attack(KernelProfile profile, World.Memory memory, List<Op> path) {
    world = new World(profile, memory);
    ledger = new Ledger(world);
    answers = new Answers(ledger);
    invariants = new Invariants(world, ledger);
    actions = new Actions(world, ledger, answers);
    path.forEach(op -> step(op, false));
    before = Snapshot.of(world, ledger);
  }

  /** Does one operation and checks everything. */
  Outcome step(Op op) {
    return step(op, true);
  }

  /** Does one operation; without checks, where a caller has checked the same before. */
  Outcome step(Op op, boolean checked) {
    if (actions.senseless(op)) {
      return new Outcome(true, Optional.empty(), 0);
    }
    log.add(op);
    FaultyIommu faults = world.faults();
    Optional<Optional<Errno>> foretold = checked ? answers.to(op) : Answers.OPEN;
    boolean bug = answers.bug(op);
    Set<List<Object>> occupied = checked ? ledger.occupancy() : Set.of();
    faults.arm(op.fault(), op.faults(), op.errno());
    Optional<Errno> refusal = run(op, bug);
    final int calls = faults.calls();
    final int moves = faults.moves();
    Optional<WatchedIommu.Call> fired = faults.fired();
    faults.arm(0, 0, Errno.ENOMEM);
    world.pair();
    ledger.sync(waiting());
    if (!checked) {
      return new Outcome(false, refusal, calls);
    }
    if (fired.isEmpty() && foretold.isPresent() && !bug) {
      Violation.when(
          !refusal.equals(foretold.get()),
          "answer",
          "%s, should be %s",
          name(refusal),
          name(foretold.get()));
    }
    checkFault(op, fired, refusal);
    invariants.check();
    List<Object> after = Snapshot.of(world, ledger);
    if (refusal.isPresent()) {
      Violation.when(!after.equals(before), "I4", "a refused call changed something");
    } else {
      Violation.when(
          moves > 0 && occupied.equals(ledger.occupancy()),
          "S2",
          "hardware was moved without need");
    }
    before = after;
    return new Outcome(false, refusal, calls);
  }

  /** Only an attach that has a second way may still succeed when a call has failed. */
  private static void checkFault(
      Op op, Optional<WatchedIommu.Call> fired, Optional<Errno> refusal) {
    if (fired.isEmpty()) {
      return;
    }
    boolean second =
        fired.get() == WatchedIommu.Call.ATTACH || fired.get() == WatchedIommu.Call.ATTACH_AUX;
    Violation.when(
        !second && !refusal.equals(Optional.of(op.errno())),
        "fault",
        "%s answered %s, the call %s",
        fired.get(),
        op.errno(),
        name(refusal));
  }

  private static String name(Optional<Errno> refusal) {
    return refusal.map(Errno::name).orElse("0");
  }

  private Optional<Errno> run(Op op, boolean bug) {
    try {
      actions.perform(op);
      Violation.when(bug, "answer", "the kernel would have stopped");
      return Optional.empty();
    } catch (VfioException refused) {
      return Optional.of(refused.errno());
    } catch (KernelBugException stop) {
      Violation.when(!bug, "I6", stop.getMessage());
      return Optional.of(Errno.EBUSY);
    } catch (Violation broken) {
      throw broken;
    } catch (RuntimeException | AssertionError escaped) {
      throw new Violation("I6", escaped + where(escaped));
    }
  }

  /** The method, without its line: that would change with every edit above it. */
  private static String where(Throwable escaped) {
    StackTraceElement[] trace = escaped.getStackTrace();
    return trace.length == 0
        ? ""
        : " at %s.%s".formatted(trace[0].getClassName(), trace[0].getMethodName());
  }

  private Set<Integer> waiting() {
    Collection<String> names = world.machine.waiting();
    return names.stream().map(World.NAMES::indexOf).collect(Collectors.toSet());
  }

  /** All that was done and was not senseless. */
  List<Op> log() {
    return log;
  }

  /** Gives everything back; nothing may be out then, and nothing may have gone wrong. */
  void teardown() {
    teardown(true);
  }

  /** The same; without checks between, where a caller has checked each of these steps before. */
  void teardown(boolean checked) {
    for (int p = 0; p < World.PROCESSES; p++) {
      for (int d = 0; d < World.NAMES.size(); d++) {
        closeIf(ledger.deviceFds[p][d], Op.of(Op.Kind.CLOSE_DEV, p, d), checked);
        closeIf(ledger.groupFds[p][d], Op.of(Op.Kind.CLOSE_GRP, p, d), checked);
      }
    }
    for (int c = 0; c < World.SLOTS; c++) {
      if (ledger.slots[c] != null) {
        step(Op.of(Op.Kind.CLOSE_CONT, c, 0), checked);
      }
    }
    Violation.when(!ledger.waiting.isEmpty(), "I5", "still waiting: %s", ledger.waiting);
    SoftIommu.Census census = world.machine.iommu().census();
    Violation.when(!census.equals(SoftIommu.Census.EMPTY), "leak", census.toString());
    for (int d = World.FIRST_MDEV; d < World.NAMES.size(); d++) {
      if (ledger.alive[d]) {
        step(Op.of(Op.Kind.REMOVE, 0, d), checked);
      }
    }
    int groups = world.machine.iommu().groups().size();
    invariants.check();
    Violation.when(groups != world.physical.size(), "leak", "%d IOMMU groups are left", groups);
  }

  private void closeIf(Fd fd, Op op, boolean checked) {
    if (fd != null) {
      step(op, checked);
    }
  }

  /** What running a list and tearing down breaks. */
  static Optional<Broken> run(KernelProfile profile, List<Op> ops, World.Memory memory) {
    Attack attack = new Attack(profile, memory);
    try {
      ops.forEach(attack::step);
      attack.teardown();
      return Optional.empty();
    } catch (Violation violation) {
      return Optional.of(new Broken(profile, ops, attack.log, violation));
    }
  }
}
