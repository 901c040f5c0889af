// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.vfio4j.linux.testing.FakeHost.B;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.nio.channels.ServerSocketChannel;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.linux.testing.OnFakeHost;
import org.vfio4j.linux.uapi.Ioctls;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.WatchedSystemCalls;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.user.Server;
import org.vfio4j.user.qtest.PciFunction;
import org.vfio4j.user.qtest.Qemu;

/**
 * A kernel that takes longer than an unmodified QEMU waits. An answer that comes too late with a
 * body would end its understanding of everything that follows; so what can be served is served, the
 * rest is refused in time, and registers are read right afterwards.
 */
@Timeout(180)
class LateAnswersQemuTest extends OnFakeHost {
  private static final long RAM = (long) Qemu.MEMORY_MIB << 20;
  private static final int VENDOR_AND_DEVICE = 0x11e81234;
  private static final int NVME_VENDOR_AND_DEVICE = 0x00101b36;

  /** Alone on its bus, with which it can be reset. */
  private static final String NVME = "0000:03:00.0";

  private static final int INTERRUPT_LINE = 0x3c;
  private static final int QUESTIONS = 100;

  /** Where q35 is told whether 16 KiB below 1 MiB are RAM: another layout of all memory there. */
  private static final int HOST_BRIDGE = 0;

  private static final int SHADOW = 0x91;
  private static final int READ_WRITE_RAM = 3;

  private static final Duration MAP = Duration.ofSeconds(7);
  private static final Duration RESET = Duration.ofSeconds(12);
  private static final Duration FIRST_MAP = Duration.ofSeconds(40);
  private static final Duration PRINTED = Duration.ofSeconds(80);

  private Slow slow;
  private Broker broker;
  private Vm vm;

  /** One call of a kind takes long, once. A reset of a bus has the number of a map. */
  private static final class Slow extends WatchedSystemCalls {
    private final AtomicInteger served = new AtomicInteger();
    private volatile Duration next = Duration.ZERO;

    Slow(SystemCalls calls) {
      super(calls);
    }

    void next(Duration time) {
      next = time;
    }

    /** How many calls have taken long. */
    int served() {
      return served.get();
    }

    @Override
    protected int before(String call, int request) {
      Duration time = next;
      if (request == Ioctls.VFIO_IOMMU_MAP_DMA && !time.isZero()) {
        next = Duration.ZERO;
        long end = System.nanoTime() + time.toNanos();
        for (long left = time.toNanos(); left > 0; left = end - System.nanoTime()) {
          LockSupport.parkNanos(left);
        }
        served.incrementAndGet();
      }
      return 0;
    }
  }

  /** Who closes a channel for the first time in a JVM opens a socket that stays. */
  @BeforeAll
  static void closeAChannel() throws IOException {
    assumeTrue(
        System.getProperty("vfio4j.qemu") != null, "takes a minute: vm-bench/run --suite late");
    ServerSocketChannel.open(StandardProtocolFamily.UNIX).close();
  }

  @BeforeEach
  void begin() {
    slow = new Slow(calls);
    LinuxIommu slowIommu = host.iommu(slow);
    broker = new Broker(slowIommu, KernelProfile.LINUX_6_1);
    vm = broker.vm(VmSettings.of("qemu", RAM));
  }

  /**
   * QEMU says of a bare error that comes too late that it is unexpected, and forgets it; what had a
   * body would be taken for the answers to come.
   */
  private static void shouldUnderstand(Qemu qemu, int expected) throws IOException {
    PciFunction function = new PciFunction(qemu.qtest, PciFunction.FIRST_SLOT);
    for (int n = 0; n < QUESTIONS; n++) {
      function.set(INTERRUPT_LINE, 1, n);
      assertThat(function.get(INTERRUPT_LINE, 1)).isEqualTo(n);
      assertThat(function.get(0)).isEqualTo(expected);
    }
    assertThat(qemu.alive()).isTrue();
    assertThat(qemu.log()).doesNotContain("bad header size");
  }

  @Test
  void shouldRefuseInTimeAVmWhoseFirstMemoryTakesLongerThanItWaits() {
    try (Broker _ = broker;
        Server server = Guest.serve(folder, vm, B, PassOptions.WHOLE)) {
      slow.next(MAP);
      assertThatThrownBy(() -> Qemu.plugged(folder, server.path()).close())
          .isInstanceOf(IOException.class)
          .hasMessageContaining("QEMU has gone")
          .satisfies(e -> assertThat(e.getMessage()).doesNotContain("unexpected reply"));
      Guest.awaitIdle(broker);
      assertThat(slow.served()).isEqualTo(1);
    }
  }

  @Test
  void shouldGoOnWithAVmWhoseMemoryTakesLongerThanItWaits() throws IOException {
    shouldGoOn(
        B,
        VENDOR_AND_DEVICE,
        MAP,
        qemu -> new PciFunction(qemu.qtest, HOST_BRIDGE).set(SHADOW, 1, READ_WRITE_RAM));
  }

  @Test
  void shouldGoOnWithAVmWhoseDeviceTakesLongerToResetThanItWaits() throws IOException {
    shouldGoOn(NVME, NVME_VENDOR_AND_DEVICE, RESET, Qemu::systemReset);
  }

  private interface Action {
    void of(Qemu qemu) throws IOException;
  }

  /** What the action has the kernel do takes too long. */
  private void shouldGoOn(String address, int id, Duration time, Action action) throws IOException {
    try (Broker _ = broker;
        Server server = Guest.serve(folder, vm, address, PassOptions.WHOLE)) {
      try (Qemu qemu = Qemu.plugged(folder, server.path())) {
        shouldUnderstand(qemu, id);
        slow.next(time);
        action.of(qemu);
        qemu.qtest.await("the late answer", () -> slow.served() == 1);
        shouldUnderstand(qemu, id);
      }
      Guest.awaitIdle(broker);
    }
  }

  @Test
  void shouldServeAVmThatWaitsAsLongAsItWasTold() throws IOException {
    try (Broker _ = broker;
        Server server = Guest.serve(folder, vm, B, PassOptions.WHOLE)) {
      slow.next(FIRST_MAP);
      try (Qemu qemu = Qemu.plugged(folder, server.path(), PRINTED)) {
        assertThat(slow.served()).isEqualTo(1);
        shouldUnderstand(qemu, VENDOR_AND_DEVICE);
        assertThat(qemu.log()).isEmpty();
      }
      Guest.awaitIdle(broker);
    }
  }
}
