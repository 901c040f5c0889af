// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * Op scripts: scenarios written as a user of VFIO would live them.
 *
 * <p>The calls of a VMM that takes a group, and what each answers:
 *
 * {@snippet :
 * OpScript script =
 *     OpScript.parse(
 *         "first.vt",
 *         """
 *         case first
 *         c = cont
 *         g = grp 0000:01:00.0
 *         setcont $g $c
 *         setiommu $c 3
 *         """);
 * SoftMachine machine = new SoftMachine(KernelProfile.DEFAULT);
 * machine.addFunction(
 *     SoftFunction.endpoint("0000:01:00.0", 0x8086, 0x1521),
 *     Optional.of(machine.addGroup(1, IommuUnit.VT_D, List.of())));
 * machine.bind("0000:01:00.0", "vfio-pci");
 * try (SoftEnvironment vmm = new SoftEnvironment(machine, "vmm")) {
 *   new Replay("first.vt", script, vmm, System.out::println).run();
 * }
 * }
 */
@NullMarked
package org.vfio4j.replay;

import org.jspecify.annotations.NullMarked;
