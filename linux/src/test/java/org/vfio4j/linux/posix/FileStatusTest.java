// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.posix;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import org.junit.jupiter.api.Test;

/** What can be known of a file before it is mapped. */
class FileStatusTest {
  private static final SystemCalls CALLS = SystemCalls.libc();
  private static final int MFD_HUGETLB = 4;

  private static Descriptor memfd(int flags, long size) {
    try (Arena arena = Arena.ofConfined()) {
      int fd =
          CALLS.memfdCreate(
              arena.allocateFrom("memory"),
              Constants.MFD_CLOEXEC | Constants.MFD_ALLOW_SEALING | flags);
      Descriptor file = new Descriptor(CALLS, SystemCallException.check(fd, "memfd"), "memory");
      SystemCallException.check(CALLS.ftruncate(fd, size), "ftruncate");
      return file;
    }
  }

  private static void seal(Descriptor file) {
    int seals = Constants.F_SEAL_SHRINK;
    SystemCallException.check(CALLS.fcntl(file.number(), Constants.F_ADD_SEALS, seals), "seal");
  }

  @Test
  void shouldTrustOnlyMemoryThatIsSealed() {
    try (Descriptor file = memfd(0, 3 * 4096)) {
      FileStatus before = FileStatus.of(file);
      assertThat(before.length()).isEqualTo(3 * 4096);
      assertThat(before.writable()).isTrue();
      assertThat(before.lasting()).isFalse();
      seal(file);
      assertThat(FileStatus.of(file).lasting()).isTrue();
      assertThat(FileStatus.of(file).inode()).isEqualTo(before.inode());
    }
  }

  /** They are taken when they are touched first, and there may be none. */
  @Test
  void shouldNotTrustHugePagesThoughTheyAreSealed() {
    try (Descriptor file = memfd(MFD_HUGETLB, 1 << 21)) {
      seal(file);
      assertThat(FileStatus.of(file).lasting()).isFalse();
    }
  }

  @Test
  void shouldTellADescriptorThatOnlyReads() {
    try (Descriptor zero = Descriptor.open(CALLS, "/dev/zero", Constants.O_RDONLY)) {
      assertThat(FileStatus.of(zero).writable()).isFalse();
    }
  }
}
