// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import java.util.List;
import java.util.ServiceLoader;
import org.vfio4j.profile.KernelProfile;

/**
 * What the scenarios run on; {@code -Dvfio4j.backend} names it. Other modules offer theirs as
 * services.
 */
public abstract class Backend {
  /** For the service loader. */
  protected Backend() {}

  /** Its name. */
  public abstract String name();

  /** The kernels it can be. */
  abstract List<KernelProfile> kernels();

  /** Whether a refusal of it says more than an errno. */
  abstract boolean explains();

  /** The machine, drivers as in kernel.md section 11. */
  abstract ScenarioBench open(KernelProfile kernel, boolean interruptRemapping);

  /** The chosen one. */
  static Backend chosen() {
    String wanted = System.getProperty("vfio4j.backend", "soft");
    if (wanted.equals("soft")) {
      return new Soft();
    }
    return ServiceLoader.load(Backend.class).stream()
        .map(ServiceLoader.Provider::get)
        .filter(b -> b.name().equals(wanted))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no back end " + wanted));
  }

  /** The engine. */
  private static final class Soft extends Backend {
    @Override
    public String name() {
      return "soft";
    }

    @Override
    List<KernelProfile> kernels() {
      return EachKernel.profiles();
    }

    @Override
    boolean explains() {
      return true;
    }

    @Override
    ScenarioBench open(KernelProfile kernel, boolean interruptRemapping) {
      return new SoftBench(kernel, interruptRemapping);
    }
  }
}
