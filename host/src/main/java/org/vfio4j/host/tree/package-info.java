// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * JSON and YAML as values that know where they stand; for this project's own readers only.
 *
 * {@snippet :
 * Tree.Obj root =
 *     new Tree.Obj(
 *         new org.vfio4j.host.input.Position("a.json", 1, 1, java.util.Optional.empty(), ""),
 *         java.util.Map.of());
 * root.only(java.util.Set.of("host", "vms")); // BadInputException, with the place, for any other
 * }
 */
@NullMarked
package org.vfio4j.host.tree;

import org.jspecify.annotations.NullMarked;
