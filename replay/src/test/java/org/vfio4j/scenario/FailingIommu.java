// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.testing.WatchedIommu;

/** An IOMMU that counts what it is asked, and refuses the calls it was told to. */
final class FailingIommu extends WatchedIommu {
  private record Planned(Call call, int number) {}

  private final Map<Call, Integer> counts = new EnumMap<>(Call.class);
  private final Map<Planned, Errno> failures = new HashMap<>();
  private final List<Call> fallible = new ArrayList<>();
  private int failAt = -1;
  private OptionalLong doorbell = OptionalLong.empty();

  FailingIommu(Iommu target) {
    super(target);
  }

  /** Makes the n-th call of that kind from now, counted from 1, fail. */
  void fail(Call call, int nth, Errno errno) {
    failures.put(new Planned(call, calls(call) + nth), errno);
  }

  /** Makes the n-th fallible call of any kind from now, counted from 1, fail with ENOMEM. */
  void failAny(int nth) {
    failAt = fallible.size() + nth;
  }

  /** Takes back what was planned and has not happened. */
  void failNoMore() {
    failures.clear();
    failAt = -1;
  }

  /** Calls of that kind so far. */
  int calls(Call call) {
    return counts.getOrDefault(call, 0);
  }

  /** Calls so far that could have failed. */
  int fallibleCalls() {
    return fallible.size();
  }

  /** Where interrupts were last told to go. */
  OptionalLong doorbell() {
    return doorbell;
  }

  @Override
  protected void before(Call call, Object on) {
    counts.merge(call, 1, Integer::sum);
    if (Call.FALLIBLE.contains(call)) {
      fallible.add(call);
    }
    if (call == Call.MSI) {
      doorbell = OptionalLong.of((long) on);
    }
    Errno planned = failures.remove(new Planned(call, calls(call)));
    boolean now = Call.FALLIBLE.contains(call) && fallible.size() == failAt;
    Errno errno = now ? Errno.ENOMEM : planned;
    if (errno != null) {
      throw new VfioException(errno, Reason.NO_MEMORY, "planned: " + call);
    }
  }
}
