// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.WatchedIommu;

/** B27: what a container holds can be asked while a map pins, however long that takes. */
class ContainerStatusTest {
  /** A thread for each call: the common pool may have but one, and calls wait here. */
  private static final Executor THREADS = call -> Thread.ofPlatform().daemon().start(call);

  private static final long PAGE = AddressSpace.PAGE;

  private record Function(String name) implements Device {
    @Override
    public Bus bus() {
      return Bus.PCI;
    }
  }

  /** An IOMMU whose second map takes until it is let go. */
  private static final class Pinning extends WatchedIommu {
    private final CountDownLatch reached = new CountDownLatch(1);
    private final CountDownLatch go = new CountDownLatch(1);
    private int maps;

    Pinning(Iommu real) {
      super(real);
    }

    @Override
    protected void before(Call call, Object on) {
      if (call == Call.MAP && ++maps == 2) {
        reached.countDown();
        await(go);
      }
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(60, TimeUnit.SECONDS)).as("still waiting after a minute").isTrue();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private final SoftIommu soft = new SoftIommu(KernelProfile.DEFAULT);
  private final IommuGroup group = soft.addGroup(1, IommuUnit.VT_D, List.of());
  private final Pinning iommu = new Pinning(soft);
  private final Container container =
      new Container("c", iommu, KernelProfile.DEFAULT, Type1.V2, new Type1Parameters());
  private final AddressSpace mm = new AddressSpace();
  private final long vaddr = mm.place(MemorySegment.ofArray(new long[1024]));

  @Test
  void shouldTellWhatItHoldsWhileAMapPins() {
    soft.addDevice(group, new Function("0000:00:02.0"));
    container.attach(group);
    container.map(mm, vaddr, 0, PAGE, Container.MAP_READ);
    CompletableFuture<Void> map =
        CompletableFuture.runAsync(() -> container.map(mm, vaddr, PAGE, PAGE, Container.MAP_READ));
    await(iommu.reached);
    assertThat(told(container::groups)).containsExactly(group);
    assertThat(told(() -> container.useCount(group))).isEqualTo(1);
    assertThat(told(container::domains)).isEqualTo(1);
    assertThat(told(container::mappings)).isEqualTo(1);
    assertThat(told(container::hasEmulated)).isFalse();
    assertThat(told(container::coherent)).isFalse();
    assertThat(told(() -> container.domainIndex(group))).isZero();
    assertThat(told(() -> container.domainOf(group))).isPresent();
    assertThat(told(() -> container.holder(group)).devices()).containsExactly("0000:00:02.0");
    assertThat(told(container::info).entries()).isEqualTo(65534);
    assertThat(told(container::snapshot))
        .isEqualTo(new Container.Contents(List.of(group), 1, 1, PAGE));
    assertThat(map).as("the map is still under way").isNotDone();
    iommu.go.countDown();
    map.orTimeout(60, TimeUnit.SECONDS).join();
    assertThat(container.snapshot())
        .isEqualTo(new Container.Contents(List.of(group), 1, 2, 2 * PAGE));
    container.close();
    assertThat(container.snapshot()).isEqualTo(new Container.Contents(List.of(), 0, 0, 0));
  }

  private static <T> T told(Supplier<T> question) {
    return CompletableFuture.supplyAsync(question, THREADS).orTimeout(60, TimeUnit.SECONDS).join();
  }
}
