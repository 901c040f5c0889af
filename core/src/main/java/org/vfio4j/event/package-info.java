// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * What can be watched: events of the JDK's Flight Recorder, by names {@code org.vfio4j.*}, and
 * {@link org.vfio4j.event.Events}, on which metrics can be built.
 *
 * <p>{@code java -XX:StartFlightRecording:filename=run.jfr ...}, then {@code jfr print --events
 * 'org.vfio4j.*' run.jfr} shows what was attached, mapped and refused, and how long it took.
 *
 * <p>A counter of mapped bytes, given to the constructor of {@link org.vfio4j.type1.Container}:
 *
 * {@snippet :
 * var bytesMapped = new java.util.concurrent.atomic.LongAdder();
 * Events events =
 *     new Events() {
 *       @Override
 *       public void mapped(String container, long iova, long bytes, long nanos) {
 *         bytesMapped.add(bytes);
 *       }
 *     };
 * }
 */
@NullMarked
package org.vfio4j.event;

import org.jspecify.annotations.NullMarked;
