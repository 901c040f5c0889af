// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import java.util.List;
import org.vfio4j.profile.KernelProfile;

/** Back end {@code linux}: the engine on the running kernel's IOMMU. */
public final class LinuxBackend extends Backend {
  private final KernelBackend kernel = new KernelBackend();

  @Override
  public String name() {
    return "linux";
  }

  @Override
  List<KernelProfile> kernels() {
    return kernel.kernels();
  }

  @Override
  boolean explains() {
    return true;
  }

  @Override
  ScenarioBench open(KernelProfile profile, boolean interruptRemapping) {
    return new LinuxBench(profile, (KernelBench) kernel.open(profile, interruptRemapping));
  }
}
