// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** The {@code vfio} command. */
module org.vfio4j.cli {
  requires info.picocli;
  requires org.vfio4j.api;
  requires org.vfio4j.assign;
  requires org.vfio4j.broker;
  requires org.vfio4j.linux;
  requires org.vfio4j.replay;
  requires org.slf4j;
  requires org.vfio4j.user;
  requires tools.jackson.core;
  requires static org.jspecify;

  exports org.vfio4j.cli;

  opens org.vfio4j.cli to
      info.picocli;
}
