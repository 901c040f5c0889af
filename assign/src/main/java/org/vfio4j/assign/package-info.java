// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * The answer before the failure. A {@link org.vfio4j.assign.Request} says which VM gets which
 * devices of a host; {@link org.vfio4j.assign.Check} runs it on the engine, step by step as QEMU
 * would, and gives a {@link org.vfio4j.assign.Verdict}.
 *
 * <p>Whether a VM can have a device of this machine:
 *
 * {@snippet :
 * Request request =
 *     RequestReader.read(
 *         "vms.yaml",
 *         """
 *         host: linux
 *         vms:
 *           web:
 *             devices:
 *               - 0000:05:00.0
 *         """);
 * Verdict verdict = Check.verdict(request, HostSource.live(), Options.DEFAULT);
 * if (!verdict.admitted()) {
 *   verdict
 *       .devices()
 *       .flatMap(device -> device.refusal().stream())
 *       .forEach(refusal -> System.out.println(refusal.message() + " → " + refusal.fixes()));
 * }
 * }
 */
@NullMarked
package org.vfio4j.assign;

import org.jspecify.annotations.NullMarked;
