// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.model;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The worlds of spin/attach.pml, by the same names: so many containers, and the VFIO groups that
 * each of them may attach and detach in any order.
 */
enum World {
  SMALL(2, List.of(Member.A, Member.W1, Member.C)),
  MEDIUM(2, Member.BACKED),
  LARGE(3, Member.BACKED),
  MIXED(3, List.of(Member.values())),
  WIDE(4, List.of(Member.values()));

  /** A backing group: what the IOMMU moves as one. A and C have one function, R has two. */
  enum Backing {
    A,
    R,
    C
  }

  /**
   * A VFIO group; its ordinal is its bit in a container's set. Some attach a backing group as
   * itself, some because they wrap a function of it, P (plain) and X (aux) have none.
   */
  enum Member {
    A(Optional.of(Backing.A), false),
    W1(Optional.of(Backing.A), true),
    W2(Optional.of(Backing.A), true),
    R2(Optional.of(Backing.R), false),
    WR1(Optional.of(Backing.R), true),
    C(Optional.of(Backing.C), false),
    P(Optional.empty(), false),
    X(Optional.empty(), false);

    private static final List<Member> BACKED = List.of(A, W1, W2, R2, WR1, C);

    final Optional<Backing> backing;
    final boolean wraps;

    Member(Optional<Backing> backing, boolean wraps) {
      this.backing = backing;
      this.wraps = wraps;
    }
  }

  final int containers;
  final List<Member> members;

  World(int containers, List<Member> members) {
    this.containers = containers;
    this.members = members;
  }

  /** Everything that can be done: each is possible in each state, if only to be refused. */
  List<Step> steps() {
    return IntStream.range(0, containers)
        .boxed()
        .flatMap(c -> members.stream().flatMap(m -> Stream.of(true, false).map(a -> step(a, c, m))))
        .toList();
  }

  private static Step step(boolean attach, int container, Member member) {
    return new Step(attach, container, member);
  }

  /** An operation of a container on a VFIO group. */
  record Step(boolean attach, int container, Member member) {
    Step opposite() {
      return new Step(!attach, container, member);
    }

    /** As the model numbers it. */
    int number() {
      return (attach ? 0 : 64) + 8 * container + member.ordinal();
    }

    @Override
    public String toString() {
      return "%s(%s, %d)".formatted(attach ? "attach" : "detach", member, container);
    }
  }

  /** What a step can come to; the ordinal is the model's number. */
  enum Answer {
    /** Attached, the hardware too where there is any. */
    OK(true),
    /** Attached, the hardware was already. */
    JOINED(true),
    EINVAL(false),
    EBUSY(false),
    /** Detached, others stay on the hardware. */
    LEFT(true),
    /** Detached, the hardware too where there is any. */
    LAST(true),
    /** There was nothing to detach. */
    NOTHING(false);

    final boolean changes;

    Answer(boolean changes) {
      this.changes = changes;
    }
  }

  /** The name in the model's -D, in small letters. */
  String title() {
    return name().toLowerCase(Locale.ROOT);
  }

  static World of(String title) {
    return valueOf(title.toUpperCase(Locale.ROOT));
  }
}
