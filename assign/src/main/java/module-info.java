// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** The request, which VM gets what, and the verdict: what will happen, why, and what to change. */
module org.vfio4j.assign {
  requires transitive org.vfio4j.core;
  requires transitive org.vfio4j.host;
  requires tools.jackson.core;
  requires tools.jackson.dataformat.yaml;
  requires java.xml;
  requires static org.jspecify;

  exports org.vfio4j.assign;
  exports org.vfio4j.assign.request;
}
