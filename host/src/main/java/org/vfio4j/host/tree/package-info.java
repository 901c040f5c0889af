// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** JSON and YAML as values that know where they stand; for this project's own readers only. */
@NullMarked
package org.vfio4j.host.tree;

import org.jspecify.annotations.NullMarked;
