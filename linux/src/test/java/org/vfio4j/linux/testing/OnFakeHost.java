// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.posix.testing.OpenDescriptors;
import org.vfio4j.type1.Container;

/**
 * Tests on a fake host whose calls are counted: each must leave it, and this process, as it was.
 */
public abstract class OnFakeHost {
  @TempDir protected Path folder;

  protected FakeHost host;
  protected CountingSystemCalls calls;
  protected LinuxIommu iommu;
  private Set<String> before = Set.of();

  /** A host as new for each test. */
  @BeforeEach
  public final void boot() throws Exception {
    before = OpenDescriptors.now();
    host = new FakeHost(folder);
    calls = new CountingSystemCalls(host.kernel());
    iommu = host.iommu(calls);
  }

  /** Nothing is held, mapped or open any more. */
  @AfterEach
  public final void shouldLeaveNothing() throws Exception {
    host.shouldBeAsNew();
    assertThat(OpenDescriptors.now()).isEqualTo(before);
  }

  /** An empty container on the host's IOMMU. */
  protected final Container container(String name) {
    return FakeHost.container(name, iommu);
  }

  /** The group of a function. */
  protected final IommuGroup group(String function) {
    return iommu.groupOf(function).orElseThrow();
  }

  /** What a call is refused with. */
  protected static VfioException refusal(Runnable call) {
    return catchThrowableOfType(VfioException.class, call::run);
  }
}
