// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** vfio-user: the protocol, server and client, and PCI devices written in Java. */
module org.vfio4j.user {
  requires transitive org.vfio4j.core;
  requires transitive org.vfio4j.posix;
  requires jdk.jfr;
  requires tools.jackson.core;
  requires static org.jspecify;

  exports org.vfio4j.user;
  exports org.vfio4j.user.device;
  exports org.vfio4j.user.devices;
  exports org.vfio4j.user.wire;
}
