// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.WeakHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.uapi.ContainerCalls;
import org.vfio4j.linux.uapi.GroupCalls;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.SystemCalls;

/**
 * Groups and containers in a descriptor store: {@code g12} is the file of group 12, {@code c3} a
 * container. Those that a process before this one has left wait here to be taken over.
 */
final class KeptFiles {
  private static final int ATTEMPTS = 10;
  private static final long PAUSE_NANOS = 50_000_000;

  private final KeptDescriptors kept;
  private final AtomicInteger lastContainer = new AtomicInteger();
  private final Map<ContainerCalls, String> names =
      Collections.synchronizedMap(new WeakHashMap<>());
  private final Map<String, KeptContainer> containers = new HashMap<>();
  private final Map<Integer, GroupCalls> groups = new HashMap<>();

  /** Where files are kept, and what is there: groups and containers are taken over. */
  KeptFiles(KeptDescriptors kept) {
    this.kept = kept;
    kept.takeAll("g").forEach((number, file) -> groups.put(number, new GroupCalls(file)));
    kept.takeAll("c")
        .forEach(
            (number, file) -> {
              ContainerCalls calls = new ContainerCalls(file);
              containers.put("c" + number, new KeptContainer(calls));
              names.put(calls, "c" + number);
              lastContainer.accumulateAndGet(number, Math::max);
            });
  }

  /**
   * Opens a group, and keeps it. A store may close what it was told to forget a moment later: until
   * then the group is open.
   *
   * @throws VfioException as {@link GroupCalls#open}
   */
  GroupCalls open(SystemCalls calls, int id) {
    for (int attempt = 1; ; attempt++) {
      try {
        GroupCalls opened = GroupCalls.open(calls, id);
        hold("g" + id, opened.descriptor());
        return opened;
      } catch (VfioException refused) {
        if (!kept.lasts() || refused.errno() != Errno.EBUSY || attempt == ATTEMPTS) {
          throw refused;
        }
        LockSupport.parkNanos(PAUSE_NANOS);
      }
    }
  }

  /** Keeps a container; closes it if that fails. */
  ContainerCalls container(ContainerCalls opened) {
    String name = "c" + lastContainer.incrementAndGet();
    hold(name, opened.descriptor());
    names.put(opened, name);
    return opened;
  }

  private void hold(String name, Descriptor file) {
    boolean done = false;
    try {
      kept.hold(name, file);
      done = true;
    } finally {
      if (!done) {
        file.close();
      }
    }
  }

  /** The name under which a container is kept. */
  Optional<String> nameOf(ContainerCalls container) {
    return Optional.ofNullable(names.get(container));
  }

  /** The file of a group that was left; taken over. */
  synchronized Optional<GroupCalls> group(int id) {
    return Optional.ofNullable(groups.remove(id));
  }

  /** A container that was left. */
  synchronized Optional<KeptContainer> container(String name) {
    return Optional.ofNullable(containers.get(name));
  }

  /** Gives back what nobody has taken over. */
  synchronized void closeRest() {
    groups.values().forEach(GroupCalls::close);
    groups.clear();
    containers.values().stream().filter(KeptContainer::unused).forEach(c -> c.calls.close());
    containers.clear();
  }
}
