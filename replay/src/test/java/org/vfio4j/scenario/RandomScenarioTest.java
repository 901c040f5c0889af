// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.vfio4j.scenario.ScenarioBench.A;
import static org.vfio4j.scenario.ScenarioBench.H;
import static org.vfio4j.scenario.ScenarioBench.PLAIN_PARENT;
import static org.vfio4j.scenario.ScenarioBench.R1;
import static org.vfio4j.scenario.ScenarioBench.R2;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.TreeSet;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.profile.KernelProfile;

/**
 * Row S33 of kernel.md section 10: any sequence of calls answers as the few lines of {@link World}
 * say, and after each call every function reaches exactly the mappings of whoever has its group.
 */
@OnEachKernel
class RandomScenarioTest extends ApiScenario {
  private static final int STEPS = 1500;
  private static final int SLOTS = 3;

  /** How a call ends, errno or value. */
  private record Outcome(Optional<Errno> errno, long value) {
    static Outcome refused(Errno errno) {
      return new Outcome(Optional.of(errno), 0);
    }

    static Outcome of(long value) {
      return new Outcome(Optional.empty(), value);
    }

    static Outcome of(LongSupplier call) {
      try {
        return of(call.getAsLong());
      } catch (VfioException refused) {
        return refused(refused.errno());
      }
    }
  }

  /** A container as it should be. */
  private static final class Space {
    final int number;
    final List<Member> members = new ArrayList<>();
    final TreeSet<Integer> mapped = new TreeSet<>();
    boolean live;

    Space(int number) {
      this.number = number;
    }

    boolean holds(String backing) {
      return live && members.stream().anyMatch(m -> m.backing.equals(backing));
    }

    /** Whether an IOMMU serves a member, so that mappings are pinned. */
    boolean pins() {
      return live && members.stream().anyMatch(m -> !m.backing.isEmpty());
    }

    /** What memory of this container reads as. */
    int fill() {
      return 10 + number % 100;
    }
  }

  /** A group as it should be; plain ones have no backing. */
  private static final class Member {
    final String device;
    final String backing;
    Optional<Space> space = Optional.empty();
    int fd;

    Member(String device, String backing) {
      this.device = device;
      this.backing = backing;
    }
  }

  /** What should happen: section 7.2 in Java. */
  private static final class World {
    final List<Space> spaces = new ArrayList<>();

    Space space() {
      spaces.add(new Space(spaces.size()));
      return spaces.getLast();
    }

    boolean heldElsewhere(Member m, Space by) {
      return !m.backing.isEmpty() && spaces.stream().anyMatch(s -> s != by && s.holds(m.backing));
    }

    Outcome set(Member m, Space c) {
      if (m.space.isPresent()) {
        return Outcome.refused(Errno.EINVAL);
      }
      if (c.live && heldElsewhere(m, c)) {
        return Outcome.refused(Errno.EBUSY);
      }
      m.space = Optional.of(c);
      c.members.add(m);
      return Outcome.of(0);
    }

    Outcome unset(Member m) {
      if (m.space.isEmpty()) {
        return Outcome.refused(Errno.EINVAL);
      }
      leave(m);
      return Outcome.of(0);
    }

    void leave(Member m) {
      Space c = m.space.orElseThrow();
      m.space = Optional.empty();
      c.members.remove(m);
      if (c.members.isEmpty()) {
        c.live = false;
        c.mapped.clear();
      }
    }

    Outcome iommu(Space c) {
      if (c.live || c.members.isEmpty()) {
        return Outcome.refused(Errno.EINVAL);
      }
      if (c.members.stream().anyMatch(m -> heldElsewhere(m, c))) {
        return Outcome.refused(Errno.EBUSY);
      }
      c.live = true;
      return Outcome.of(0);
    }

    Outcome map(Space c, int slot) {
      if (!c.live) {
        return Outcome.refused(Errno.EINVAL);
      }
      return c.mapped.add(slot) ? Outcome.of(0) : Outcome.refused(Errno.EEXIST);
    }

    Outcome unmap(Space c, int slot) {
      if (!c.live) {
        return Outcome.refused(Errno.EINVAL);
      }
      return Outcome.of(c.mapped.remove(slot) ? PAGE : 0);
    }
  }

  private final World world = new World();
  private final List<Member> members = new ArrayList<>();
  private final Space[] spaces = new Space[2];
  private final int[] fds = new int[2];
  private int refusedAsHeld;

  RandomScenarioTest(KernelProfile kernel) {
    super(kernel);
    bench.bind(H, "none");
    List<String> wrapped = bench.wrap(A, 2);
    members.add(new Member(A, A));
    members.add(new Member(wrapped.getFirst(), A));
    members.add(new Member(wrapped.getLast(), A));
    members.add(new Member(bench.wrap(R1), R1));
    members.add(new Member(R2, R1));
    members.add(new Member(bench.plain(PLAIN_PARENT), ""));
    members.forEach(m -> m.fd = vm.group(m.device));
    for (int i = 0; i < spaces.length; i++) {
      reopen(i);
    }
  }

  /** Another container in this place; the old one lives on while groups are in it. */
  private void reopen(int place) {
    spaces[place] = world.space();
    fds[place] = vm.container();
    int number = spaces[place].number;
    vm.fill(offset(number), spaces[place].fill());
  }

  /** Memory of a container; those whose memory is used again are long gone. */
  private static long offset(int number) {
    return number % 100 * PAGE;
  }

  @Test
  void S33_shouldAnswerAnySequenceAsTheRulesSay() {
    for (long seed = 1; seed <= 2; seed++) {
      Random random = new Random(seed);
      for (int step = 0; step < STEPS; step++) {
        String what = "seed %d, step %d: ".formatted(seed, step) + step(random);
        check(what);
      }
    }
    assertThat(refusedAsHeld).as("refusals that the sequences met").isGreaterThan(100);
  }

  private String step(Random random) {
    Member m = members.get(random.nextInt(members.size()));
    int place = random.nextInt(spaces.length);
    Space c = spaces[place];
    int fd = fds[place];
    int slot = random.nextInt(SLOTS);
    long iova = IOVA + slot * PAGE;
    return switch (random.nextInt(12)) {
      case 0, 1, 2 -> same("set " + m.device, world.set(m, c), () -> vm.set(m.fd, fd));
      case 3, 4 -> same("unset " + m.device, world.unset(m), () -> vm.unset(m.fd));
      case 5, 6 -> same("iommu", world.iommu(c), () -> vm.iommu(fd));
      case 7, 8, 9 ->
          same("map", world.map(c, slot), () -> vm.map(fd, offset(c.number), iova, PAGE));
      case 10 -> {
        Outcome expected = world.unmap(c, slot);
        assertThat(Outcome.of(() -> vm.unmap(fd, iova, PAGE))).isEqualTo(expected);
        yield "unmap";
      }
      default -> {
        if (random.nextInt(4) == 0) {
          vm.close(fd);
          reopen(place);
          yield "close container";
        }
        vm.close(m.fd);
        m.space.ifPresent(s -> world.leave(m));
        m.fd = vm.group(m.device);
        yield "close " + m.device;
      }
    };
  }

  private String same(String what, Outcome expected, Runnable call) {
    Outcome outcome =
        Outcome.of(
            () -> {
              call.run();
              return 0;
            });
    assertThat(outcome).as(what).isEqualTo(expected);
    refusedAsHeld += outcome.equals(Outcome.refused(Errno.EBUSY)) ? 1 : 0;
    return what + " -> " + outcome;
  }

  private void check(String what) {
    long locked =
        world.spaces.stream().filter(Space::pins).mapToLong(s -> s.mapped.size() * 4L).sum();
    assertThat(vm.locked()).as(what).isEqualTo(locked);
    for (Member m : members) {
      assertThat(vm.status(m.fd)).as(what).isEqualTo(m.space.isPresent() ? 3 : 1);
    }
    for (String function : Arrays.asList(A, R1, R2)) {
      String backing = function.equals(A) ? A : R1;
      Optional<Space> holder = world.spaces.stream().filter(s -> s.holds(backing)).findFirst();
      for (int slot = 0; slot < SLOTS; slot++) {
        final int at = slot;
        OptionalInt expected =
            holder
                .filter(s -> s.mapped.contains(at))
                .map(s -> OptionalInt.of(s.fill()))
                .orElse(OptionalInt.empty());
        assertThat(bench.reads(function, IOVA + slot * PAGE))
            .as("%s; %s at slot %d", what, function, slot)
            .isEqualTo(expected);
      }
    }
  }
}
