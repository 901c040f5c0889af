// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** What a machine looks like, as values, and the readers that find out. */
module org.vfio4j.host {
  requires transitive org.vfio4j.core;
  requires transitive tools.jackson.core;
  requires static org.jspecify;

  exports org.vfio4j.host;
}
