// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.nio.file.Path;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.user.Client;
import org.vfio4j.user.Server;

/** A VMM of a test: RAM in a file, and a connection for each of its devices. */
final class Guest implements AutoCloseable {
  static final long RAM = 16 << 20;
  static final int READ_WRITE = 3;

  final Descriptor ram = Memfd.create(SystemCalls.libc(), "ram", RAM);

  /** Plugs a device in as QEMU does: memory first, then GET_INFO. */
  Client plug(Server server) {
    Client client = Client.connect(server.path());
    boolean done = false;
    try {
      client.map(0, RAM, READ_WRITE, ram, 0);
      client.info();
      done = true;
      return client;
    } finally {
      if (!done) {
        client.close();
      }
    }
  }

  /** A device of a VM, served. */
  static Server serve(Path folder, Vm vm, String address, PassOptions options) {
    String name = "%s-%s.sock".formatted(vm, address.replace(':', '-'));
    return Server.at(folder.resolve(name)).start(vm.device(address, options));
  }

  /** A client has left before its device is given back. */
  static void awaitIdle(Broker broker) {
    while (broker.state().vms().stream()
        .flatMap(v -> v.devices().stream())
        .anyMatch(d -> d.phase() != BrokerState.Phase.IDLE)) {
      Thread.onSpinWait();
    }
  }

  @Override
  public void close() {
    ram.close();
  }
}
