// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * The broker: it owns functions of this machine through VFIO, has one container for each VM, and
 * serves each function to its VM over vfio-user. QEMU never opens {@code /dev/vfio}, and needs no
 * privilege.
 *
 * <p>A function is served whole or wrapped. Both are one user of the function's IOMMU group in the
 * VM's container: a second function of the group joins without touching the hardware, another VM is
 * refused with EBUSY, and the group goes with its last user.
 *
 * {@snippet :
 * try (Broker broker = Broker.ofThisMachine();
 *     Vm vm = broker.vm(VmSettings.of("web", 1L << 30));
 *     Server server =
 *         Server.at(Path.of("/run/web/nvme.sock"))
 *             .start(vm.device("0000:03:00.0", PassOptions.WRAPPED))) {
 *   server.join();
 * }
 * }
 */
@NullMarked
package org.vfio4j.broker;

import org.jspecify.annotations.NullMarked;
