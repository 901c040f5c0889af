// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** Drivers of PCI functions: handing functions to VFIO and giving them back to whoever had them. */
@NullMarked
package org.vfio4j.linux.bind;

import org.jspecify.annotations.NullMarked;
