// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

/**
 * The reply that a process was about to send when it died. Whether it did nobody knows, unless the
 * command is still in the socket: then it did not.
 *
 * @param id of the command
 * @param command its number
 * @param errno that the client is answered; 0 if the command was done
 * @param early whether the command is not done yet: the client was told in time that it takes too
 *     long, and must not be told again
 */
public record LeftReply(int id, int command, int errno, boolean early) {}
