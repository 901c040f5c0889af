// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import org.vfio4j.posix.UnixSocket.Credentials;

/** Writes who comes and goes to Flight Recorder, then tells who listens. */
final class RecordedEvents implements Server.Events {
  private final String device;
  private final Server.Events listener;

  RecordedEvents(String device, Server.Events listener) {
    this.device = device;
    this.listener = listener;
  }

  private void record(String what, int pid, int uid, String why) {
    ClientEvent event = new ClientEvent();
    if (event.shouldCommit()) {
      event.device = device;
      event.what = what;
      event.pid = pid;
      event.uid = uid;
      event.why = why;
      event.commit();
    }
  }

  private void record(String what, Credentials peer, String why) {
    record(what, peer.pid(), peer.uid(), why);
  }

  @Override
  public void connected(Credentials peer) {
    record("connected", peer, "");
    listener.connected(peer);
  }

  @Override
  public void disconnected(Credentials peer, String why) {
    record("disconnected", peer, why);
    listener.disconnected(peer, why);
  }

  @Override
  public void waiting(Credentials peer, Credentials before) {
    record("waiting", peer, "process %d comes first".formatted(before.pid()));
    listener.waiting(peer, before);
  }

  @Override
  public void refused(Credentials peer, String why) {
    record("refused", peer, why);
    listener.refused(peer, why);
  }

  @Override
  public void abandoned(String what) {
    record("abandoned", 0, 0, what);
    listener.abandoned(what);
  }
}
