// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.user.device.Pci;

/** A client of another server in the process that is attacked, which must not notice. */
final class HostileNeighbour implements AutoCloseable {
  private static final long SIZE = 1 << 16;

  private final ProbeDevice device = new ProbeDevice();
  private final Server server;
  private final Client client;
  private final Descriptor file = Memfd.create(SystemCalls.libc(), "neighbour", SIZE);
  private long rounds;

  HostileNeighbour(Path path) {
    server = Server.at(path).start(device);
    client = Client.connect(path);
  }

  /** Writes, maps, reads, unmaps. */
  void round() {
    client.write64(Pci.BAR0, 0x1000, rounds);
    client.map(rounds << 20, SIZE, 3, file, 0);
    assertThat(client.read64(Pci.BAR0, 0x1000)).isEqualTo(rounds);
    client.unmap(rounds << 20, SIZE);
    rounds++;
  }

  long rounds() {
    return rounds;
  }

  void check() {
    assertThat(device.violation.get()).isEmpty();
    assertThat(device.attaches.get()).isEqualTo(1);
    assertThat(device.detaches.get()).isZero();
    assertThat(rounds).isPositive();
  }

  @Override
  public void close() {
    client.close();
    file.close();
    server.close();
    device.close();
  }
}
