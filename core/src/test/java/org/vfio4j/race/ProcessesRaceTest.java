// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.race;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.DmaFaultException;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.MdevParent;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.soft.SoftVfio;
import org.vfio4j.testing.Q35;
import org.vfio4j.vfio.KernelBugException;
import org.vfio4j.vfio.Vfio.MapRequest;
import org.vfio4j.vfio.Vfio.UnmapRequest;

/** Processes of several threads each, on one machine whose devices come and go. */
class ProcessesRaceTest {
  private static final int PROCESSES = 3;
  private static final int OPERATIONS = 12_000;
  private static final long PAGE = Fixture.PAGE;
  private static final String WRAPPED = "0000:00:03.0";
  private static final String PARENT = "0000:00:0a.0";
  private static final List<String> NAMES =
      List.of("0000:00:02.0", WRAPPED, "0000:00:0a.1", "wrap-0", "wrap-1", "plain-0", "plain-1");

  static Stream<KernelProfile> kernels() {
    return KernelProfile.all().stream();
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void endsEmpty(KernelProfile kernel) throws InterruptedException {
    SoftMachine machine = Q35.machine(kernel);
    machine.bind(WRAPPED, SoftMachine.WRAPPING_DRIVER);
    machine.offer(WRAPPED, new MdevParent.Type("wrap", MdevParent.Kind.BACKED, 2));
    machine.offer(PARENT, new MdevParent.Type("plain", MdevParent.Kind.PLAIN, 2));
    LongAdder done = new LongAdder();
    LongAdder refused = new LongAdder();
    List<SoftVfio> processes = new ArrayList<>();
    Threads threads = new Threads("processes " + kernel.name());
    for (int p = 0; p < PROCESSES; p++) {
      SoftVfio process = machine.process("p" + p);
      long vaddr = process.memory().place(Arena.ofAuto().allocate(8 * PAGE, PAGE));
      processes.add(process);
      for (int t = 0; t < 2; t++) {
        threads.add(
            random -> {
              for (int i = 0; i < OPERATIONS && !threads.failed(); i++) {
                count(() -> operate(random, process, vaddr), done, refused);
              }
            });
      }
    }
    threads.add(
        random -> {
          for (int i = 0; i < OPERATIONS && !threads.failed(); i++) {
            count(() -> administer(random, machine), done, refused);
          }
        });
    threads.run();
    processes.forEach(SoftVfio::close);
    System.out.printf("%d done, %d refused%n", done.sum(), refused.sum());
    assertThat(done.sum()).isGreaterThan(refused.sum() / 20);
    assertThat(machine.waiting()).isEmpty();
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
    assertThat(processes).allSatisfy(p -> assertThat(p.memory().lockedPages()).isZero());
  }

  private static void count(Runnable operation, LongAdder done, LongAdder refused) {
    try {
      operation.run();
      done.increment();
    } catch (VfioException | DmaFaultException | KernelBugException answer) {
      refused.increment();
    }
  }

  /** Descriptors are guessed: the threads of a process pull them away from each other. */
  private static void operate(Random random, SoftVfio process, long vaddr) {
    int fd = 3 + random.nextInt(8);
    long iova = random.nextInt(8) * PAGE;
    String name = NAMES.get(random.nextInt(NAMES.size()));
    switch (random.nextInt(16)) {
      case 0 -> process.container();
      case 1, 2 -> process.group(name);
      case 3, 4 -> process.setContainer(fd, 3 + random.nextInt(8));
      case 5, 6 -> process.setIommu(fd, random.nextInt(4) == 0 ? 1 : 3);
      case 7 -> process.map(fd, MapRequest.of(vaddr + iova, iova, PAGE));
      case 8 -> process.unmap(fd, UnmapRequest.of(iova, PAGE));
      case 9, 10 -> process.deviceFd(fd, Optional.of(name));
      case 11 -> process.dma(fd).read(iova, MemorySegment.ofArray(new byte[8]));
      case 12 -> process.unsetContainer(fd);
      case 13 -> process.info(fd, 4096);
      case 14 -> process.close(fd);
      default -> {
        if (random.nextInt(50) == 0) {
          process.close();
        } else {
          process.groupStatus(fd, 8);
        }
      }
    }
  }

  private static void administer(Random random, SoftMachine machine) {
    int i = random.nextInt(2);
    switch (random.nextInt(6)) {
      case 0 -> machine.createMdev(WRAPPED, "wrap", "wrap-" + i);
      case 1 -> machine.createMdev(PARENT, "plain", "plain-" + i);
      case 2 -> machine.removeMdev((random.nextBoolean() ? "wrap-" : "plain-") + i);
      case 3 -> machine.bind("0000:00:02.0", i == 0 ? "vfio-pci" : "e1000");
      case 4 -> machine.waiting();
      default -> machine.iommu().census();
    }
  }
}
