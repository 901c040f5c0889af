// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.linux.testing.FailingSystemCalls;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.OpenDescriptors;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/**
 * Rounds of open, attach, map, unmap and close, undisturbed and with every n-th system call made to
 * fail: nothing may stay behind, whatever failed. How many: {@code -Dvfio4j.rounds=N}.
 */
class RoundsTest {
  private static final int ROUNDS = Integer.getInteger("vfio4j.rounds", 300);

  /** Every n-th call fails; 0 is no failure. A round makes 20 to 30 calls. */
  private static final int[] EVERY = {0, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};

  /** The bench takes a guest that says nothing for dead. */
  private static final int PROGRESS = 200;

  private static final long SIZE = 0x10000;
  private static final long IOVA = 0x100000;
  private static final long PAGE = 4096;
  private static final int READ_WRITE = Container.MAP_READ | Container.MAP_WRITE;

  /** What the virtual machine itself may have grown by; each round's buffer is 64 KiB. */
  private static final long GROWTH_KIB = 8 * 1024;

  private final FailingSystemCalls calls = new FailingSystemCalls(SystemCalls.libc());
  private final LinuxIommu iommu = new LinuxIommu(calls);
  private final AddressSpace memory = ProcessMemory.create();
  private final Logger log = Logger.getLogger("org.vfio4j.linux.iommu");
  private int succeeded;

  @BeforeEach
  void onlyOnTheBench() {
    EduMachine.assumeHere();
    log.setLevel(Level.OFF);
  }

  @AfterEach
  void speakAgain() {
    log.setLevel(Level.INFO);
  }

  @Test
  void shouldLeaveNothingBehind() throws IOException {
    long seed = Long.getLong("vfio4j.seed", System.nanoTime());
    System.out.printf("rounds: %d, seed %d (again with -Dvfio4j.seed=%d)%n", ROUNDS, seed, seed);
    Random random = new Random(seed);
    round(new Random(1));
    Set<String> open = OpenDescriptors.now();
    long locked = EduMachine.statusKib("VmLck");
    long size = EduMachine.statusKib("VmSize");
    int done = 0;
    long start = System.nanoTime();
    for (int i = 0; i < EVERY.length; i++) {
      int until = ROUNDS * (i + 1) / EVERY.length;
      succeeded = 0;
      int before = done;
      calls.every(EVERY[i]);
      for (; done < until; done++) {
        roundThatMayFail(random);
        if (done % PROGRESS == 0) {
          System.out.printf("  %d of %d rounds%n", done, ROUNDS);
        }
      }
      calls.every(0);
      String which =
          EVERY[i] == 0 ? "no call fails" : "every call no. %d fails".formatted(EVERY[i]);
      System.out.printf("  %s: %d rounds, %d without refusal%n", which, done - before, succeeded);
      assertThat(OpenDescriptors.now()).as("descriptors, %s", which).isEqualTo(open);
      assertThat(EduMachine.statusKib("VmLck")).as("locked KiB, %s", which).isEqualTo(locked);
    }
    System.out.printf(
        "  %.2f ms a round; made to fail: %s%n",
        (System.nanoTime() - start) / 1e6 / Math.max(1, done), calls.failed());
    assertThat(EduMachine.statusKib("VmSize") - size)
        .as("KiB of mappings left behind by %d rounds", done)
        .isLessThan(Math.max(GROWTH_KIB, ROUNDS * SIZE / 1024 / 10));
    round(new Random(2));
  }

  private void roundThatMayFail(Random random) {
    try {
      round(random);
      succeeded++;
    } catch (VfioException | SystemCallException refused) {
      // What a refusal leaves behind is what the test looks for.
    }
  }

  private void round(Random random) {
    List<String> functions = new ArrayList<>(List.of(EduMachine.R1, EduMachine.R2, EduMachine.A));
    Collections.shuffle(functions, random);
    Container vm =
        new Container("vm", iommu, EduMachine.profile(), Type1.V2, new Type1Parameters());
    try (MappedMemory buffer = MappedMemory.anonymous(calls, SIZE)) {
      try (vm) {
        List<IommuGroup> users = new ArrayList<>();
        List<DeviceCalls> devices = new ArrayList<>();
        int mapped = 0;
        for (String function : functions.subList(0, 1 + random.nextInt(functions.size()))) {
          IommuGroup user = EduMachine.wrapped(function);
          vm.attach(user);
          users.add(user);
          devices.add(iommu.openDevice(function));
          vm.map(memory, buffer.address() + mapped * PAGE, IOVA + mapped * PAGE, PAGE, READ_WRITE);
          mapped++;
        }
        if (random.nextBoolean()) {
          vm.unmap(memory, IOVA, SIZE);
        }
        if (random.nextBoolean()) {
          devices.forEach(DeviceCalls::close);
          users.forEach(vm::detach);
        }
      }
    }
  }
}
