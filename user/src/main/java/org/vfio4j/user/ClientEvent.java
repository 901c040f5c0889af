// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A client that came or went, for Flight Recorder. */
@Name("org.vfio4j.user.Client")
@Label("vfio-user Client")
@Description("A client of a served device came, went, or was turned away")
@Category({"vfio4j", "vfio-user"})
@StackTrace(false)
final class ClientEvent extends Event {
  @Label("Device")
  String device = "";

  @Label("What")
  @Description("connected, disconnected, waiting, refused, abandoned")
  String what = "";

  @Label("Process")
  int pid;

  @Label("User")
  int uid;

  @Label("Why")
  String why = "";
}
