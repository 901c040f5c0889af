// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.testing;

import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.vfio4j.linux.uapi.Ioctls;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.WatchedSystemCalls;

/** Counts calls by name, and ioctls by request. */
public final class CountingSystemCalls extends WatchedSystemCalls {
  private static final Map<Integer, String> OF_GROUPS_AND_CONTAINERS =
      Map.of(
          Ioctls.VFIO_CHECK_EXTENSION, "CHECK_EXTENSION",
          Ioctls.VFIO_SET_IOMMU, "SET_IOMMU",
          Ioctls.VFIO_GROUP_GET_STATUS, "GET_STATUS",
          Ioctls.VFIO_GROUP_SET_CONTAINER, "SET_CONTAINER",
          Ioctls.VFIO_GROUP_UNSET_CONTAINER, "UNSET_CONTAINER",
          Ioctls.VFIO_GROUP_GET_DEVICE_FD, "GET_DEVICE_FD",
          Ioctls.VFIO_IOMMU_GET_INFO, "GET_INFO",
          Ioctls.VFIO_IOMMU_MAP_DMA, "MAP_DMA",
          Ioctls.VFIO_IOMMU_UNMAP_DMA, "UNMAP_DMA");

  private final Map<String, Integer> counts = new ConcurrentHashMap<>();

  /** Counts what goes to {@code calls}. */
  public CountingSystemCalls(SystemCalls calls) {
    super(calls);
  }

  @Override
  protected int before(String call, int request) {
    String name =
        call.equals("ioctl")
            ? OF_GROUPS_AND_CONTAINERS.getOrDefault(request, "ioctl 0x%x".formatted(request))
            : call;
    counts.merge(name, 1, Integer::sum);
    return 0;
  }

  /** What was called since the last time this was asked. */
  public Map<String, Integer> sinceLast() {
    Map<String, Integer> seen = new TreeMap<>(counts);
    counts.clear();
    return seen;
  }
}
