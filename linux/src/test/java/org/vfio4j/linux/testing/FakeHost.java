// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.linux.sysfs.LinuxDevice;
import org.vfio4j.linux.sysfs.Sysfs;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.mdev.MediatedGroup;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.testing.Q35;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/**
 * A machine without hardware on which {@code linux} runs as on a real one: QEMU's q35 with a {@link
 * FakeKernel}, and what its {@code /sys} shows.
 */
public final class FakeHost {
  /** Alone in its group, 1. */
  public static final String A = "0000:00:02.0";

  /** Alone in its group, 2. */
  public static final String B = "0000:00:03.0";

  /** Two in one group, 9. */
  public static final String R1 = "0000:00:0a.0";

  public static final String R2 = "0000:00:0a.1";

  /** In group 11, which is not viable: {@link #HOST_DRIVEN} is bound to e1000. */
  public static final String BESIDE_HOST_DRIVEN = "0000:02:01.0";

  public static final String HOST_DRIVEN = "0000:02:03.0";

  /** Without a driver of VFIO, in group 10. */
  public static final String WITHOUT_DRIVER = "0000:00:1f.2";

  private static final AtomicInteger NEXT_GROUP = new AtomicInteger(1_000);

  private final SoftMachine machine = Q35.machine(KernelProfile.LINUX_6_1);
  private final FakeKernel kernel = new FakeKernel(machine);
  private final FakeSysfs sysfs;

  /**
   * A machine that nobody uses.
   *
   * @param folder an empty one, for {@code /sys}
   */
  public FakeHost(Path folder) {
    sysfs = FakeSysfs.write(machine, folder);
  }

  /** The machine, to bind drivers of. */
  public SoftMachine machine() {
    return machine;
  }

  /** The kernel, as this process sees it. */
  public FakeKernel kernel() {
    return kernel;
  }

  /** In place of {@code /sys}. */
  public Path sys() {
    return sysfs.root();
  }

  /** The IOMMU of this host, as these calls reach it: the kernel's own, or something before it. */
  public LinuxIommu iommu(SystemCalls calls) {
    return new LinuxIommu(calls, new Sysfs(sys()));
  }

  /** An empty container of type1v2 on such an IOMMU. */
  public static Container container(String name, LinuxIommu iommu) {
    return new Container(name, iommu, KernelProfile.LINUX_6_1, Type1.V2, new Type1Parameters());
  }

  /** Binds a driver, {@code none} to unbind. */
  public void bind(String function, String driver) {
    if (driver.equals("none")) {
      machine.unbind(function);
    } else {
      machine.bind(function, driver);
    }
    sysfs.drivers();
  }

  /** Nothing is open, held, mapped or locked any more, and whoever comes next can have it all. */
  public void shouldBeAsNew() {
    assertThat(kernel.open()).as("containers, groups, devices and BARs that are open").isZero();
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
    assertThat(kernel.process().memory().lockedPages()).as("locked pages").isZero();
  }

  /** The VFIO group of a new wrapped device of a function: W(x). */
  public static IommuGroup wrapped(String function) {
    LinuxDevice parent = LinuxDevice.pci(function);
    return new MediatedGroup(
        NEXT_GROUP.getAndIncrement(),
        new MediatedDevice(
            UUID.randomUUID().toString(), "backed", parent, new Isolation.Backed(parent)));
  }
}
