// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.IntPredicate;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.vfio4j.error.Errno;
import org.vfio4j.linux.testing.FakeHost;
import org.vfio4j.user.device.Pci;

/** What a broker should hold, for {@link BrokerModelTest}: who has what, and who was told what. */
final class HeldWorld {
  /** Two functions of one bus, which can be reset together with a third that nobody asks for. */
  static final String BUS_1 = "0000:02:01.0";

  static final String BUS_2 = "0000:02:02.0";

  /** That of a call that has failed. */
  static final int SOME_ERRNO = 9999;

  static final Map<String, Integer> GROUPS =
      Map.of(FakeHost.A, 1, FakeHost.B, 2, FakeHost.R1, 9, FakeHost.R2, 9, BUS_1, 11, BUS_2, 11);

  final List<HeldVm> vms = new ArrayList<>();

  /** Which VM has left something in a function. */
  final Map<String, String> lastUsers = new HashMap<>();

  /** Groups that another process has. */
  final Set<Integer> strangers = new HashSet<>();

  /** How often which eventfd was signalled, by their numbers, since somebody looked. */
  final Map<Integer, Integer> signals = new TreeMap<>();

  /** Whether the kernel takes the next group to no container that there is. */
  boolean apart;

  HeldWorld copy() {
    HeldWorld copy = new HeldWorld();
    vms.forEach(vm -> copy.vms.add(vm.copy()));
    copy.lastUsers.putAll(lastUsers);
    copy.apart = apart;
    copy.strangers.addAll(strangers);
    copy.signals.putAll(signals);
    return copy;
  }

  Optional<HeldVm> find(int slot) {
    return vms.stream().filter(v -> v.slot == slot).findFirst();
  }

  HeldVm vm(int slot) {
    return find(slot).orElseThrow();
  }

  /** A VM that is new, under the number that nobody else has. */
  void add(HeldVm vm, Set<Integer> numbers) {
    HeldVm made = vm.copy();
    made.number =
        numbers.stream()
            .filter(n -> vms.stream().noneMatch(v -> v.number == n))
            .findFirst()
            .orElse(-1);
    vms.add(made);
  }

  HeldVm.Device device(int slot, int index) {
    return vm(slot).devices.get(index);
  }

  private static int group(String address) {
    return GROUPS.getOrDefault(address, -1);
  }

  /** The groups that a VM has, and how many of its devices are in each. */
  static Map<Integer, Integer> groups(HeldVm vm) {
    Map<Integer, Integer> groups = new TreeMap<>();
    vm.devices.stream()
        .filter(d -> d.user.isPresent())
        .forEach(d -> groups.merge(group(d.address), 1, Integer::sum));
    return groups;
  }

  static Set<String> bus(String address) {
    return group(address) == 11 ? Set.of(BUS_1, BUS_2) : Set.of();
  }

  /** Whether somebody else has a function's group. */
  boolean taken(int slot, String address) {
    int group = group(address);
    return strangers.contains(group)
        || vms.stream().anyMatch(v -> v.slot != slot && groups(v).containsKey(group));
  }

  /** Somebody asks for a device: who has its group decides, then what is left in it. */
  int attach(int slot, int index) {
    HeldVm vm = vm(slot);
    HeldVm.Device device = vm.devices.get(index);
    if (taken(slot, device.address)) {
      return Errno.EBUSY.number();
    }
    Set<String> together = bus(device.address);
    boolean inUse =
        vm.devices.stream().anyMatch(d -> d.user.isPresent() && together.contains(d.address));
    String last = lastUsers.getOrDefault(device.address, vm.name);
    if (!together.isEmpty() && !inUse) {
      lastUsers.keySet().removeAll(together);
    } else if (!last.equals(vm.name) && device.options.reset()) {
      return Errno.EBUSY.number();
    }
    lastUsers.put(device.address, vm.name);
    device.user = Optional.of(new HeldVm.User());
    vm.enter(group(device.address), apart);
    return 0;
  }

  /** Who is served leaves; the next who is there still has its turn. */
  void leave(int slot, int index, IntPredicate gone) {
    HeldVm vm = vm(slot);
    HeldVm.Device device = vm.devices.get(index);
    if (device.user.isPresent()) {
      vm.unmapAll(index);
      device.user = Optional.empty();
      vm.containers.keySet().retainAll(groups(vm).keySet());
    }
    device.current = -1;
    next(device, gone);
  }

  private static void next(HeldVm.Device device, IntPredicate gone) {
    while (device.current == -1 && !device.queue.isEmpty()) {
      int first = device.queue.removeFirst();
      device.current = gone.test(first) ? -1 : first;
    }
  }

  /** Somebody comes: those who have left while they waited are noticed then. */
  void arrive(int slot, int index, int who, IntPredicate gone) {
    HeldVm.Device device = device(slot, index);
    device.queue.removeIf(gone::test);
    device.queue.add(who);
    next(device, gone);
  }

  /** Some of those who have said nothing are lost. */
  void forget(IntPredicate lost) {
    for (HeldVm vm : vms) {
      for (HeldVm.Device device : vm.devices) {
        device.queue.removeIf(lost::test);
        boolean silent = device.user.isEmpty() && device.current != -1;
        device.current = silent && lost.test(device.current) ? -1 : device.current;
      }
    }
  }

  /** Another process goes on: who is connected stays so, who has left is noticed in its turn. */
  void restart(IntPredicate gone) {
    for (HeldVm vm : vms) {
      inOrderOfDevices(vm);
      for (HeldVm.Device device : vm.devices) {
        List<Integer> came = new ArrayList<>(device.queue);
        device.queue.clear();
        boolean speaking = device.user.isPresent();
        // Written down is only whether there was a failure.
        device.user.ifPresent(u -> u.failure = u.failure == 0 ? 0 : SOME_ERRNO);
        if (!speaking && device.current != -1) {
          came.addFirst(device.current);
          device.current = -1;
        }
        for (int who : came) {
          int first = device.queue.isEmpty() || speaking ? -1 : device.queue.getFirst();
          device.queue.removeIf(w -> w != first && gone.test(w));
          device.queue.add(who);
        }
        next(device, gone);
      }
    }
    Set<String> names = vms.stream().map(v -> v.name).collect(Collectors.toSet());
    lastUsers
        .entrySet()
        .removeIf(
            e ->
                !names.contains(e.getValue())
                    || vms.stream()
                        .filter(v -> v.name.equals(e.getValue()))
                        .flatMap(v -> v.devices.stream())
                        .noneMatch(d -> d.address.equals(e.getKey())));
  }

  /** Containers are taken over as devices come to them. */
  private static void inOrderOfDevices(HeldVm vm) {
    List<Integer> order = new ArrayList<>();
    vm.devices.stream()
        .filter(d -> d.user.isPresent())
        .map(d -> vm.containers.getOrDefault(group(d.address), -1))
        .filter(c -> !order.contains(c))
        .forEach(order::add);
    vm.containers.replaceAll((group, container) -> order.indexOf(container));
  }

  /** An eventfd is signalled, if there is one. */
  void signal(HeldVm.User user, int index) {
    Optional.ofNullable(user.eventFds.get(index)).ifPresent(n -> signals.merge(n, 1, Integer::sum));
  }

  /** A VM that must not go on. */
  void stop(HeldVm.User user) {
    signal(user, Pci.ERROR);
  }

  /** A map that was refused stops a VM that runs. */
  int refused(int slot, int index, int errno) {
    HeldVm.User user = vm(slot).user(index);
    if (errno != 0 && user.admitted) {
      stop(user);
    }
    return errno;
  }

  /** A map that something else has kept from being done. */
  int refusedMap(int slot, int index) {
    HeldVm.User user = vm(slot).user(index);
    user.failure = user.failure == 0 ? SOME_ERRNO : user.failure;
    return refused(slot, index, user.failure);
  }

  /** Memory that is not taken over: who runs is stopped, who does not will not be admitted. */
  int lose(int slot, Predicate<HeldVm.Piece> which) {
    HeldVm vm = vm(slot);
    Set<Integer> holders = new TreeSet<>();
    vm.pieces.values().stream().filter(which).forEach(p -> holders.addAll(p.holders));
    vm.pieces.values().removeIf(which);
    for (int index : holders) {
      refusedMap(slot, index);
    }
    return 0;
  }

  /** A device interrupts: who has it hears of it. */
  void interrupt(String address, int index) {
    vms.stream()
        .flatMap(v -> v.devices.stream())
        .filter(d -> d.address.equals(address))
        .flatMap(d -> d.user.stream())
        .forEach(u -> signal(u, index));
  }

  static void set(HeldVm.User user, int index, int eventFd) {
    user.eventFds.put(index, eventFd);
    user.vectors[index] = index == Pci.ERROR ? 0 : 1;
  }

  static void off(HeldVm.User user, int index) {
    user.eventFds.remove(index);
    user.vectors[index] = 0;
  }
}
