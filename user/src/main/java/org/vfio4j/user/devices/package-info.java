// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * Devices that come with vfio4j: a DMA engine that Linux has a driver for, and QEMU's edu.
 *
 * <p>Intel's DMA engine, for whoever connects:
 *
 * {@snippet :
 * try (Server server = Server.at(path).start(Ioat.create())) {
 *   server.join();
 * }
 * }
 */
@NullMarked
package org.vfio4j.user.devices;

import org.jspecify.annotations.NullMarked;
