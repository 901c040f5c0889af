// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** HTTP and JSON on Unix sockets: both ends. */
module org.vfio4j.api {
  requires org.eclipse.jetty.client;
  requires org.eclipse.jetty.server;
  requires org.eclipse.jetty.unixdomain.server;
  requires transitive tools.jackson.databind;
  requires jdk.net;
  requires static org.jspecify;

  exports org.vfio4j.api;
}
