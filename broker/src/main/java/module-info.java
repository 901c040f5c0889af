// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** Real functions for several VMs: one owner, one container for each VM, vfio-user sockets. */
module org.vfio4j.broker {
  requires transitive org.vfio4j.core;
  requires transitive org.vfio4j.linux;
  requires transitive org.vfio4j.posix;
  requires transitive org.vfio4j.user;
  requires static org.jspecify;

  exports org.vfio4j.broker;
}
