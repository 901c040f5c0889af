// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

/**
 * What no call refuses and people run into all the same.
 *
 * @param vm the VM
 * @param device what it asks for
 * @param kind what it is about
 * @param message what happens and what to do, in a sentence or two
 */
public record Warning(String vm, DeviceRequest device, Kind kind, String message) {
  /** What a warning is about. */
  public enum Kind {
    /** The device cannot be reset without others. */
    NO_RESET("no-reset"),
    /** Virtual functions go with the driver of their physical function. */
    VIRTUAL_FUNCTIONS_GO("virtual-functions-go"),
    /** The device does not answer. */
    NO_ANSWER("no-answer"),
    /** The firmware's framebuffer may keep a BAR of the boot GPU. */
    BOOT_FRAMEBUFFER("boot-framebuffer"),
    /** A driver of the host takes the device first at each boot. */
    TAKEN_AT_BOOT("taken-at-boot"),
    /** mdevctl starts what it has of the function at each boot, or tries to. */
    STARTED_AT_BOOT("started-at-boot");

    private final String word;

    Kind(String word) {
      this.word = word;
    }

    /** The word for it in a verdict. */
    public String word() {
      return word;
    }
  }
}
