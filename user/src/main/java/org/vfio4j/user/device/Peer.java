// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import org.vfio4j.posix.UnixSocket.Credentials;

/** The client of a session, as far as a device has to know it. Thread-safe. */
public interface Peer {
  /** The process at the other end, as of when it connected. */
  Credentials credentials();

  /** The name that the device is served under, for messages. */
  String device();

  /** The name under which its connection is kept for another process; empty if it is not. */
  String connection();

  /** DMA mappings that were agreed on with the version: more at a time are refused. */
  int maxMappings();

  /** What was agreed on with the version. */
  Agreed agreed();

  /** What its memory may take of this process. */
  MemoryLimits limits();

  /**
   * Memory that the client maps without a descriptor: each access is a message to the client. Its
   * calls wait for the client and must not come from the thread that calls the session.
   */
  RemoteMemory memory();

  /**
   * Disconnects the client. Returns at once; the session is closed later, by the thread that calls
   * it. May be called by any thread, also after the client has gone, which changes nothing.
   *
   * @param why told in the log and to who listens to the server's events, as in "broke its limit"
   */
  void disconnect(String why);

  /**
   * Gives back what may take for ever to give back, on a thread that the server does not wait for.
   * While it takes longer than a second nobody of the client's user gets a new connection. Returns
   * at once.
   *
   * @param what named in the log and by a server that is closed meanwhile
   */
  void later(String what, Runnable release);
}
