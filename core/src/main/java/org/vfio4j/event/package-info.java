// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * What can be watched: events of the JDK's Flight Recorder, by names {@code org.vfio4j.*}, and
 * {@link org.vfio4j.event.Events}, on which metrics can be built.
 *
 * <p>{@code java -XX:StartFlightRecording:filename=run.jfr ...}, then {@code jfr print --events
 * 'org.vfio4j.*' run.jfr} shows what was attached, mapped and refused, and how long it took.
 */
@NullMarked
package org.vfio4j.event;

import org.jspecify.annotations.NullMarked;
