// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.opentest4j.TestAbortedException;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.profile.KernelProfile;

/** What scenarios say about kernels and refusals. */
abstract class EachKernel {
  /** The kernel whose answers are expected. */
  final KernelProfile kernel;

  EachKernel(KernelProfile kernel) {
    this.kernel = kernel;
  }

  static List<KernelProfile> profiles() {
    return List.of(
        KernelProfile.LINUX_5_10,
        KernelProfile.LINUX_6_1,
        KernelProfile.LINUX_6_12,
        KernelProfile.LINUX_7_2);
  }

  /** Those the back end can be. */
  static List<KernelProfile> kernels() {
    return Backend.chosen().kernels();
  }

  /** One column of a row: "5.10 | 6.1 | 6.12 | 7.2". */
  final <T> T byKernel(T on510, T on61, T on612, T on72) {
    return List.of(on510, on61, on612, on72).get(profiles().indexOf(kernel));
  }

  /** Whether groups are claimed when they enter a container (6.1 and later). */
  final boolean claims() {
    return byKernel(false, true, true, true);
  }

  /** Skips what kernel.md marks "mod" where there is no model. */
  static void needsModel(String why) {
    assumeTrue(Backend.chosen().name().equals("soft"), "only the model can: " + why);
  }

  /**
   * The call is refused with this errno; what else is known of it is returned. What the back end
   * cannot do it may skip, here too.
   */
  static VfioException refused(Errno errno, ThrowingCallable call) {
    Throwable thrown = catchThrowable(call);
    if (thrown instanceof TestAbortedException skipped) {
      throw skipped;
    }
    if (!(thrown instanceof VfioException refused)) {
      throw new AssertionError("should be refused with %s".formatted(errno), thrown);
    }
    assertThat(refused.errno()).as(refused.getMessage()).isEqualTo(errno);
    return refused;
  }

  /** The same; where the back end tells more than the errno, with this reason. */
  static void refused(Errno errno, Reason reason, ThrowingCallable call) {
    VfioException refused = refused(errno, call);
    if (Backend.chosen().explains()) {
      assertThat(refused.reason()).as(refused.getMessage()).isEqualTo(reason);
    }
  }
}
