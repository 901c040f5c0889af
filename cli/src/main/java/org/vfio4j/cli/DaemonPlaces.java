// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * Where a daemon and those that ask it meet, where nobody says otherwise: what systemd has made for
 * it, the places of the system for root, and a user's own for others.
 */
record DaemonPlaces(Map<String, String> environment, boolean root) {
  private static final String NAME = "vfio4j";

  static DaemonPlaces ofThisProcess() {
    return new DaemonPlaces(System.getenv(), "root".equals(System.getProperty("user.name")));
  }

  private Optional<String> set(String variable) {
    // Of several folders systemd names the first first.
    return Optional.ofNullable(environment.get(variable))
        .map(v -> v.split(":", 2)[0])
        .filter(v -> !v.isEmpty());
  }

  /** The folder of the sockets, of the VMs' and of the daemon's own; empty if there is none. */
  Optional<Path> sockets() {
    Optional<Path> made = set("RUNTIME_DIRECTORY").map(Path::of);
    Optional<Path> own =
        root
            ? Optional.of(Path.of("/run", NAME))
            : set("XDG_RUNTIME_DIR").map(folder -> Path.of(folder, NAME));
    return made.or(() -> own);
  }

  /** Where a daemon answers, in the folder of the sockets. */
  static Path socket(Path folder) {
    return folder.resolve("daemon.sock");
  }

  /** Where to ask: at one's own daemon, or at the system's where that is the only one. */
  Optional<Path> answering() {
    Path system = socket(Path.of("/run", NAME));
    return set("VFIO_SOCKET")
        .map(Path::of)
        .or(() -> sockets().map(DaemonPlaces::socket).filter(java.nio.file.Files::exists))
        .or(() -> Optional.of(system));
  }

  /** The folder of what is to last. */
  Path state() {
    return set("STATE_DIRECTORY")
        .map(Path::of)
        .orElseGet(
            () ->
                root
                    ? Path.of("/var/lib", NAME)
                    : set("XDG_STATE_HOME")
                        .map(Path::of)
                        .orElse(Path.of(System.getProperty("user.home"), ".local/state"))
                        .resolve(NAME));
  }
}
