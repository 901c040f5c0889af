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

/** A map that succeeded, with the pinning. */
@Name("org.vfio4j.DmaMap")
@Label("DMA Map")
@Category("vfio4j")
@Description("Memory was mapped for devices")
@StackTrace(false)
public final class DmaMapEvent extends Event {
  /** The name of the container. */
  @Label("Container")
  public String container = "";

  /** The first address that devices find it at. */
  @Label("IOVA")
  @MemoryAddress
  public long iova;

  /** How much was mapped. */
  @Label("Bytes")
  @DataAmount
  public long bytes;
}
