// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

/**
 * A message of a log, out of its wrappers.
 *
 * @param number of the line that it stood in, from 1
 * @param raw that line as it was, without control characters
 * @param text the message: without time stamps, quotes, JSON and the like
 */
public record LogLine(int number, String raw, String text) {}
