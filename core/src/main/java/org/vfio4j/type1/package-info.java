// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * The type1 IOMMU driver of VFIO: containers' domains, the one attachment list, DMA mappings.
 *
 * <p>A container takes a group; another is refused it until the first lets go:
 *
 * {@snippet :
 * container.attach(group);
 * AddressSpace process = new AddressSpace();
 * long address = process.place(Arena.ofAuto().allocate(0x1000, 0x1000));
 * container.map(process, address, 0x10000, 0x1000, Container.MAP_READ | Container.MAP_WRITE);
 * container.unmap(process, 0x10000, 0x1000);
 * container.detach(group);
 * }
 */
@NullMarked
package org.vfio4j.type1;

import org.jspecify.annotations.NullMarked;
