// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.event;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A detach of a VFIO group. */
@Name("org.vfio4j.Detach")
@Label("Detach")
@Category("vfio4j")
@Description("A VFIO group left a container")
@StackTrace(false)
public final class DetachEvent extends Event {
  /** The name of the container. */
  @Label("Container")
  public String container = "";

  /** The number of the group. */
  @Label("Group")
  public int group;
}
