// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.file.Path;
import org.vfio4j.assign.BuiltIn;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.assign.Mode;
import org.vfio4j.assign.Serving.Handling;

/**
 * A device that a VM is to get, and the socket where its VMM finds it.
 *
 * @param socket absolute
 * @param source what is served there
 */
record Plug(Path socket, Source source) {

  /** What is behind a socket. */
  sealed interface Source {
    /** How messages name it. */
    String name();
  }

  /**
   * A function of this machine.
   *
   * @param address as the kernel writes it
   * @param wrapped whether a mediated device of ours that wraps it
   */
  record Function(String address, boolean wrapped, Handling handling) implements Source {
    @Override
    public String name() {
      return (wrapped ? Mode.WRAPPED.key() + " " : "") + address;
    }
  }

  /** A device of ours. */
  record Own(BuiltIn device) implements Source {
    @Override
    public String name() {
      return device.word();
    }
  }

  /** A device of ours for one of a machine that is not this one. */
  record StandIn(BuiltIn device, DeviceRequest wanted) implements Source {
    @Override
    public String name() {
      return "%s in place of %s".formatted(device.word(), wanted);
    }
  }
}
