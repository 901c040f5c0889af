// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package consumer;

import java.nio.file.Path;
import org.vfio4j.user.Client;
import org.vfio4j.user.Server;
import org.vfio4j.user.devices.Ioat;

/** Serves a PCI device over vfio-user, and asks it who it is. Argument: the socket's path. */
final class ServeDevice {
  public static void main(String[] arguments) {
    // @start region="readme"
    Path socket = Path.of(arguments[0]);
    try (Server server = Server.at(socket).start(Ioat.create());
        Client vmm = Client.connect(server.path())) { // QEMU would be another
      int configSpace = 7;
      int identity = vmm.read32(configSpace, 0);
      System.out.printf("%s: %04x:%04x%n", socket, identity & 0xffff, identity >>> 16);
    }
    // @end
  }
}
