// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.util.OptionalLong;
import org.vfio4j.posix.EventFd;

/**
 * A place in a region where a write is no more than a signal: a user that can (KVM with an
 * ioeventfd) signals the eventfd and sends no message. Others write as anywhere else, so the device
 * must do the same for both.
 *
 * @param offset bytes into the region
 * @param size bytes of the write; 0 for any size
 * @param value what has to be written; absent for anything
 * @param eventFd stays the device's, which keeps it open while it is served
 */
public record WriteSignal(long offset, long size, OptionalLong value, EventFd eventFd) {}
