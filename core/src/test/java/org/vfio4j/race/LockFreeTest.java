// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.race;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.Container;

/** Translation takes no lock: it goes on while others hold all there are. */
@Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class LockFreeTest {
  private static final long IOVA = 0x100000;

  private final Fixture fixture = new Fixture(KernelProfile.DEFAULT);
  private final Fixture.Function first = new Fixture.Function("0000:00:02.0");
  private final Fixture.Function second = new Fixture.Function("0000:00:03.0");
  private final CountDownLatch inside = new CountDownLatch(1);
  private final CountDownLatch leave = new CountDownLatch(1);

  /** The IOMMU, but asked for the second function's group it waits until it may answer. */
  private Iommu waiting() {
    return (Iommu)
        Proxy.newProxyInstance(
            Iommu.class.getClassLoader(),
            new Class<?>[] {Iommu.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("acquireGroup") && arguments[0] == second) {
                inside.countDown();
                assertThat(leave.await(20, TimeUnit.SECONDS)).isTrue();
              }
              try {
                return method.invoke(fixture.iommu, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  @Test
  void portTranslatesWhileTheContainersLockIsHeld() throws InterruptedException {
    Container container = fixture.container("c", waiting());
    IommuGroup group = fixture.group(IommuUnit.VT_D, first);
    IommuGroup other = fixture.group(IommuUnit.VT_D, second);
    container.attach(group);
    Fixture.Memory memory = fixture.new Memory(1);
    memory.map(container, 0, IOVA);
    DmaPort port = fixture.iommu.port(first);
    DmaPort emulated = container.emulatedPort("mdev", fixture.iommu::report);
    Thread holder =
        Thread.startVirtualThread(
            () -> {
              synchronized (group) {
                container.attach(other);
              }
            });
    inside.await();
    // Detaching what is not attached changes nothing, and takes the lock.
    IommuGroup nowhere = fixture.group(IommuUnit.VT_D);
    Thread witness = Thread.ofPlatform().daemon().start(() -> container.detach(nowhere));
    while (witness.getState() != Thread.State.WAITING) {
      assertThat(witness.isAlive()).as("the container's lock is held").isTrue();
      Thread.onSpinWait();
    }
    for (int i = 0; i < 1000; i++) {
      assertThat(port.translate(IOVA, 8, Mapping.READ).iova()).isEqualTo(IOVA);
      assertThat(Fixture.read(port, IOVA, new byte[8])).isEqualTo(memory.value(0));
      assertThat(port.reaches(IOVA + Fixture.PAGE, Mapping.READ)).isFalse();
      assertThat(emulated.reaches(IOVA, Mapping.READ)).isFalse();
    }
    assertThat(holder.isAlive()).isTrue();
    assertThat(witness.isAlive()).isTrue();
    leave.countDown();
    holder.join();
    witness.join();
    container.close();
  }
}
