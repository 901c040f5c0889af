// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.vfio4j.error.Errno;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.WatchedIommu;

/** Episodes of random operations, each on a new world and torn down at its end. */
final class RandomAttack {
  static final int EPISODE = 250;

  final Map<Op.Kind, Integer> ops = new EnumMap<>(Op.Kind.class);
  final Map<Errno, Integer> refusals = new TreeMap<>();
  final Map<WatchedIommu.Call, Integer> faults = new EnumMap<>(WatchedIommu.Call.class);
  private final World.Memory memory = new World.Memory();
  private int done;

  /** Operations done so far. */
  int done() {
    return done;
  }

  /**
   * Runs episodes until so many operations are done.
   *
   * @return what broke first, shortened
   */
  Optional<Broken> run(long seed, int count, List<KernelProfile> profiles) {
    SplittableRandom seeds = new SplittableRandom(seed);
    for (int episode = 0; done < count; episode++) {
      KernelProfile profile = profiles.get(episode % profiles.size());
      Optional<Broken> broken = episode(seeds.split(), profile);
      if (broken.isPresent()) {
        return broken;
      }
    }
    return Optional.empty();
  }

  private Optional<Broken> episode(SplittableRandom random, KernelProfile profile) {
    Attack attack = new Attack(profile, memory);
    RandomOps source = new RandomOps(random, attack.ledger);
    List<Op> list = new ArrayList<>();
    try {
      while (list.size() < EPISODE) {
        Op op = source.next();
        list.add(op);
        Attack.Outcome outcome = attack.step(op);
        if (outcome.skipped()) {
          list.removeLast();
        } else {
          done++;
          ops.merge(op.kind(), 1, Integer::sum);
          outcome.refusal().ifPresent(errno -> refusals.merge(errno, 1, Integer::sum));
        }
      }
      attack.teardown();
    } catch (Violation broken) {
      return Optional.of(new Broken(profile, list, attack.log(), broken).shorten(memory));
    }
    attack.world.faults().injected().forEach((call, n) -> faults.merge(call, n, Integer::sum));
    return Optional.empty();
  }
}
