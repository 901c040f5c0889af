// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import org.junit.jupiter.api.AfterEach;
import org.vfio4j.profile.KernelProfile;

/** A scenario of the user API: a machine before it, and no trace of it on the machine after it. */
abstract class ApiScenario extends EachKernel {
  static final long KIB = 1024;
  static final long PAGE = 4096;

  /** Where most scenarios map, and how much: 64 KiB. */
  static final long IOVA = 0x100000;

  static final long SIZE = 0x10000;

  /** The machine. */
  final ScenarioBench bench;

  /** The first process on it. */
  final User vm;

  ApiScenario(KernelProfile kernel) {
    super(kernel);
    this.bench = ScenarioBench.open(kernel);
    this.vm = bench.process("vm");
  }

  @AfterEach
  void leavesNoTrace() {
    bench.close();
  }

  /** A container of type 3 that the groups of these devices are in. */
  final int containerOf(User user, String... devices) {
    int c = user.container();
    for (String device : devices) {
      user.set(user.group(device), c);
    }
    user.iommu(c);
    return c;
  }
}
