// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import org.junit.jupiter.api.Test;

/** What can be known of a file before it is mapped. */
class FileStatusTest {
  private static final SystemCalls CALLS = SystemCalls.libc();
  private static final int MFD_HUGETLB = 4;

  @Test
  void shouldTrustOnlyMemoryThatIsSealed() {
    try (Descriptor open = Memfd.create(CALLS, "open", 3 * 4096);
        Descriptor sealed = Memfd.sealed(CALLS, "sealed", 4096)) {
      FileStatus found = FileStatus.of(open);
      assertThat(found.length()).isEqualTo(3 * 4096);
      assertThat(found.writable()).isTrue();
      assertThat(found.lasting()).isFalse();
      assertThat(FileStatus.of(sealed).lasting()).isTrue();
      assertThat(FileStatus.of(sealed).inode()).isNotEqualTo(found.inode());
    }
  }

  /** They are taken when they are touched first, and there may be none. */
  @Test
  void shouldNotTrustHugePagesThoughTheyAreSealed() {
    try (Arena arena = Arena.ofConfined()) {
      int flags = Constants.MFD_CLOEXEC | Constants.MFD_ALLOW_SEALING | MFD_HUGETLB;
      int fd = CALLS.memfdCreate(arena.allocateFrom("huge"), flags);
      assumeTrue(fd >= 0, "the kernel has no huge pages");
      try (Descriptor file = new Descriptor(CALLS, fd, "huge")) {
        int sealed = CALLS.fcntl(fd, Constants.F_ADD_SEALS, Constants.F_SEAL_SHRINK);
        assertThat(sealed).isZero();
        assertThat(FileStatus.of(file).lasting()).isFalse();
      }
    }
  }

  @Test
  void shouldTellADescriptorThatOnlyReads() {
    try (Descriptor zero = Descriptor.open(CALLS, "/dev/zero", Constants.O_RDONLY)) {
      assertThat(FileStatus.of(zero).writable()).isFalse();
    }
  }
}
