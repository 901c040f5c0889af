// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.stream.IntStream;
import org.opentest4j.TestAbortedException;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.linux.iommu.Edu;
import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.linux.iommu.LinuxMachine;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.Environment;
import org.vfio4j.replay.kernel.KernelEnvironment;
import org.vfio4j.replay.kernel.LinuxEnvironment;
import org.vfio4j.vfio.EngineVfio;
import org.vfio4j.vfio.Vfio;

/**
 * Back end {@code linux}: the engine's user API on the machine of {@link KernelBench}, which does
 * what concerns drivers and sysfs. Wrapped devices are the engine's own.
 */
final class LinuxBench extends ScenarioBench {
  private static final Duration PATIENCE = Duration.ofSeconds(5);
  private static final long SCRATCH = 0xfff0000L;
  private static final long PAGE = 4096;
  private static final byte SENTINEL = (byte) 0xee;
  private static final byte UNTOUCHED = 0x55;
  private static final int WATCHED = 1 << 20;
  private static final int STEP = 16;

  /** No process of a scenario has more. */
  private static final int DESCRIPTORS = 64;

  private static final int FIRST_DESCRIPTOR = 3;

  private final KernelProfile kernel;
  private final KernelBench machine;
  private final LinuxIommu iommu = new LinuxIommu(SystemCalls.libc());
  private final LinuxMachine linux;
  private final List<Process> processes = new ArrayList<>();
  private final Set<String> wrapped = new TreeSet<>();

  private record Process(User user, EngineVfio api) {}

  LinuxBench(KernelProfile kernel, KernelBench machine) {
    this.kernel = kernel;
    this.machine = machine;
    this.linux = new LinuxMachine(kernel, iommu);
  }

  @Override
  User process(String name) {
    EngineVfio api = linux.process(name);
    KernelEnvironment environment = new KernelEnvironment(SystemCalls.libc(), PATIENCE);
    User user = new User(new LinuxEnvironment(api, environment));
    processes.add(new Process(user, api));
    return user;
  }

  @Override
  boolean bind(String device, String driver) {
    if (!kernel.ownership() && driver.equals(HOST_DRIVER_OF_H)) {
      throw skip("a kernel before 5.19 may stop here with BUG()");
    }
    return machine.bind(device, driver);
  }

  @Override
  String driver(String device) {
    return machine.driver(device);
  }

  @Override
  boolean drives(String function, long iova) {
    return machine.drives(function, iova);
  }

  @Override
  void parameter(String name, String value) {
    machine.parameter(name, value);
  }

  @Override
  String wrap(String function) {
    return wrap(function, 1).getFirst();
  }

  @Override
  List<String> wrap(String function, int count) {
    linux.wrap(function, count);
    wrapped.add(function);
    List<String> made = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      made.add(createWrapped(function));
    }
    return made;
  }

  @Override
  String createWrapped(String function) {
    return linux.create(function, UUID.randomUUID().toString()).name();
  }

  @Override
  int wrappedAvailable(String function) {
    return linux.available(function);
  }

  @Override
  boolean removeMdev(String name) {
    return linux.remove(name);
  }

  @Override
  String plain(String parent) {
    throw skip("needs a driver of plain mediated devices");
  }

  @Override
  void pin(User user, int container, String mdev, int prot, long... iovas) {
    throw skip("needs a driver of plain mediated devices");
  }

  @Override
  int unpin(User user, int container, String mdev, long... iovas) {
    throw skip("needs a driver of plain mediated devices");
  }

  private TestAbortedException skip(String why) {
    close();
    return new TestAbortedException(why);
  }

  @Override
  void unplug(String function) {
    throw skip("the emulated machine would have to lose a function");
  }

  @Override
  void enableVirtualFunctions(String driverOfPf) {
    machine.enableVirtualFunctions(driverOfPf);
  }

  @Override
  Set<Integer> groups() {
    return machine.groups();
  }

  @Override
  int groupOf(String device) {
    return linux.groupOf(device).orElseThrow().id();
  }

  @Override
  Optional<String> holder(String function) {
    IommuGroup group = linux.groupOf(function).orElseThrow();
    return group.ownership().who().map(o -> o.holder(group).name());
  }

  /** Gives each live container a page at one address; returns what undoes that. */
  private List<Runnable> scratch() {
    List<Runnable> undo = new ArrayList<>();
    for (Process process : processes) {
      for (int fd : IntStream.range(FIRST_DESCRIPTOR, DESCRIPTORS).toArray()) {
        long vaddr = process.user.environment().buffer() + page();
        try {
          process.api.map(fd, Vfio.MapRequest.of(vaddr, SCRATCH, PAGE));
          undo.add(() -> process.api.unmap(fd, Vfio.UnmapRequest.of(SCRATCH, PAGE)));
        } catch (VfioException refused) {
          // No container, or an empty one: nobody does DMA through it.
        }
      }
    }
    return undo;
  }

  private static long page() {
    return Environment.BUFFER_SIZE - PAGE;
  }

  private void fill(byte value) {
    processes.forEach(p -> p.user.environment().poke(page(), value, PAGE));
  }

  /** By its descriptor; a device that VFIO does not offer just now moves with its group as well. */
  private Edu edu(String function) {
    try {
      return Edu.take(iommu.openDevice(function));
    } catch (VfioException refused) {
      return Edu.openBehindVfio(function);
    }
  }

  @Override
  OptionalInt reads(String function, long iova) {
    assertThat(drives(function, iova)).as("%s at 0x%x", function, iova).isTrue();
    List<Runnable> undo = scratch();
    byte read = SENTINEL;
    try (Edu edu = edu(function)) {
      fill(SENTINEL);
      edu.fill(SCRATCH, 1);
      edu.fill(iova, 1);
      fill(UNTOUCHED);
      edu.empty(SCRATCH, 1);
      for (Process process : processes) {
        byte there = process.user.environment().peek(page())[0];
        read = there == UNTOUCHED ? read : there;
      }
    } finally {
      undo.forEach(Runnable::run);
    }
    return read == SENTINEL || read == 0 ? OptionalInt.empty() : OptionalInt.of(read);
  }

  @Override
  boolean writes(String function, long iova, byte value) {
    assertThat(drives(function, iova)).as("%s at 0x%x", function, iova).isTrue();
    List<Runnable> undo = scratch();
    try (Edu edu = edu(function)) {
      fill(value);
      edu.fill(SCRATCH, 1);
      List<Byte> before = watched();
      edu.empty(iova, 1);
      return !before.equals(watched());
    } finally {
      undo.forEach(Runnable::run);
    }
  }

  private List<Byte> watched() {
    List<Byte> bytes = new ArrayList<>();
    for (Process process : processes) {
      for (int at = 0; at < WATCHED; at += STEP) {
        for (byte b : process.user.environment().peek(at)) {
          bytes.add(b);
        }
      }
    }
    return bytes;
  }

  @Override
  public void close() {
    for (Process process : processes) {
      process.user.exit();
    }
    processes.forEach(p -> p.user.environment().close());
    processes.clear();
    wrapped.forEach(linux::unwrap);
    machine.close();
  }
}
