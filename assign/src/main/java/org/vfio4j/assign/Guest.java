// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.soft.SoftVfio;
import org.vfio4j.type1.Container;
import org.vfio4j.vfio.Vfio;

/** A VM's QEMU on the engine: the calls it makes for each device, in its order. */
final class Guest implements AutoCloseable {
  private static final int TYPE1_V2 = 3;
  private static final long HYPERTRANSPORT = 0xfd_0000_0000L;

  private final VmRequest vm;
  private final SoftMachine machine;
  private final SoftVfio process;
  private final Optional<Long> ram;

  /** Open group files by group number. */
  private final Map<Integer, Integer> groups = new HashMap<>();

  /** The container of each group in one, by group number. */
  private final Map<Integer, Integer> containerOf = new HashMap<>();

  /** Containers that are live, oldest first. */
  private final List<Integer> containers = new ArrayList<>();

  Guest(VmRequest vm, SoftMachine machine) {
    this(vm, vm.name(), machine);
  }

  /** One whose name need not be one of a request. */
  Guest(VmRequest vm, String name, SoftMachine machine) {
    this.vm = vm;
    this.machine = machine;
    this.process = machine.process(name);
    vm.memlock()
        .ifPresent(
            limit -> {
              process.memory().ipcLock(false);
              process.memory().limit(limit);
            });
    this.ram = vm.memory().map(bytes -> GuestMemory.place(process.memory(), bytes));
  }

  /**
   * Plugs a device in, as {@code vfio_realize()} of QEMU does.
   *
   * @return the address space it got
   * @throws VfioException what refused it; the guest has what it had before
   */
  Container attach(String device) {
    return attach(device, Optional.empty());
  }

  /** The same with the token that a function wants, if any. */
  Container attach(String device, Optional<UUID> token) {
    int group = machine.groupOf(device).map(g -> g.id()).orElse(-1);
    Integer known = groups.get(group);
    boolean opened = known == null;
    int fd = known == null ? process.group(device) : known;
    boolean done = false;
    try {
      int container = container(group, fd);
      String option = token.map(t -> " vf_token=" + t).orElse("");
      process.deviceFd(fd, Optional.of(device + option));
      groups.put(group, fd);
      containerOf.put(group, container);
      done = true;
      return process.type1(container);
    } finally {
      if (!done && opened) {
        process.close(fd);
        containers.removeIf(c -> !alive(c));
      }
    }
  }

  private boolean alive(int container) {
    try {
      process.info(container, Integer.MAX_VALUE);
      return true;
    } catch (VfioException gone) {
      process.close(container);
      return false;
    }
  }

  /** Without an IOMMU in the guest all devices are one address space; with one, each is its own. */
  private int container(int group, int fd) {
    if (!vm.viommu()) {
      Integer joined = containerOf.get(group);
      if (joined != null) {
        return joined;
      }
      for (int candidate : containers) {
        if (joins(fd, candidate)) {
          return candidate;
        }
      }
    }
    return fresh(fd);
  }

  private boolean joins(int fd, int container) {
    try {
      process.setContainer(fd, container);
      return true;
    } catch (VfioException refused) {
      // QEMU goes on to the next container, and then to one of its own, whose refusal it reports.
      return false;
    }
  }

  private int fresh(int fd) {
    int container = process.container();
    boolean done = false;
    boolean joined = false;
    try {
      process.setContainer(fd, container);
      joined = true;
      process.setIommu(container, TYPE1_V2);
      vm.memory().ifPresent(bytes -> mapMemory(container, bytes));
      containers.add(container);
      done = true;
      return container;
    } finally {
      if (!done) {
        if (joined) {
          process.unsetContainer(fd);
        }
        process.close(container);
      }
    }
  }

  private void mapMemory(int container, long bytes) {
    long vaddr = ram.orElseThrow();
    for (GuestMemory.Block block : blocks(container, bytes)) {
      process.map(
          container, Vfio.MapRequest.of(vaddr + block.offset(), block.start(), block.size()));
    }
  }

  /**
   * Where RAM goes. A guest with an IOMMU chooses its IOVAs among those that are allowed; in the
   * worst case it maps all of its RAM for each device.
   */
  private List<GuestMemory.Block> blocks(int container, long bytes) {
    List<IovaRange> allowed = process.type1(container).info().ranges();
    if (!vm.viommu() || allowed.isEmpty()) {
      boolean hyperTransport =
          allowed.stream().noneMatch(r -> r.contains(HYPERTRANSPORT, HYPERTRANSPORT))
              && allowed.stream().anyMatch(r -> Long.compareUnsigned(r.last(), HYPERTRANSPORT) > 0);
      return GuestMemory.layout(bytes, hyperTransport);
    }
    IovaRange widest = allowed.getFirst();
    for (IovaRange r : allowed) {
      boolean wider =
          Long.compareUnsigned(r.last() - r.start(), widest.last() - widest.start()) > 0;
      widest = wider ? r : widest;
    }
    return List.of(new GuestMemory.Block(widest.start(), bytes + GuestMemory.BESIDE_RAM, 0));
  }

  long lockedBytes() {
    return process.memory().lockedPages() * 4096;
  }

  @Override
  public void close() {
    process.close();
  }
}
