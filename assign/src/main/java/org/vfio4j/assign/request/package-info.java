// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * Requests that people have already, in the forms of libvirt, Proxmox, QEMU and cloud-hypervisor,
 * read as {@link org.vfio4j.assign.Request}s, and written as what to put there. {@link
 * org.vfio4j.assign.request.RequestText} finds the form.
 *
 * <p>Whether a VM of Proxmox can have its devices, and the same VM for libvirt:
 *
 * {@snippet :
 * HostTopology host = HostSource.live();
 * Request request = RequestText.of("100.conf", "memory: 4096\nhostpci0: 0000:01:00.0\n").read(host);
 * System.out.println(Check.verdict(request, host, Options.DEFAULT).admitted());
 * System.out.println(Written.LIBVIRT.text(request, host));
 * }
 */
@NullMarked
package org.vfio4j.assign.request;

import org.jspecify.annotations.NullMarked;
