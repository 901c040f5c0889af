// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * What a machine looks like, as values: PCI functions, IOMMU groups, mediated devices, and what is
 * known of the IOMMU. {@link org.vfio4j.host.HostSource} reads them from a live machine or from a
 * capture of one; {@link org.vfio4j.host.CaptureWriter} writes the project's own capture.
 *
 * <p>What a source does not say stays unknown: {@link java.util.Optional#empty()} or {@link
 * org.vfio4j.host.Fact.Unknown}, never a default.
 *
 * <p>What shares a group with what:
 *
 * {@snippet :
 * HostTopology machine = HostSource.live();
 * for (HostGroup one : machine.groups()) {
 *   System.out.println("group " + one.id() + ": " + one.members());
 * }
 * }
 */
@NullMarked
package org.vfio4j.host;

import org.jspecify.annotations.NullMarked;
