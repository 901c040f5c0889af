// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * Requests that people have already, in the forms of libvirt, Proxmox, QEMU and cloud-hypervisor,
 * read as {@link org.vfio4j.assign.Request}s, and written as what to put there. {@link
 * org.vfio4j.assign.request.RequestText} finds the form.
 */
@NullMarked
package org.vfio4j.assign.request;

import org.jspecify.annotations.NullMarked;
