// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.race;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.Container;

/** Containers compete for one backing group: one has it, the others are told EBUSY. */
class CompetitionRaceTest {
  private static final int RIVALS = 4;
  private static final int TURNS = 3000;
  private static final long IOVA = 0x100000;

  static Stream<KernelProfile> kernels() {
    return KernelProfile.all().stream();
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void oneHolderAtAnyTime(KernelProfile kernel) throws InterruptedException {
    compete(kernel, IommuUnit.VT_D);
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void oneHolderWithoutDefaultDomains(KernelProfile kernel) throws InterruptedException {
    compete(kernel, IommuUnit.VT_D.withDefaultDomain(false));
  }

  private static void compete(KernelProfile kernel, IommuUnit unit) throws InterruptedException {
    Fixture fixture = new Fixture(kernel);
    Fixture.Function function = new Fixture.Function("0000:00:02.0");
    IommuGroup backing = fixture.group(unit, function);
    IommuGroup wrapped = fixture.mdev(new Isolation.Backed(function));
    DmaPort port = fixture.iommu.port(function);
    AtomicReference<Object> holder = new AtomicReference<>();
    AtomicInteger turns = new AtomicInteger();
    AtomicInteger refusals = new AtomicInteger();
    Threads threads = new Threads("compete " + kernel.name());
    for (int i = 0; i < RIVALS; i++) {
      Container container = fixture.container("rival" + i);
      Fixture.Memory memory = fixture.new Memory(1);
      IommuGroup[] groups = {backing, wrapped};
      threads.add(
          random -> {
            try (container) {
              while (turns.get() < TURNS && !threads.failed()) {
                IommuGroup first = groups[random.nextInt(2)];
                if (!attach(container, first)) {
                  refusals.incrementAndGet();
                  continue;
                }
                turns.incrementAndGet();
                assertThat(holder.compareAndExchange(null, container)).isNull();
                memory.map(container, 0, IOVA);
                use(random, container, first == backing ? wrapped : backing, backing);
                assertThat(Fixture.read(port, IOVA, new byte[8])).isEqualTo(memory.value(0));
                assertThat(holder.compareAndSet(container, null)).isTrue();
                container.detach(first);
              }
            }
            assertThat(memory.mm.lockedPages()).isZero();
          });
    }
    threads.run();
    System.out.printf("%s: %d turns, %d refusals%n", kernel.name(), turns.get(), refusals.get());
    assertThat(refusals).as("nobody ever competed").hasPositiveValue();
    assertThat(fixture.iommu.census()).isEqualTo(SoftIommu.Census.EMPTY);
    assertThat(Fixture.read(port, IOVA, new byte[8])).isEqualTo(Fixture.FAULT);
  }

  /** The second group of the holder joins without asking, whatever the rivals do. */
  private static void use(Random random, Container mine, IommuGroup other, IommuGroup backing) {
    assertThat(mine.useCount(backing)).isEqualTo(1);
    if (random.nextBoolean()) {
      mine.attach(other);
      assertThat(mine.useCount(backing)).isEqualTo(2);
      mine.detach(other);
      assertThat(mine.useCount(backing)).isEqualTo(1);
    }
  }

  private static boolean attach(Container container, IommuGroup group) {
    try {
      container.attach(group);
      return true;
    } catch (VfioException refused) {
      assertThat(refused.errno()).isEqualTo(Errno.EBUSY);
      assertThat(refused.refusal().reason()).isEqualTo(Reason.BACKING_GROUP_HELD);
      return false;
    }
  }
}
