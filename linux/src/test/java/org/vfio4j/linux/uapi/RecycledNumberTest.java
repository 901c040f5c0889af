// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.vfio4j.posix.testing.OpenDescriptors.number;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.InterposedSystemCalls;

/**
 * B24: one VM's device, group or container is closed while a call to it is about to be made, and
 * another VM opens something, which Linux gives the lowest free number. The call must not reach it.
 * Memory files stand in for VFIO's: they can be read and written, and refuse ioctls with ENOTTY.
 */
class RecycledNumberTest {
  private static final VfioRegionInfo REGION = new VfioRegionInfo(0, 7, 4096, 0, List.of());

  private final InterposedSystemCalls calls = new InterposedSystemCalls(SystemCalls.libc());
  private final List<Descriptor> ofAnotherVm = new ArrayList<>();

  @AfterEach
  void closeAll() {
    ofAnotherVm.forEach(Descriptor::close);
  }

  private Descriptor file(String name) {
    return Memfd.create(calls, name, 4096);
  }

  private Runnable recycling(AutoCloseable closed) {
    return () -> {
      try {
        closed.close();
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
      ofAnotherVm.add(Memfd.create(SystemCalls.libc(), "vm 2", 4096));
    };
  }

  private void shouldNotHaveReached(int number) {
    assertThat(calls.done()).as("the call was made").isTrue();
    assertThat(ofAnotherVm).hasSize(1);
    assertThat(number(ofAnotherVm.getFirst())).isNotEqualTo(number);
  }

  private static void shouldBeRefused(ThrowingCallable call) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(
            VfioException.class,
            e -> {
              assertThat(e.errno()).isEqualTo(Errno.EBADF);
              assertThat(e.reason()).isEqualTo(Reason.BAD_DESCRIPTOR);
            });
  }

  @Test
  void shouldNotWriteIntoAnotherVmsDevice() {
    DeviceCalls device = new DeviceCalls(file("vm 1"));
    int number = number(device.descriptor());
    calls.beforeNext("pwrite", recycling(device));
    device.writeInt(REGION, 0, 0x12345678);
    shouldNotHaveReached(number);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment word = arena.allocate(ValueLayout.JAVA_INT);
      int other = number(ofAnotherVm.getFirst());
      assertThat(calls.pread(other, word, 4, 0)).isEqualTo(4);
      assertThat(word.get(ValueLayout.JAVA_INT, 0)).as("what VM 2 finds there").isZero();
    }
    shouldBeRefused(() -> device.writeInt(REGION, 0, 1));
  }

  @Test
  void shouldNotReadFromAnotherVmsDevice() {
    DeviceCalls device = new DeviceCalls(file("vm 1"));
    int number = number(device.descriptor());
    device.writeInt(REGION, 8, 42);
    calls.beforeNext("pread", recycling(device));
    assertThat(device.readInt(REGION, 8)).isEqualTo(42);
    shouldNotHaveReached(number);
    shouldBeRefused(() -> device.readInt(REGION, 8));
  }

  @Test
  void shouldNotMapInAnotherVmsContainer() {
    ContainerCalls container = new ContainerCalls(file("vm 1"));
    int number = number(container.descriptor());
    calls.beforeNext("ioctl", recycling(container));
    assertThatThrownBy(() -> container.map(0x1000, 0x1000, 0x1000, 3))
        .isInstanceOfSatisfying(
            VfioException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOTTY));
    shouldNotHaveReached(number);
    shouldBeRefused(() -> container.unmap(0x1000, 0x1000, 0));
  }

  @Test
  void shouldNotMoveAGroupIntoAnotherVmsContainer() {
    GroupCalls group = new GroupCalls(file("group"));
    ContainerCalls container = new ContainerCalls(file("vm 1"));
    int number = number(container.descriptor());
    calls.beforeNext("ioctl", recycling(container));
    assertThatThrownBy(() -> group.setContainer(container)).isInstanceOf(VfioException.class);
    shouldNotHaveReached(number);
    shouldBeRefused(() -> group.setContainer(container));
    group.close();
    shouldBeRefused(group::status);
  }

  @Test
  void shouldNotHaveInterruptsSignalAnotherVmsFile() {
    try (DeviceCalls device = new DeviceCalls(file("device"))) {
      EventFd event = EventFd.create(calls);
      int number = number(event.descriptor());
      List<Optional<Descriptor>> one = List.of(Optional.of(event.descriptor()));
      calls.beforeNext("ioctl", recycling(event));
      assertThatThrownBy(() -> device.trigger(2, 0, one)).isInstanceOf(VfioException.class);
      shouldNotHaveReached(number);
      assertThatThrownBy(() -> device.trigger(2, 0, one)).isInstanceOf(SystemCallException.class);
    }
  }

  @Test
  void shouldNotResetWithAnotherVmsGroup() {
    try (DeviceCalls device = new DeviceCalls(file("device"))) {
      GroupCalls group = new GroupCalls(file("group"));
      int number = number(group.descriptor());
      calls.beforeNext("ioctl", recycling(group));
      assertThatThrownBy(() -> device.hotReset(List.of(group))).isInstanceOf(VfioException.class);
      shouldNotHaveReached(number);
    }
  }

  @Test
  void shouldStillBeTheFileItWasWhileInUse() {
    DeviceCalls device = new DeviceCalls(file("vm 1"));
    try (Descriptor.Use use = device.descriptor().use()) {
      recycling(device).run();
      assertThat(use.number()).isNotEqualTo(number(ofAnotherVm.getFirst()));
      assertThat(FileStatus.of(ofAnotherVm.getFirst()).length()).isEqualTo(4096);
    }
  }
}
