// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** What a machine looks like, as values, and the readers that find out. */
// The module for which a package is exported is compiled after this one.
@SuppressWarnings("module")
module org.vfio4j.host {
  requires transitive org.vfio4j.core;
  requires transitive tools.jackson.core;
  requires java.xml;
  requires static org.jspecify;

  exports org.vfio4j.host;
  exports org.vfio4j.host.input;
  exports org.vfio4j.host.tree to
      org.vfio4j.assign;
}
