// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.util.Optional;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.SystemCalls;

/** An emulated device whose sessions another process can go on with. */
final class LastingDevice implements ServedDevice {
  private final EmulatedDevice device;
  private final Keeping keeping;
  private Optional<LeftSession> left;

  /**
   * Where sessions are kept.
   *
   * @param calls which make what is kept
   * @param name of the server
   */
  record Keeping(SystemCalls calls, KeptDescriptors kept, String name) {}

  /**
   * Takes over what another process has left of it.
   *
   * @throws SessionFile.LaterException if a later version has left it
   */
  LastingDevice(EmulatedDevice device, Keeping keeping) {
    this.device = device;
    this.keeping = keeping;
    left = LeftSession.take(keeping.kept(), keeping.name(), device.form());
  }

  @Override
  public DeviceSession attach(Peer peer) {
    return new LastingSession(device, keeping, peer);
  }

  @Override
  public Optional<LeftClient> left() {
    return left.map(LeftSession::client);
  }

  @Override
  public DeviceSession resume(Peer peer) {
    boolean done = false;
    try {
      DeviceSession session = new LastingSession(device, keeping, peer, left.orElseThrow());
      left = Optional.empty();
      done = true;
      return session;
    } finally {
      if (!done) {
        lost();
      }
    }
  }

  @Override
  public void lost() {
    left.ifPresent(LeftSession::close);
    left = Optional.empty();
  }

  @Override
  public String toString() {
    return device.toString();
  }
}
