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

/** An access of a device that nothing is mapped for. */
@Name("org.vfio4j.DmaFault")
@Label("DMA Fault")
@Category("vfio4j")
@Description("A device accessed what is not mapped for it")
@StackTrace(false)
public final class DmaFaultEvent extends Event {
  /** The name of the device. */
  @Label("Device")
  public String device = "";

  /** The first address. */
  @Label("IOVA")
  @MemoryAddress
  public long iova;

  /** How much was to be accessed. */
  @Label("Bytes")
  @DataAmount
  public long bytes;

  /** Whether nothing is mapped there, or not for that access. */
  @Label("Cause")
  public String cause = "";
}
