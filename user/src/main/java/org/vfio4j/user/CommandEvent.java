// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Threshold;

/** A command that took long, for Flight Recorder: the client's processor waits for its answer. */
@Name("org.vfio4j.user.Command")
@Label("vfio-user Command")
@Description("A client's command that took longer than the threshold to serve and answer")
@Category({"vfio4j", "vfio-user"})
@StackTrace(false)
@Threshold("10 ms")
final class CommandEvent extends Event {
  /** Only asked whether anybody records: while nobody does, a command costs no object. */
  private static final CommandEvent ASKED = new CommandEvent();

  @Label("Device")
  String device = "";

  @Label("Client's Process")
  int pid;

  @Label("Command")
  String command = "";

  static boolean recorded() {
    return ASKED.isEnabled();
  }
}
