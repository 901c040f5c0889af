// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.opentest4j.TestAbortedException;
import org.vfio4j.linux.iommu.Kernels;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.kernel.KernelVfio;

/** Back end {@code kernel}: the running kernel, raw. It must be QEMU's machine of section 11. */
public final class KernelBackend extends Backend {
  @Override
  public String name() {
    return "kernel";
  }

  @Override
  List<KernelProfile> kernels() {
    try {
      return List.of(Kernels.profile(Kernels.release()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  boolean explains() {
    return false;
  }

  @Override
  ScenarioBench open(KernelProfile kernel, boolean interruptRemapping) {
    KernelVfio.missing()
        .ifPresent(
            sentence -> {
              throw new TestAbortedException(sentence);
            });
    if (!interruptRemapping && remapsInterrupts()) {
      throw new TestAbortedException("needs the machine without interrupt remapping");
    }
    return new KernelBench(kernel);
  }

  private static boolean remapsInterrupts() {
    try {
      return Files.readString(Path.of("/proc/interrupts")).contains(" IR-");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
