// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.event;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.MemoryAddress;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/** An unmap that succeeded, with the wait for drivers that had pinned pages. */
@Name("org.vfio4j.DmaUnmap")
@Label("DMA Unmap")
@Category("vfio4j")
@Description("Memory was unmapped")
@StackTrace(false)
public final class DmaUnmapEvent extends Event {
  /** The name of the container. */
  @Label("Container")
  public String container = "";

  /** The first address of the range. */
  @Label("IOVA")
  @MemoryAddress
  public long iova;

  /** How much was mapped in the range. */
  @Label("Bytes")
  @DataAmount
  public long bytes;

  /** How long drivers took to give up what they had pinned, in nanoseconds. */
  @Label("Waited")
  @Timespan
  public long waited;
}
