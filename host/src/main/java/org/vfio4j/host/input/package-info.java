// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * Input that cannot be used, and where in it the fault is: file, line and field.
 *
 * {@snippet :
 * try {
 *   org.vfio4j.host.HostSource.read(java.nio.file.Path.of("here.json"));
 * } catch (BadInputException e) {
 *   System.err.println(e.source() + ", line " + e.line() + ": " + e.getMessage());
 * }
 * }
 */
@NullMarked
package org.vfio4j.host.input;

import org.jspecify.annotations.NullMarked;
