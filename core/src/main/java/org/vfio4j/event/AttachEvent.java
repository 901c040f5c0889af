// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.event;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** An attach of a VFIO group, with the replay of what is mapped. */
@Name("org.vfio4j.Attach")
@Label("Attach")
@Category("vfio4j")
@Description("A VFIO group was attached to a container, or refused")
@StackTrace(false)
public final class AttachEvent extends Event {
  /** The name of the container. */
  @Label("Container")
  public String container = "";

  /** The number of the group. */
  @Label("Group")
  public int group;

  /** The errno that it was refused with; empty for an attach that succeeded. */
  @Label("Refused")
  public String refused = "";
}
