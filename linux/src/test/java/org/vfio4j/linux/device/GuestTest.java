// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.linux.testing.Bound;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.OpenDescriptors;

/** A test in the guest of kernel-bench, which must leave the process as it was. */
abstract class GuestTest {
  static final String EDU = "0000:00:02.0";
  static final String PAIR = "0000:00:0a.0";
  static final String OTHER = "0000:00:0a.1";
  static final IovaRange REACH = IovaRange.ofWidth(28);

  Set<String> before = Set.of();
  long lockedBefore;

  @BeforeEach
  void onlyInTheBench() throws Exception {
    assumeTrue(Bound.possible(), "needs VFIO and an edu device: kernel-bench/run");
    before = OpenDescriptors.now();
    lockedBefore = new LockedMemory(Path.of("/proc"), SystemCalls.libc()).bytes();
  }

  @AfterEach
  void shouldLeaveNothing() throws Exception {
    if (Bound.possible()) {
      assertThat(OpenDescriptors.now()).isEqualTo(before);
      assertThat(new LockedMemory(Path.of("/proc"), SystemCalls.libc()).bytes())
          .isEqualTo(lockedBefore);
    }
  }
}
