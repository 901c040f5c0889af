// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * What more than one package reads of sysfs. Not exported: it is how they ask, not what they say.
 */
@NullMarked
package org.vfio4j.linux.sysfs;

import org.jspecify.annotations.NullMarked;
