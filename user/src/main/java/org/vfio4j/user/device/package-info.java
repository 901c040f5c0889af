// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** Devices that a Java program implements: what a server asks of one, and what it may use. */
@NullMarked
package org.vfio4j.user.device;

import org.jspecify.annotations.NullMarked;
