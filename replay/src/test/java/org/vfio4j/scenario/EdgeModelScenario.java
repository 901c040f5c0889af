// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.Container;

/**
 * The edges of rows M, E and G of kernel.md section 10 begin with a function, a plain mediated
 * device and a container.
 */
abstract class EdgeModelScenario extends ModelScenario {
  final Function fa = Function.pci("A");
  final IommuGroup a = group(fa);
  final IommuGroup plain = mdev(Isolation.PLAIN);
  final Container c = container("c");

  EdgeModelScenario(KernelProfile kernel) {
    super(kernel);
  }

  static MemorySegment pages(int count, int value) {
    MemorySegment made = Arena.ofAuto().allocate(count * PAGE, PAGE);
    return made.fill((byte) value);
  }

  void withPlain() {
    c.attach(plain);
    c.onUnmap(plain, (iova, size) -> c.unpinAll(plain, iova, size));
  }
}
