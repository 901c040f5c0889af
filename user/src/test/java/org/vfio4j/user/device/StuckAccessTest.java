// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.DmaFaultException;

/** An access to a user's memory that does not end (B3): what waits for it must end all the same. */
@Timeout(60)
class StuckAccessTest {
  private static final long IOVA = 0x10_0000;
  private static final int PAGE = 4096;

  @Test
  void shouldNotWaitForEverForWhoIsInside() throws Exception {
    Guard guard = new Guard();
    int inside = guard.enter();
    long begun = System.nanoTime();
    assertThat(guard.await(Duration.ofMillis(50).toNanos())).isFalse();
    assertThat(System.nanoTime() - begun).isGreaterThanOrEqualTo(Duration.ofMillis(50).toNanos());
    guard.leave(inside);
    assertThat(guard.await(0)).isTrue();
  }

  @Test
  void shouldPoisonASpaceThatAnAccessDoesNotLeave() throws Exception {
    try (ClientPages pages = ClientPages.sealed(PAGE);
        UserMemory memory = new UserMemory("stuck")) {
      memory.map(IOVA, PAGE, UserMemory.READ, pages.file(), 0);
      CountDownLatch left = new CountDownLatch(1);
      Thread stuck = stay(memory, left);
      assertThatThrownBy(() -> memory.unmap(IOVA, PAGE, 0))
          .isInstanceOfSatisfying(
              VfioException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EIO));
      assertThat(mapped()).as("stays mapped: the access may go on").isTrue();
      MemorySegment to = MemorySegment.ofArray(new byte[1]);
      assertThatThrownBy(() -> memory.read(IOVA, to, 0, 1)).isInstanceOf(DmaFaultException.class);
      assertThatThrownBy(() -> memory.map(0, PAGE, UserMemory.READ, Optional.empty(), 0))
          .isInstanceOfSatisfying(
              VfioException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENODEV));
      left.countDown();
      stuck.join();
      while (mapped()) {
        Thread.onSpinWait();
      }
    }
  }

  private static boolean mapped() throws Exception {
    return Files.readString(Path.of("/proc/self/maps"))
            .lines()
            .filter(line -> line.contains("/memfd:sealed"))
            .count()
        > 1;
  }

  /** Is inside an access until it is told to leave. */
  private static Thread stay(UserMemory memory, CountDownLatch left) throws Exception {
    CountDownLatch entered = new CountDownLatch(1);
    Thread thread =
        Thread.ofPlatform()
            .daemon()
            .start(
                () -> {
                  int inside = memory.guard().enter();
                  entered.countDown();
                  try {
                    left.await();
                  } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                  } finally {
                    memory.guard().leave(inside);
                  }
                });
    entered.await();
    return thread;
  }
}
