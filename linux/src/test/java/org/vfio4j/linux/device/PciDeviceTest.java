// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.linux.testing.FakeHost;
import org.vfio4j.linux.testing.OneFailingCall;
import org.vfio4j.linux.uapi.VfioConstants;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.OpenDescriptors;
import org.vfio4j.posix.testing.WatchedSystemCalls;
import org.vfio4j.profile.KernelProfile;

/** The API for drivers, on a machine without VFIO. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class PciDeviceTest {
  private static final Duration LONG = Duration.ofSeconds(50);

  @TempDir Path folder;

  private FakeHost host;
  private Set<String> before = Set.of();

  @BeforeEach
  void boot() throws Exception {
    before = OpenDescriptors.now();
    host = new FakeHost(folder);
  }

  @AfterEach
  void shouldLeaveNothing() throws Exception {
    host.shouldBeAsNew();
    assertThat(OpenDescriptors.now()).isEqualTo(before);
  }

  private DmaSpace space(SystemCalls calls) {
    return DmaSpace.create(host.iommu(calls), KernelProfile.LINUX_6_1, Path.of("/proc"));
  }

  private PciDevice open(String address) {
    return PciDevice.openAlone(space(host.kernel()), address);
  }

  @Test
  void shouldReadRegistersThroughAMapAndByCalls() {
    try (PciDevice device = open(FakeHost.A)) {
      assertThat(device.config().read32(0)).isEqualTo(0x11e81234);
      Registers bar = device.bar(0);
      assertThat(bar.mapped()).isTrue();
      assertThat(bar.size()).isEqualTo(1 << 20);
      bar.write32(0x80, 42);
      Registers called = device.openBar(0, false);
      assertThat(called.mapped()).isFalse();
      assertThat(called.read32(0x80)).isEqualTo(42);
      assertThatThrownBy(() -> device.bar(1)).isInstanceOf(VfioException.class);
      device.enableBusMaster();
      assertThat(device.config().read16(4) & 4).isEqualTo(4);
    }
  }

  @Test
  void shouldRefuseRegistersOfWhatIsClosed() {
    PciDevice device = open(FakeHost.A);
    Registers config = device.config();
    Registers called = device.openBar(0, false);
    device.close();
    assertThatThrownBy(() -> config.read32(0)).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> called.write32(0x80, 1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("is closed");
  }

  @Test
  void shouldShareASpaceBetweenDevicesOfOneGroupAndOfOthers() {
    try (DmaSpace space = space(host.kernel());
        PciDevice one = space.open(FakeHost.R1);
        PciDevice other = space.open(FakeHost.R2)) {
      DmaBuffer buffer = one.allocate(8192, IovaRange.ofWidth(28));
      buffer.segment().set(ValueLayout.JAVA_INT, 0, 7);
      assertThat(buffer.iova()).isEqualTo(0x10000);
      assertThat(other.allocate(4096).iova()).isGreaterThan(0x10000);
      assertThat(host.kernel().process().memory().lockedPages()).isEqualTo(3);
      try (PciDevice third = space.open(FakeHost.A)) {
        assertThat(third.space().windows()).contains(new IovaRange(0, 0xfedfffffL));
      }
      assertThat(host.kernel().process().memory().lockedPages()).isEqualTo(3);
    }
  }

  @Test
  void shouldRefuseWithTheDriverAndTheHolderNamed() {
    assertThatThrownBy(() -> open(FakeHost.BESIDE_HOST_DRIVEN))
        .isInstanceOf(VfioException.class)
        .hasMessageContaining(FakeHost.HOST_DRIVEN + " (e1000)");
    assertThatThrownBy(() -> open(FakeHost.WITHOUT_DRIVER))
        .isInstanceOf(VfioException.class)
        .hasMessageContaining("vfio bind " + FakeHost.WITHOUT_DRIVER);
    assertThatThrownBy(() -> open("0000:09:00.0"))
        .isInstanceOf(VfioException.class)
        .hasMessageContaining("there is no PCI device 0000:09:00.0");
    try (PciDevice _ = open(FakeHost.A)) {
      assertThatThrownBy(() -> open(FakeHost.A))
          .isInstanceOfSatisfying(
              VfioException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EBUSY));
    }
  }

  @Test
  void shouldDeliverInterruptsAndCountThem() {
    try (PciDevice device = open(FakeHost.A);
        Interrupts msi = device.enable(InterruptKind.MSI, 1)) {
      host.kernel().interrupt(FakeHost.A, VfioConstants.VFIO_PCI_MSI_IRQ_INDEX, 0);
      host.kernel().interrupt(FakeHost.A, VfioConstants.VFIO_PCI_MSI_IRQ_INDEX, 0);
      assertThat(msi.await(0, LONG)).isEqualTo(2);
      assertThat(msi.await(0, Duration.ZERO)).isZero();
      assertThat(device.vectors(InterruptKind.MSIX)).isZero();
      assertThatThrownBy(() -> device.enable(InterruptKind.INTX, 1))
          .isInstanceOf(IllegalStateException.class);
    }
  }

  /** System calls that say when somebody is about to wait. */
  private static SystemCalls telling(SystemCalls calls, CountDownLatch waiting) {
    return new WatchedSystemCalls(calls) {
      @Override
      protected int before(String call, int request) {
        if (call.equals("poll")) {
          waiting.countDown();
        }
        return 0;
      }
    };
  }

  /** B7, B24: a driver's thread can be woken, and a wake is no interrupt. */
  @Test
  void shouldWakeWhoWaitsWithoutCountingItAsAnInterrupt() throws Exception {
    CountDownLatch waiting = new CountDownLatch(1);
    try (PciDevice device =
            PciDevice.openAlone(space(telling(host.kernel(), waiting)), FakeHost.A);
        ExecutorService threads = Executors.newSingleThreadExecutor();
        Interrupts msi = device.enable(InterruptKind.MSI, 1)) {
      Future<Long> count = threads.submit(() -> msi.await(0, LONG));
      assertThat(waiting.await(50, TimeUnit.SECONDS)).isTrue();
      msi.wake(0);
      assertThat(count.get(50, TimeUnit.SECONDS)).isZero();
      assertThat(msi.isOpen()).isTrue();
      msi.wake(0);
      host.kernel().interrupt(FakeHost.A, VfioConstants.VFIO_PCI_MSI_IRQ_INDEX, 0);
      assertThat(msi.await(0, LONG)).as("what the device has counted").isEqualTo(1);
      assertThat(msi.await(0, Duration.ZERO)).isZero();
    }
  }

  /** B7, B24: closing ends the wait of a driver's thread, and waits for nobody. */
  @Test
  void shouldEndAWaitByClosing() throws Exception {
    CountDownLatch waiting = new CountDownLatch(1);
    try (PciDevice device =
            PciDevice.openAlone(space(telling(host.kernel(), waiting)), FakeHost.A);
        ExecutorService threads = Executors.newSingleThreadExecutor()) {
      Interrupts msi = device.enable(InterruptKind.MSI, 1);
      Future<Long> count = threads.submit(() -> msi.await(0, LONG));
      assertThat(waiting.await(50, TimeUnit.SECONDS)).isTrue();
      msi.close();
      assertThat(count.get(50, TimeUnit.SECONDS)).isZero();
      assertThat(msi.isOpen()).isFalse();
      assertThat(msi.await(0, LONG)).isZero();
      msi.wake(0);
      device.enable(InterruptKind.MSI, 1).close();
    }
  }

  /** Each call of a driver's life fails in turn; nothing stays behind. */
  @Test
  void shouldLeaveNothingWhicheverCallFails() throws Exception {
    OneFailingCall none = new OneFailingCall(host.kernel(), 0, 1);
    assertThat(refusedInADriversLife(none)).isFalse();
    for (Errno errno : List.of(Errno.EMFILE, Errno.ENOMEM, Errno.EBUSY, Errno.EINVAL)) {
      for (int failing = 1; failing <= none.made(); failing++) {
        OneFailingCall one = new OneFailingCall(host.kernel(), failing, errno.number());
        boolean refused = refusedInADriversLife(one);
        String what = "call %d, %s, fails with %s".formatted(failing, one.failed(), errno);
        assertThat(refused || one.gotRound()).as("told: " + what).isTrue();
        host.shouldBeAsNew();
        assertThat(one.mappings()).as(what).isZero();
        assertThat(OpenDescriptors.now()).as(what).isEqualTo(before);
      }
    }
  }

  private boolean refusedInADriversLife(SystemCalls calls) {
    try (PciDevice device = PciDevice.openAlone(space(calls), FakeHost.A)) {
      device.bar(0).write32(0, 1);
      device.enableBusMaster();
      Interrupts msi = device.enable(InterruptKind.MSI, 1);
      DmaBuffer buffer = device.allocate(4096);
      buffer.close();
      device.allocate(4096);
      msi.close();
      return false;
    } catch (VfioException | SystemCallException refused) {
      return true;
    }
  }
}
