// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;
import org.opentest4j.TestAbortedException;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.Environment;
import org.vfio4j.replay.kernel.EduDevice;
import org.vfio4j.replay.kernel.KernelEnvironment;
import org.vfio4j.replay.kernel.KernelVfio;
import org.vfio4j.vfio.Vfio;

/**
 * Back end {@code kernel}: all processes are this one, each with descriptors of its own. What a
 * device can reach is found out by having it do so, through the container that the scenario put it
 * in; the edu devices here are the only ones that do as they are told.
 */
final class KernelBench extends ScenarioBench {
  private static final Duration PATIENCE = Duration.ofSeconds(5);
  private static final Set<String> EDU = Set.of(A, B, C, M0, M1, R1, R2);

  private static final Map<String, String> DRIVERS =
      Map.of(
          A,
          "vfio-pci",
          B,
          "vfio-pci",
          C,
          "vfio-pci",
          M0,
          "vfio-pci",
          M1,
          "vfio-pci",
          R1,
          "vfio-pci",
          R2,
          "vfio-pci",
          H,
          HOST_DRIVER_OF_H,
          PF,
          "vfio-pci");

  private static final String DRIVER_OF_PF = "nvme";
  private static final String VIRTUAL_FUNCTIONS = "/sys/bus/pci/devices/" + PF + "/sriov_numvfs";

  /** An address that no scenario maps, and the largest one that edu devices can have. */
  private static final long SCRATCH = 0xfff0000L;

  private static final long EDU_ADDRESSES = 1L << 28;
  private static final long PAGE = 4096;
  private static final byte SENTINEL = (byte) 0xee;
  private static final byte UNTOUCHED = 0x55;

  /** No scenario maps more of the buffer's start. */
  private static final int WATCHED = 1 << 20;

  private final KernelProfile kernel;
  private final List<User> processes = new ArrayList<>();

  /** The hands of all benches: never have a descriptor of VFIO open. */
  private static final KernelEnvironment MACHINE = environment();

  /** Those of processes that have ended: 64 MiB are not filled in no time. */
  private static final List<KernelEnvironment> IDLE = new ArrayList<>();

  private final KernelEnvironment machine = MACHINE;

  KernelBench(KernelProfile kernel) {
    this.kernel = kernel;
    restore();
  }

  private static KernelEnvironment environment() {
    for (String module : List.of("e1000", "nvme", "pci-stub")) {
      load(module);
    }
    return fresh();
  }

  private static KernelEnvironment fresh() {
    return new KernelEnvironment(SystemCalls.libc(), PATIENCE);
  }

  private static void load(String module) {
    try {
      new ProcessBuilder("modprobe", module).inheritIO().start().waitFor();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void restore() {
    if (!first(VIRTUAL_FUNCTIONS).equals("0")) {
      // Only the driver that made them takes them back.
      machine.bind(PF, DRIVER_OF_PF);
      machine.write(VIRTUAL_FUNCTIONS, "0");
    }
    DRIVERS.forEach(
        (device, driver) -> {
          if (!machine.driver(device).equals(driver)) {
            machine.bind(device, driver);
          }
          assertThat(machine.driver(device)).as(device).isEqualTo(driver);
        });
  }

  private String first(String file) {
    return machine.cat(file).getFirst();
  }

  @Override
  User process(String name) {
    KernelEnvironment environment = IDLE.isEmpty() ? fresh() : IDLE.removeLast();
    environment.poke(0, Environment.BUFFER_FILL, WATCHED);
    User user = new User(environment);
    processes.add(user);
    return user;
  }

  @Override
  boolean bind(String device, String driver) {
    if (!kernel.ownership() && driver.equals(HOST_DRIVER_OF_H) && !groupFds(device).isEmpty()) {
      throw skip("a kernel before 5.19 stops here with BUG()");
    }
    return machine.bind(device, driver);
  }

  @Override
  String driver(String device) {
    return machine.driver(device);
  }

  @Override
  void parameter(String name, String value) {
    machine.write("/sys/module/vfio_iommu_type1/parameters/" + name, value);
  }

  private TestAbortedException mediated() {
    return skip("needs mediated devices, which no stock kernel here has");
  }

  /** Where the scenario began before its test did, nothing else would clean up. */
  private TestAbortedException skip(String why) {
    close();
    return new TestAbortedException(why);
  }

  @Override
  String wrap(String function) {
    throw mediated();
  }

  @Override
  List<String> wrap(String function, int count) {
    throw mediated();
  }

  @Override
  String createWrapped(String function) {
    throw mediated();
  }

  @Override
  int wrappedAvailable(String function) {
    throw mediated();
  }

  @Override
  String plain(String parent) {
    throw mediated();
  }

  @Override
  boolean removeMdev(String name) {
    throw mediated();
  }

  @Override
  void pin(User user, int container, String mdev, int prot, long... iovas) {
    throw mediated();
  }

  @Override
  int unpin(User user, int container, String mdev, long... iovas) {
    throw mediated();
  }

  @Override
  void unplug(String function) {
    throw skip("the emulated machine would have to lose a function");
  }

  @Override
  void enableVirtualFunctions(String driverOfPf) {
    if (!driverOfPf.equals(DRIVER_OF_PF)) {
      throw skip("vfio-pci offers virtual functions only with enable_sriov");
    }
    machine.bind(PF, driverOfPf);
    machine.write("/sys/bus/pci/devices/" + PF + "/sriov_drivers_autoprobe", "0");
    machine.write(VIRTUAL_FUNCTIONS, "2");
    for (String name : List.of(V1, V2)) {
      machine.bind(name, "vfio-pci");
      assertThat(machine.driver(name)).isEqualTo("vfio-pci");
    }
  }

  @Override
  Set<Integer> groups() {
    try (var folders = Files.list(Path.of("/sys/kernel/iommu_groups"))) {
      return folders
          .map(f -> Integer.parseInt(f.getFileName().toString()))
          .collect(Collectors.toSet());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  int groupOf(String device) {
    return KernelVfio.groupOf(device).orElseThrow();
  }

  @Override
  Optional<String> holder(String function) {
    return Optional.empty();
  }

  @Override
  boolean drives(String function, long iova) {
    return EDU.contains(function) && Long.compareUnsigned(iova, EDU_ADDRESSES) < 0;
  }

  /** A function in somebody's hands: who has it, and the descriptor that was opened for this. */
  private record Hand(User user, KernelVfio api, int device, List<Integer> containers) {}

  /** Descriptors of a process that refer to a file. */
  private static List<Integer> fds(User user, String file) {
    return ((KernelVfio) user.api())
        .descriptors().stream().filter(fd -> file.equals(target(fd))).toList();
  }

  private static String target(int fd) {
    try {
      return Files.readSymbolicLink(Path.of("/proc/self/fd/" + fd)).toString();
    } catch (IOException e) {
      return "";
    }
  }

  private List<User> groupFds(String function) {
    String file = "/dev/vfio/" + groupOf(function);
    return processes.stream().filter(p -> !fds(p, file).isEmpty()).toList();
  }

  /** Empty if nobody can make the function do DMA: its group is in no live container. */
  private Optional<Hand> hand(String function, long iova) {
    assertThat(drives(function, iova)).as("%s at 0x%x", function, iova).isTrue();
    for (User user : groupFds(function)) {
      KernelVfio api = (KernelVfio) user.api();
      int group = fds(user, "/dev/vfio/" + groupOf(function)).getFirst();
      int device;
      try {
        device = api.deviceFd(group, Optional.of(function));
      } catch (VfioException refused) {
        continue;
      }
      return Optional.of(new Hand(user, api, device, scratch(user)));
    }
    return Optional.empty();
  }

  /** Gives each container of a process a page of its own at the same address. */
  private static List<Integer> scratch(User user) {
    List<Integer> mapped = new ArrayList<>();
    for (int container : fds(user, "/dev/vfio/vfio")) {
      long vaddr = user.environment().buffer() + page(mapped.size());
      try {
        user.api().map(container, Vfio.MapRequest.of(vaddr, SCRATCH, PAGE));
        mapped.add(container);
      } catch (VfioException refused) {
        // An empty container: nobody does DMA through it.
      }
    }
    return mapped;
  }

  private static long page(int index) {
    return Environment.BUFFER_SIZE - PAGE * (index + 1);
  }

  private static void fill(Hand hand, byte value) {
    for (int i = 0; i < hand.containers.size(); i++) {
      hand.user.environment().poke(page(i), value, PAGE);
    }
  }

  private static void release(Hand hand) {
    for (int container : hand.containers) {
      hand.api.unmap(container, Vfio.UnmapRequest.of(SCRATCH, PAGE));
    }
    hand.api.close(hand.device);
  }

  @Override
  OptionalInt reads(String function, long iova) {
    Optional<Hand> found = hand(function, iova);
    if (found.isEmpty()) {
      return OptionalInt.empty();
    }
    Hand hand = found.get();
    EduDevice edu = new EduDevice(hand.api, hand.device);
    fill(hand, SENTINEL);
    edu.load(SCRATCH, 1);
    edu.load(iova, 1);
    fill(hand, UNTOUCHED);
    edu.store(SCRATCH, 1);
    byte read = SENTINEL;
    for (int i = 0; i < hand.containers.size(); i++) {
      byte there = hand.user.environment().peek(page(i))[0];
      read = there == UNTOUCHED ? read : there;
    }
    release(hand);
    return read == SENTINEL || read == 0 ? OptionalInt.empty() : OptionalInt.of(read);
  }

  @Override
  boolean writes(String function, long iova, byte value) {
    Optional<Hand> found = hand(function, iova);
    if (found.isEmpty()) {
      return false;
    }
    Hand hand = found.get();
    EduDevice edu = new EduDevice(hand.api, hand.device);
    fill(hand, value);
    edu.load(SCRATCH, 1);
    List<byte[]> before = watched();
    edu.store(iova, 1);
    List<byte[]> after = watched();
    release(hand);
    for (int i = 0; i < before.size(); i++) {
      if (!Arrays.equals(before.get(i), after.get(i))) {
        return true;
      }
    }
    return false;
  }

  private List<byte[]> watched() {
    return processes.stream()
        .map(p -> ((KernelEnvironment) p.environment()).memory().asSlice(0, WATCHED))
        .map(s -> s.toArray(java.lang.foreign.ValueLayout.JAVA_BYTE))
        .toList();
  }

  @Override
  public void close() {
    processes.forEach(User::exit);
    long locked = machine.lockedKib();
    for (User process : processes) {
      process.ipcLock(true);
      process.memlock(Environment.BUFFER_SIZE);
      IDLE.add((KernelEnvironment) process.environment());
    }
    processes.clear();
    restore();
    assertThat(locked).as("locked memory").isZero();
    assertThat(openVfioFiles()).as("descriptors left open").isEmpty();
  }

  private static List<String> openVfioFiles() {
    try (var fds = Files.list(Path.of("/proc/self/fd"))) {
      return fds.map(f -> target(Integer.parseInt(f.getFileName().toString())))
          .filter(t -> t.contains("vfio"))
          .filter(t -> t.startsWith("/dev/vfio/") || t.startsWith("anon_inode:[vfio"))
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
