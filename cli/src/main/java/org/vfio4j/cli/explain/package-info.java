// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * What a message means: pasted text becomes lines, a line becomes who speaks, which call on what,
 * and which errno; rules, which are data, say what is behind it. Knows nothing of the command line.
 */
@NullMarked
package org.vfio4j.cli.explain;

import org.jspecify.annotations.NullMarked;
