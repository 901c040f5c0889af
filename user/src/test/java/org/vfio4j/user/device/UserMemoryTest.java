// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.vfio4j.posix.testing.OpenDescriptors.number;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.DmaFault;
import org.vfio4j.iommu.DmaFaultException;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.SystemCalls;

/** What a device's user maps, and what the device finds there. */
class UserMemoryTest {
  private static final long PAGE = 4096;
  private static final long SIZE = 64 * PAGE;
  private static final long IOVA = 0x1_0000_0000L;
  private static final int BOTH = UserMemory.READ | UserMemory.WRITE;

  private final ClientPages memory = ClientPages.sealed(SIZE);
  private final ClientPages shrinking = ClientPages.unsealed(SIZE);
  private final UserMemory dma = new UserMemory("device", 16, RemoteMemory.NONE);
  private final MemorySegment buffer = Arena.ofAuto().allocate(SIZE);

  @AfterEach
  void close() {
    dma.close();
    memory.close();
    shrinking.close();
  }

  private static void refused(Errno errno, ThrowingCallable call) {
    VfioException e = catchThrowableOfType(VfioException.class, call);
    assertThat(e).as("not refused with " + errno).isNotNull();
    assertThat(e.errno()).isEqualTo(errno);
  }

  private static DmaFault faults(ThrowingCallable call) {
    DmaFaultException e = catchThrowableOfType(DmaFaultException.class, call);
    assertThat(e).as("no fault").isNotNull();
    return e.fault();
  }

  private void read(long iova, long count) {
    dma.read(iova, buffer, 0, count);
  }

  @Test
  void shouldReadAndWriteWhatTheUserMapped() {
    for (ClientPages each : new ClientPages[] {memory, shrinking}) {
      dma.map(IOVA, SIZE / 2, BOTH, each.file(), SIZE / 4);
      each.segment().asSlice(SIZE / 4, SIZE / 2).fill((byte) 7);
      read(IOVA, SIZE / 2);
      assertThat(buffer.asSlice(0, SIZE / 2).mismatch(each.segment().asSlice(SIZE / 4, SIZE / 2)))
          .isEqualTo(-1);
      buffer.fill((byte) 9);
      dma.write(IOVA + 3, buffer, 0, 3 * PAGE);
      assertThat(each.segment().get(ValueLayout.JAVA_BYTE, SIZE / 4 + 2)).isEqualTo((byte) 7);
      assertThat(each.segment().get(ValueLayout.JAVA_BYTE, SIZE / 4 + 3)).isEqualTo((byte) 9);
      dma.publish(IOVA + 8, 0x1122334455667788L);
      assertThat(each.segment().get(ValueLayout.JAVA_LONG, SIZE / 4 + 8))
          .isEqualTo(0x1122334455667788L);
      assertThat(dma.unmap(IOVA, SIZE / 2, 0)).isEqualTo(SIZE / 2);
    }
  }

  @Test
  void shouldCopyBetweenAllKindsOfMemory() {
    dma.map(0, SIZE, BOTH, memory.file(), 0);
    dma.map(SIZE, SIZE, BOTH, shrinking.file(), 0);
    for (long n = 0; n < PAGE; n++) {
      memory.segment().set(ValueLayout.JAVA_BYTE, n, (byte) (n * 31 + 1));
    }
    dma.copy(0, 8 * PAGE + 1, PAGE);
    dma.copy(8 * PAGE + 1, SIZE + 5, PAGE);
    dma.copy(SIZE + 5, SIZE + 9 * PAGE, PAGE);
    dma.copy(SIZE + 9 * PAGE, 20 * PAGE, PAGE);
    assertThat(
            memory.segment().asSlice(20 * PAGE, PAGE).mismatch(memory.segment().asSlice(0, PAGE)))
        .isEqualTo(-1);
  }

  @Test
  void shouldFaultWhereNothingIsMappedOrNotForThat() {
    dma.map(IOVA, PAGE, UserMemory.READ, memory.file(), 0);
    dma.map(IOVA + PAGE, PAGE, UserMemory.READ, shrinking.file(), 0);
    for (long at : new long[] {IOVA, IOVA + PAGE}) {
      assertThat(faults(() -> dma.write(at, buffer, 0, 4)).cause())
          .isEqualTo(DmaFault.Cause.NO_PERMISSION);
      assertThat(faults(() -> dma.publish(at, 1)).cause()).isEqualTo(DmaFault.Cause.NO_PERMISSION);
    }
    DmaFault beyond = faults(() -> read(IOVA + PAGE, 2 * PAGE));
    assertThat(beyond.cause()).isEqualTo(DmaFault.Cause.NOT_MAPPED);
    assertThat(beyond.iova()).as("the first that cannot be accessed").isEqualTo(IOVA + 2 * PAGE);
    assertThat(faults(() -> dma.copy(IOVA, 0, 8)).access()).isEqualTo(UserMemory.WRITE);
    assertThat(faults(() -> dma.copy(0, IOVA, 8)).access()).isEqualTo(UserMemory.READ);
    assertThat(dma.faults()).hasSize(7).contains(beyond);
  }

  @Test
  void shouldAnswerAsTheEngineDoes() {
    dma.map(IOVA, 2 * PAGE, BOTH, memory.file(), 0);
    refused(Errno.EEXIST, () -> dma.map(IOVA + PAGE, PAGE, BOTH, memory.file(), 0));
    refused(Errno.EEXIST, () -> dma.map(IOVA + PAGE, PAGE, BOTH, Optional.empty(), 0));
    refused(Errno.EINVAL, () -> dma.map(0, PAGE, 0, memory.file(), 0));
    refused(Errno.EINVAL, () -> dma.map(0, 0, BOTH, memory.file(), 0));
    refused(Errno.EINVAL, () -> dma.map(0, 100, BOTH, memory.file(), 0));
    refused(Errno.EINVAL, () -> dma.map(100, PAGE, BOTH, memory.file(), 0));
    refused(Errno.EINVAL, () -> dma.map(0, PAGE, BOTH, memory.file(), 100));
    refused(Errno.EFAULT, () -> dma.map(0, PAGE, BOTH, memory.file(), SIZE));
    refused(Errno.EFAULT, () -> dma.map(0, SIZE + PAGE, BOTH, memory.file(), 0));
    refused(Errno.EOVERFLOW, () -> dma.map(-PAGE, 2 * PAGE, BOTH, Optional.empty(), 0));
    refused(Errno.EINVAL, () -> dma.unmap(IOVA + PAGE, PAGE, 0));
    refused(Errno.EINVAL, () -> dma.unmap(IOVA, PAGE, 0));
    refused(Errno.EINVAL, () -> dma.unmap(IOVA, 2 * PAGE, 8));
    refused(Errno.EINVAL, () -> dma.unmap(IOVA, 2 * PAGE, UserMemory.UNMAP_ALL));
    assertThat(dma.mappings()).as("nothing of it changed anything").isEqualTo(1);
    read(IOVA, 2 * PAGE);
    for (int n = 1; n < 16; n++) {
      dma.map(n * PAGE, PAGE, BOTH, memory.file(), 0);
    }
    refused(Errno.ENOSPC, () -> dma.map(0, PAGE, BOTH, memory.file(), 0));
  }

  @Test
  void shouldUnmapAllThatIsInsideARange() {
    dma.map(PAGE, PAGE, BOTH, memory.file(), 0);
    dma.map(4 * PAGE, PAGE, BOTH, Optional.empty(), 0);
    dma.map(IOVA, SIZE, BOTH, shrinking.file(), 0);
    dma.map(-PAGE, PAGE, BOTH, memory.file(), 0);
    assertThat(dma.unmap(2 * PAGE, PAGE, 0)).as("a hole").isZero();
    assertThat(dma.unmap(0, IOVA, 0)).isEqualTo(2 * PAGE);
    assertThat(dma.unmap(1L << 63, 1L << 63, 0)).as("QEMU's upper half").isEqualTo(PAGE);
    assertThat(dma.unmap(0, 0, UserMemory.UNMAP_ALL)).isEqualTo(SIZE);
    assertThat(dma.mappings()).isZero();
    assertThat(dma.available()).isEqualTo(16);
    faults(() -> read(PAGE, 1));
    faults(() -> read(4 * PAGE, 1));
    faults(() -> read(IOVA, 1));
    faults(() -> read(-PAGE, 1));
  }

  @Test
  void shouldMapAFileOnceAndGiveItBackWithTheLastMapping() throws Exception {
    long before = lines("/proc/self/maps", "memfd:sealed");
    dma.map(0, PAGE, BOTH, memory.file(), 0);
    dma.map(PAGE, PAGE, BOTH, memory.file(), 0);
    dma.map(4 * PAGE, PAGE, BOTH, memory.file(), 4 * PAGE);
    assertThat(lines("/proc/self/maps", "memfd:sealed")).isEqualTo(before + 1);
    dma.unmap(0, 2 * PAGE, 0);
    read(4 * PAGE, PAGE);
    assertThat(lines("/proc/self/maps", "memfd:sealed")).isEqualTo(before + 1);
    dma.unmap(4 * PAGE, PAGE, 0);
    assertThat(lines("/proc/self/maps", "memfd:sealed")).isEqualTo(before);
    dma.map(0, PAGE, BOTH, memory.file(), 0);
    dma.close();
    assertThat(lines("/proc/self/maps", "memfd:sealed")).isEqualTo(before);
    faults(() -> read(0, 1));
    refused(Errno.ENODEV, () -> dma.map(0, PAGE, BOTH, memory.file(), 0));
  }

  private static long lines(String file, String word) throws Exception {
    return Files.readAllLines(Path.of(file)).stream().filter(l -> l.contains(word)).count();
  }

  @Test
  void shouldRefuseToWriteThroughADescriptorThatCannot() {
    String path = "/proc/self/fd/" + number(memory.file().orElseThrow());
    try (Descriptor readOnly = Descriptor.open(SystemCalls.libc(), path, Constants.O_RDONLY)) {
      refused(Errno.EACCES, () -> dma.map(0, PAGE, BOTH, Optional.of(readOnly), 0));
      dma.map(0, PAGE, UserMemory.READ, Optional.of(readOnly), 0);
      read(0, PAGE);
      faults(() -> dma.write(0, buffer, 0, 1));
    }
    try (Descriptor socket =
        new Descriptor(
            SystemCalls.libc(),
            SystemCalls.libc().socket(Constants.AF_UNIX, Constants.SOCK_STREAM, 0),
            "socket")) {
      assertThatThrownBy(() -> dma.map(IOVA, PAGE, BOTH, Optional.of(socket), 0))
          .isInstanceOf(VfioException.class);
    }
  }

  @Test
  void shouldAskTheUserForMemoryWithoutADescriptor() {
    byte[] users = new byte[(int) SIZE];
    RemoteMemory remote =
        new RemoteMemory() {
          @Override
          public void read(long iova, MemorySegment target, long offset, long count) {
            MemorySegment.copy(MemorySegment.ofArray(users), iova - IOVA, target, offset, count);
          }

          @Override
          public void write(long iova, MemorySegment source, long offset, long count) {
            MemorySegment.copy(source, offset, MemorySegment.ofArray(users), iova - IOVA, count);
          }
        };
    try (UserMemory asked = new UserMemory("device", 16, remote)) {
      asked.map(IOVA, SIZE, BOTH, Optional.empty(), 0);
      buffer.fill((byte) 5);
      asked.write(IOVA + 1, buffer, 0, SIZE - 1);
      assertThat(users[0]).isZero();
      assertThat(users[1]).isEqualTo((byte) 5);
      asked.copy(IOVA + 1, IOVA, 1);
      assertThat(users[0]).isEqualTo((byte) 5);
      asked.read(IOVA, buffer, 0, SIZE);
      asked.unmap(IOVA, SIZE, 0);
      faults(() -> asked.read(IOVA, buffer, 0, 8));
    }
    dma.map(IOVA, PAGE, BOTH, Optional.empty(), 0);
    assertThat(faults(() -> read(IOVA, 1)).cause()).isEqualTo(DmaFault.Cause.MEMORY_GONE);
  }

  @Test
  void shouldFaultWhereTheUserHasShrunkItsFile() {
    dma.map(IOVA, SIZE, BOTH, shrinking.file(), 0);
    dma.write(IOVA, buffer, 0, SIZE);
    shrinking.truncate(PAGE);
    read(IOVA, PAGE);
    assertThat(faults(() -> read(IOVA, SIZE)).cause()).isEqualTo(DmaFault.Cause.MEMORY_GONE);
    faults(() -> dma.write(IOVA + PAGE, buffer, 0, 1));
    faults(() -> dma.publish(IOVA + PAGE, 1));
    shrinking.truncate(SIZE);
    read(IOVA, SIZE);
  }
}
