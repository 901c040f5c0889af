// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.linux.sysfs.Sysfs;
import org.vfio4j.linux.testing.FakeHost;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.LastingStore;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.user.Server;
import org.vfio4j.user.device.ServedDevice;

/** A process with the broker of a {@link BrokerModelTest}, which can be told to be at rest. */
final class ModelProcess {
  private static final Pattern OURS =
      Pattern.compile("(vfio-user )?\\d\\.\\d\\.sock.*|broker asks.*|vfio-user disposal.*");

  private static final Duration LONG = Duration.ofHours(10);

  final FaultyCalls calls;
  private final Path folder;
  private final KeptDescriptors kept;
  private final Broker broker;
  private final Map<Integer, Vm> vms = new HashMap<>();
  private final Map<String, ServedDevice> devices = new HashMap<>();
  private final Map<String, Server> servers = new HashMap<>();

  ModelProcess(FaultyCalls calls, FakeHost host, LastingStore store, Path folder) {
    this.calls = calls;
    this.folder = folder;
    kept = store.process(calls);
    LinuxIommu iommu = new LinuxIommu(calls, new Sysfs(host.sys()), kept);
    broker = new Broker(iommu, KernelProfile.LINUX_6_1, kept, vm -> {});
  }

  Broker broker() {
    return broker;
  }

  /** Has what the process before had. */
  void goOn(HeldWorld world) {
    world.vms.forEach(vm -> begin(vm));
    broker.resume();
    world.vms.forEach(
        vm -> {
          for (int n = 0; n < vm.devices.size(); n++) {
            if (vm.devices.get(n).served) {
              serve(vm.slot, n);
            }
          }
        });
    kept.closeRest();
  }

  private void begin(HeldVm vm) {
    Vm made = broker.vm(VmSettings.of(vm.name, HeldVm.MEMORY));
    vms.put(vm.slot, made);
    for (int n = 0; n < vm.devices.size(); n++) {
      HeldVm.Device device = vm.devices.get(n);
      devices.put(name(vm.slot, n), made.device(device.address, device.options));
    }
  }

  /** Makes a VM and serves its devices, or, if that fails, has it not. */
  void make(HeldVm vm) {
    boolean done = false;
    try {
      begin(vm);
      for (int n = 0; n < vm.devices.size(); n++) {
        serve(vm.slot, n);
      }
      done = true;
    } finally {
      if (!done) {
        end(vm.slot);
      }
    }
  }

  void end(int slot) {
    for (String name : List.copyOf(servers.keySet())) {
      if (name.startsWith(slot + ".")) {
        Objects.requireNonNull(servers.remove(name)).close();
      }
    }
    devices.keySet().removeIf(name -> name.startsWith(slot + "."));
    Vm vm = vms.remove(slot);
    if (vm != null) {
      vm.close();
    }
  }

  void serve(int slot, int n) {
    String name = name(slot, n);
    ServedDevice device = Objects.requireNonNull(devices.get(name));
    Server.Builder how = Server.at(socket(slot, n)).calls(calls).kept(kept, name);
    servers.put(name, how.turn(Duration.ofHours(20)).handshake(LONG).start(device));
  }

  void close(int slot, int n) {
    Objects.requireNonNull(servers.remove(name(slot, n))).close();
  }

  void tryOut(int slot, String address) {
    Objects.requireNonNull(vms.get(slot)).tryOut(address);
  }

  private static String name(int slot, int n) {
    return slot + "." + n;
  }

  Path socket(int slot, int n) {
    return folder.resolve(name(slot, n) + ".sock");
  }

  /** Ends as told to. */
  void close() {
    servers.values().forEach(Server::close);
    servers.clear();
    broker.close();
  }

  /** Dies, and is gone. */
  void kill() throws InterruptedException {
    calls.kill();
    calls.bury();
    for (Thread each : threads()) {
      if (!each.getName().startsWith("vfio-user disposal")) {
        each.interrupt();
        each.join();
      }
    }
  }

  private static List<Thread> threads() {
    ThreadGroup top = Thread.currentThread().getThreadGroup();
    @Nullable Thread[] all = new @Nullable Thread[top.activeCount() * 2 + 16];
    int count = top.enumerate(all);
    List<Thread> ours = new ArrayList<>();
    for (int n = 0; n < count; n++) {
      Thread each = Objects.requireNonNull(all[n]);
      if (OURS.matcher(each.getName()).matches()) {
        ours.add(each);
      }
    }
    return ours;
  }

  /** Waits until all threads wait for what has not come. */
  void rest() {
    long deadline = System.nanoTime() + 10_000_000_000L;
    int quiet = 0;
    long total = -1;
    while (quiet < 3) {
      boolean now = quiet();
      quiet = now && total == calls.total() ? quiet + 1 : 0;
      total = calls.total();
      if (!now) {
        Thread.onSpinWait();
        if (System.nanoTime() > deadline) {
          throw new AssertionError("never at rest: " + stacks());
        }
      }
    }
  }

  private String stacks() {
    StringBuilder all = new StringBuilder();
    for (Thread each : threads()) {
      all.append(each).append(' ').append(each.getState()).append('\n');
      for (StackTraceElement at : each.getStackTrace()) {
        all.append("  ").append(at).append('\n');
      }
    }
    return all.toString();
  }

  private boolean quiet() {
    Map<Thread, Integer> waiting = calls.waiting();
    for (Thread each : threads()) {
      Integer fd = waiting.get(each);
      if (fd != null && ready(fd)) {
        return false;
      }
      boolean pausing =
          each.getState() == Thread.State.TIMED_WAITING && each.getName().endsWith("accepts");
      boolean waits =
          Set.of(Thread.State.WAITING, Thread.State.TIMED_WAITING, Thread.State.TERMINATED)
                  .contains(each.getState())
              && !pausing;
      if (fd == null && !waits) {
        return false;
      }
    }
    return broker.state().vms().stream()
        .flatMap(v -> v.devices().stream())
        .noneMatch(d -> d.phase() == BrokerState.Phase.DRAINING);
  }

  private static boolean ready(int fd) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment poll = arena.allocate(8, 4);
      poll.set(ValueLayout.JAVA_INT, 0, fd);
      poll.set(ValueLayout.JAVA_SHORT, 4, (short) Constants.POLLIN);
      return SystemCalls.libc().poll(poll, 1, 0) != 0;
    }
  }
}
