// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** vfio-user: the protocol, server and client. */
@NullMarked
package org.vfio4j.user;

import org.jspecify.annotations.NullMarked;
