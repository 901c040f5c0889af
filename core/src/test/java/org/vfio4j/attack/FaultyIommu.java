// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.testing.WatchedIommu;

/**
 * Stands between the VFIO core and its IOMMU: counts the calls and has a chosen one fail, as
 * hardware and allocators do. Calls that give something back never fail.
 */
final class FaultyIommu extends WatchedIommu {
  private final Map<Call, Integer> injected = new EnumMap<>(Call.class);
  private final Map<Call, Integer> seen = new EnumMap<>(Call.class);

  private int countdown;
  private int repeat;
  private Errno errno = Errno.ENOMEM;
  private int calls;
  private int moves;
  private Optional<Call> fired = Optional.empty();

  FaultyIommu(Iommu real) {
    super(real);
  }

  /**
   * Has calls fail from now on.
   *
   * @param nth which of the next calls that can fail is the first to do so; 0 for none
   * @param count how many in a row
   */
  void arm(int nth, int count, Errno answer) {
    countdown = nth;
    repeat = count;
    errno = answer;
    fired = Optional.empty();
    calls = 0;
    moves = 0;
  }

  /** Calls that can fail, since {@link #arm}. */
  int calls() {
    return calls;
  }

  /** Hardware attaches and detaches, since {@link #arm}. */
  int moves() {
    return moves;
  }

  /** The last call that failed, since {@link #arm}. */
  Optional<Call> fired() {
    return fired;
  }

  Map<Call, Integer> injected() {
    return injected;
  }

  Map<Call, Integer> seen() {
    return seen;
  }

  @Override
  protected void before(Call call, Object on) {
    if (Call.FALLIBLE.contains(call)) {
      may(call);
    }
    switch (call) {
      case ATTACH, DETACH, ATTACH_AUX, DETACH_AUX -> moves++;
      default -> {}
    }
  }

  private void may(Call call) {
    calls++;
    seen.merge(call, 1, Integer::sum);
    if (countdown == 0) {
      return;
    }
    if (countdown == 1) {
      repeat--;
      countdown = repeat > 0 ? 1 : 0;
      fired = Optional.of(call);
      injected.merge(call, 1, Integer::sum);
      throw new VfioException(errno, Reason.NO_MEMORY, "injected into " + call);
    }
    countdown--;
  }
}
