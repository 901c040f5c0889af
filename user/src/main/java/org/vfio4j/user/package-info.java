// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * vfio-user: the protocol, server and client. A {@link org.vfio4j.user.Server} serves a {@link
 * org.vfio4j.user.device.ServedDevice} to one client after the other, a {@link
 * org.vfio4j.user.Client} uses a device that somebody serves.
 *
 * <p>What QEMU 11.1 sends, and so judges: VERSION (0.0), DMA_MAP with and without a descriptor,
 * DMA_UNMAP of more than was mapped, GET_INFO, GET_REGION_INFO, GET_IRQ_INFO, SET_IRQS with
 * eventfds and without data, REGION_READ, REGION_WRITE with and without a reply, RESET; it offers
 * REGION_WRITE_MULTI and takes DMA_READ and DMA_WRITE. What it does not send is held to the
 * protocol's text by our own client: version 0.1, GET_REGION_IO_FDS, SET_IRQS with booleans,
 * DEVICE_FEATURE and the messages of migration, which are answered that there is none.
 *
 * <p>Left out: a second socket for the server's commands (twin_socket), ioregionfds, migration, and
 * eventfds that mask or unmask an interrupt (EOPNOTSUPP; QEMU then does without).
 *
 * <p>A device, and somebody who uses it:
 *
 * {@snippet :
 * try (Server server = Server.at(path).start(Ioat.create());
 *     Client client = Client.connect(path)) {
 *   System.out.printf("vendor and device: %08x%n", client.read32(7, 0));
 * }
 * }
 */
@NullMarked
package org.vfio4j.user;

import org.jspecify.annotations.NullMarked;
