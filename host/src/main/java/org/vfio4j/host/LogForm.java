// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.OptionalDouble;

/** Lines of a kernel log, with the time stamps of dmesg or of a journal, or without. */
final class LogForm implements TextForm {

  private final SaysNothing saysNothing;

  LogForm(SaysNothing saysNothing) {
    this.saysNothing = saysNothing;
  }

  @Override
  public boolean take(TextLine line, TextReading reading) {
    String text = line.text();
    if (!LogLines.accepts(text)) {
      return false;
    }
    if (LogLines.namesDevice(text)) {
      reading.forgetKernelLabel();
    }
    OptionalDouble stamp = LogLines.stamp(text);
    TextSection section = reading.section();
    if (section.restartsLog(text, stamp)) {
      section = reading.startSection("boot");
    }
    int options = text.indexOf("ommand line: ");
    if (options >= 0 && text.contains("=")) {
      section.commandLine(text.substring(options + "ommand line: ".length()));
    }
    boolean taken = section.addLogLine(text, stamp, reading.here());
    if (LogLines.isCut(text)) {
      reading.lost(line, Loss.Reason.CUT);
    } else if (!taken && saysNothing.loses(line)) {
      reading.lost(line, Loss.Reason.NOT_READ);
    }
    return true;
  }
}
