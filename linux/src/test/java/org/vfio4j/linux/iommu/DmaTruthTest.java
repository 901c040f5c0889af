// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.DmaFaultException;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.linux.sysfs.LinuxDevice;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/**
 * What devices can reach, by data: the same random operations on the engine over the kernel and on
 * the engine in software, each with a buffer of its own; after every transfer of an edu device the
 * two buffers must be the same byte for byte, and what the engine says is out of reach must not
 * have been read. How many operations: {@code -Dvfio4j.truth=N}.
 */
class DmaTruthTest {
  private static final int OPERATIONS = Integer.getInteger("vfio4j.truth", 200);
  private static final int PAGES = 64;
  private static final long PAGE = 4096;

  /** What of a page is compared: as much as the device holds. */
  private static final int PART = Edu.BUFFER;

  private static final long IOVA = 0x100000;
  private static final int SLOTS = 12;
  private static final List<String> FUNCTIONS = List.of(EduMachine.A, EduMachine.R1, EduMachine.R2);

  private final KernelProfile profile = EduMachine.profile();
  private final LinuxIommu linux = new LinuxIommu(SystemCalls.libc());
  private final SoftIommu soft = new SoftIommu(profile);
  private final AddressSpace linuxMemory = ProcessMemory.create();
  private final AddressSpace softMemory = new AddressSpace();
  private final List<World> worlds = new ArrayList<>();

  /** Operations by name and answer. */
  private final Map<String, Integer> answers = new TreeMap<>();

  /** What each device holds of its own, where that is known. */
  private final Map<String, byte[]> held = new HashMap<>();

  private final Random contents = new Random(1);
  private final StringBuilder script = new StringBuilder();
  private long lockedBefore;

  /** The engine over one IOMMU: two containers and the users of the functions. */
  private static final class World {
    final List<Container> containers = new ArrayList<>();
    final List<IommuGroup> users = new ArrayList<>();
    final AddressSpace memory;
    final long buffer;
    private final Iommu iommu;
    private final KernelProfile profile;

    World(Iommu iommu, KernelProfile profile, AddressSpace memory, long buffer) {
      this.iommu = iommu;
      this.profile = profile;
      this.memory = memory;
      this.buffer = buffer;
      containers.add(container("vm 1"));
      containers.add(container("vm 2"));
    }

    private Container container(String name) {
      return new Container(name, iommu, profile, Type1.V2, new Type1Parameters());
    }

    /** The VM goes, and another comes: what is closed takes nothing any more. */
    void closeAndRenew(int container) {
      containers.get(container).close();
      containers.set(container, container(containers.get(container).name()));
    }
  }

  @BeforeEach
  void onlyOnTheBench() {
    EduMachine.assumeHere();
    lockedBefore = EduMachine.statusKib("VmLck");
    ReservedRegion msi = new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI);
    IommuUnit unit = IommuUnit.VT_D.withPageSizes(profile.pageSizes());
    Map<Integer, IommuGroup> groups = new LinkedHashMap<>();
    for (String function : FUNCTIONS) {
      int id = linux.groupOf(function).orElseThrow().id();
      IommuGroup group = groups.computeIfAbsent(id, n -> soft.addGroup(n, unit, List.of(msi)));
      soft.addDevice(group, LinuxDevice.pci(function));
    }
  }

  @AfterEach
  void closeAll() {
    worlds.forEach(w -> w.containers.forEach(Container::close));
  }

  private void users(World world, boolean real) {
    for (String function : FUNCTIONS) {
      world.users.add(
          real
              ? linux.groupOf(function).orElseThrow()
              : soft.groups().stream()
                  .filter(g -> g.devices().contains(LinuxDevice.pci(function)))
                  .findFirst()
                  .orElseThrow());
      world.users.add(EduMachine.wrapped(function));
    }
  }

  @Test
  void shouldReachWhatTheEngineSaysAndNothingElse() {
    long seed = Long.getLong("vfio4j.seed", System.nanoTime());
    System.out.printf("DMA truth, seed %d (again with -Dvfio4j.seed=%d)%n", seed, seed);
    Random random = new Random(seed);
    try (MappedMemory real = MappedMemory.anonymous(SystemCalls.libc(), PAGES * PAGE);
        MappedMemory model = MappedMemory.anonymous(SystemCalls.libc(), PAGES * PAGE)) {
      byte[] content = new byte[(int) (PAGES * PAGE)];
      random.nextBytes(content);
      real.segment().copyFrom(MemorySegment.ofArray(content));
      model.segment().copyFrom(MemorySegment.ofArray(content));
      worlds.add(new World(linux, profile, linuxMemory, real.address()));
      worlds.add(new World(soft, profile, softMemory, softMemory.place(model.segment())));
      users(worlds.getFirst(), true);
      users(worlds.getLast(), false);
      for (int i = 0; i < OPERATIONS; i++) {
        if (i % 2 == 0) {
          change(random);
        } else {
          transfer(random, real.segment(), model.segment());
        }
        assertThat(EduMachine.statusKib("VmLck") - lockedBefore)
            .as("locked memory after %s", script)
            .isEqualTo(softMemory.lockedPages() * PAGE / 1024);
      }
      closeAll();
      for (String function : FUNCTIONS) {
        check(function, IOVA, IOVA + PAGE, real.segment(), model.segment());
      }
    }
    System.out.println("  " + answers);
    assertThat(count("copied")).as("transfers that moved data: %s", answers).isPositive();
    assertThat(count("not readable") + count("not writable")).isPositive();
  }

  private int count(String answer) {
    return answers.getOrDefault(answer, 0);
  }

  private void change(Random random) {
    int container = random.nextInt(3) / 2;
    int user = random.nextInt(worlds.getFirst().users.size());
    long iova = IOVA + random.nextInt(SLOTS) * PAGE;
    long size = (1 + random.nextInt(4)) * PAGE;
    long offset = random.nextInt(PAGES - 6) * PAGE;
    int prot = random.nextInt(3) == 0 ? 1 + random.nextInt(2) : 3;
    switch (random.nextInt(24)) {
      case 0, 1, 2, 3, 4, 5 ->
          both(
              "attach user%d to %d".formatted(user, container),
              w -> w.containers.get(container).attach(w.users.get(user)));
      case 6, 7 ->
          both(
              "detach user%d from %d".formatted(user, container),
              w -> w.containers.get(container).detach(w.users.get(user)));
      case 8, 9, 10, 11, 12, 13, 14, 15, 16, 17 ->
          both(
              "map 0x%x +0x%x of 0x%x, prot %d in %d"
                  .formatted(iova, size, offset, prot, container),
              w -> w.containers.get(container).map(w.memory, w.buffer + offset, iova, size, prot));
      case 18, 19, 20, 21, 22 ->
          both(
              "unmap 0x%x +0x%x in %d".formatted(iova, size, container),
              w -> w.containers.get(container).unmap(w.memory, iova, size));
      default -> both("close %d".formatted(container), w -> w.closeAndRenew(container));
    }
  }

  private interface Change {
    void on(World world);
  }

  private void both(String what, Change change) {
    script.append('\n').append(what);
    List<String> results = worlds.stream().map(w -> result(change, w)).toList();
    assertThat(results.getFirst()).as("linux and soft: %s", script).isEqualTo(results.getLast());
    answers.merge(what.split(" ", 2)[0] + " " + results.getFirst(), 1, Integer::sum);
  }

  private static String result(Change change, World world) {
    try {
      change.on(world);
      return "ok";
    } catch (VfioException refused) {
      return refused.errno().name();
    }
  }

  private void transfer(Random random, MemorySegment real, MemorySegment model) {
    String function = FUNCTIONS.get(random.nextInt(FUNCTIONS.size()));
    long from = IOVA + random.nextInt(SLOTS) * PAGE;
    long to = IOVA + random.nextInt(SLOTS) * PAGE;
    check(function, from, to, real, model);
  }

  private void check(String function, long from, long to, MemorySegment real, MemorySegment model) {
    script.append("\n%s copies 0x%x to 0x%x".formatted(function, from, to));
    DmaPort port = soft.port(LinuxDevice.pci(function));
    byte[] read = new byte[PART];
    boolean readable = reads(port, from, read);
    boolean writeOnly = !readable && port.reaches(from, Mapping.WRITE);
    boolean writable = port.reaches(to, Mapping.WRITE);
    try (Edu edu = edu(function)) {
      edu.fill(from, PART);
      edu.empty(to, PART);
    }
    if (readable) {
      held.put(function, read);
    } else if (writeOnly && !writable) {
      held.remove(function);
    }
    if (readable && writable) {
      port.write(to, MemorySegment.ofArray(read));
    } else if (writable) {
      Mapping target = port.translate(to, PART, Mapping.WRITE);
      long offset = target.memory().address() + target.offset(to) - model.address();
      Optional<byte[]> there =
          writeOnly ? Optional.of(content(port, from)) : Optional.<byte[]>empty();
      checkNothingRead(function, there, real, model, offset);
    }
    String what = readable ? "copied" : "not readable";
    answers.merge(writable ? what : "not writable", 1, Integer::sum);
    assertThat(real.mismatch(model)).as("first byte that differs: %s", script).isEqualTo(-1);
  }

  private static byte[] content(DmaPort port, long iova) {
    Mapping mapping = port.translate(iova, PART, Mapping.WRITE);
    MemorySegment part = mapping.memory().asSlice(mapping.offset(iova), PART);
    return part.toArray(ValueLayout.JAVA_BYTE);
  }

  /**
   * A read that faults leaves the device with what it held before, or with one byte all over. Then
   * both pages get new content, so that the next fault cannot be taken for a read of it.
   *
   * <p>One difference is known: VT-d lets a device read what is mapped for writing only. {@code
   * __domain_mapping()} of the kernel's driver sets DMA_FL_PTE_PRESENT in every entry, and that bit
   * is DMA_PTE_READ in those of the second level.
   *
   * @param writeOnly what the source holds where it is mapped for writing only
   */
  private void checkNothingRead(
      String function,
      Optional<byte[]> writeOnly,
      MemorySegment real,
      MemorySegment model,
      long offset) {
    byte[] got = real.asSlice(offset, PART).toArray(ValueLayout.JAVA_BYTE);
    byte[] before = held.getOrDefault(function, got);
    byte[] blank = new byte[PART];
    Arrays.fill(blank, got[0]);
    boolean known = writeOnly.filter(w -> Arrays.equals(got, w)).isPresent();
    if (known) {
      answers.merge("write-only, and read by VT-d", 1, Integer::sum);
    }
    assertThat(known || Arrays.equals(got, before) || Arrays.equals(got, blank))
        .as("memory was read (%s): %s", origin(got, model, offset), script)
        .isTrue();
    held.put(function, got);
    byte[] fresh = new byte[PART];
    contents.nextBytes(fresh);
    real.asSlice(offset, PART).copyFrom(MemorySegment.ofArray(fresh));
    model.asSlice(offset, PART).copyFrom(MemorySegment.ofArray(fresh));
  }

  /** Where content comes from, for the message. */
  private static String origin(byte[] got, MemorySegment model, long target) {
    StringBuilder from = new StringBuilder();
    for (long at = 0; at < PAGES * PAGE; at += PAGE) {
      if (model.asSlice(at, PART).mismatch(MemorySegment.ofArray(got)) < 0) {
        from.append(at == target ? " the target itself" : " page 0x%x".formatted(at));
      }
    }
    return "it holds" + (from.isEmpty() ? " what no page does" : from.toString());
  }

  private static boolean reads(DmaPort port, long from, byte[] into) {
    try {
      port.read(from, MemorySegment.ofArray(into));
      return true;
    } catch (DmaFaultException fault) {
      return false;
    }
  }

  /** As its user has it, and behind VFIO's back where it has none. */
  private Edu edu(String function) {
    IommuGroup group = linux.groupOf(function).orElseThrow();
    boolean attached = worlds.getFirst().containers.stream().anyMatch(c -> c.useCount(group) > 0);
    if (!attached) {
      return Edu.openBehindVfio(function);
    }
    return Edu.take(linux.openDevice(function));
  }
}
