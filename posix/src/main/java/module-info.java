// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * System calls of Linux through FFM, and what they hand out: descriptors, memory, eventfds, sockets
 * that carry descriptors. It knows nothing of VFIO.
 */
module org.vfio4j.posix {
  requires static org.jspecify;

  exports org.vfio4j.posix;
}
