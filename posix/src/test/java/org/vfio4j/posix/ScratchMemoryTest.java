// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.Test;
import org.vfio4j.posix.testing.WatchedSystemCalls;

/** Memory that is there only where it was touched. */
class ScratchMemoryTest {
  private static final int PAGE = 4096;
  private static final int PAGES = 1024;

  /** Pages that are really there, as the kernel tells. */
  private static int present(MemorySegment memory) throws Exception {
    int pages = (int) (memory.byteSize() / PAGE);
    ByteBuffer map = ByteBuffer.allocate(pages * Long.BYTES).order(ByteOrder.nativeOrder());
    try (FileChannel file =
        FileChannel.open(Path.of("/proc/self/pagemap"), StandardOpenOption.READ)) {
      assertThat(file.read(map, memory.address() / PAGE * Long.BYTES)).isEqualTo(map.capacity());
    }
    int there = 0;
    for (int page = 0; page < pages; page++) {
      // The top bit: present; the one below: swapped out.
      there += map.getLong(page * Long.BYTES) >>> 62 != 0 ? 1 : 0;
    }
    return there;
  }

  @Test
  void shouldTakeOnlyTheMemoryThatIsTouchedUntilItIsCleared() throws Exception {
    try (Arena arena = Arena.ofShared()) {
      ScratchMemory memory = ScratchMemory.of(SystemCalls.libc(), arena, (long) PAGES * PAGE);
      MemorySegment bytes = memory.segment();
      assertThat(present(bytes)).isZero();
      bytes.set(ValueLayout.JAVA_BYTE, 5L * PAGE, (byte) 7);
      bytes.set(ValueLayout.JAVA_BYTE, 700L * PAGE + 1, (byte) 7);
      assertThat(present(bytes)).as("no huge page").isEqualTo(2);
      memory.clear();
      assertThat(present(bytes)).isZero();
      assertThat(bytes.get(ValueLayout.JAVA_BYTE, 5L * PAGE)).isZero();
    }
  }

  /** Memory that is locked cannot be given back. */
  @Test
  void shouldZeroWhatTheKernelDoesNotTakeBack() {
    SystemCalls refusing =
        new WatchedSystemCalls(SystemCalls.libc()) {
          @Override
          protected int before(String call, int request) {
            return call.equals("madvise") ? -22 : 0;
          }
        };
    try (Arena arena = Arena.ofShared()) {
      ScratchMemory memory = ScratchMemory.of(refusing, arena, 3 * PAGE);
      memory.segment().fill((byte) 7);
      memory.clear();
      assertThat(memory.segment().mismatch(MemorySegment.ofArray(new byte[3 * PAGE])))
          .isEqualTo(-1);
    }
  }

  @Test
  void shouldBeGoneWithItsArena() {
    ScratchMemory memory;
    try (Arena arena = Arena.ofShared()) {
      memory = ScratchMemory.of(SystemCalls.libc(), arena, PAGE);
    }
    assertThatThrownBy(() -> memory.segment().get(ValueLayout.JAVA_BYTE, 0))
        .isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(memory::clear)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("given back");
  }
}
