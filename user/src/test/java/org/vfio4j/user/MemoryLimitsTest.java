// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.Memfd;
import org.vfio4j.user.device.MemoryLimits;
import org.vfio4j.user.device.UserMemory;

/** What a client's memory may take of the process that serves it (B1, B5, B8). */
class MemoryLimitsTest extends Served {
  private static final long GIB = 1L << 30;
  private static final long TIB = 1L << 40;
  private static final long IOVA = 1L << 40;
  private static final int PAGE = 4096;

  private interface Limited {
    void run(Client client, UserMemory memory) throws Exception;
  }

  private void limited(MemoryLimits limits, Limited body) throws Exception {
    Path path = folder.resolve("s");
    try (ProbeDevice device = new ProbeDevice();
        Server _ = Server.at(path).limits(limits).start(device)) {
      try (Client client = Client.connect(path)) {
        body.run(client, Objects.requireNonNull(device.dma()));
      }
      assertThat(device.violation.get()).isEmpty();
    }
  }

  private static long addressSpace() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith("VmSize:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) << 10)
        .sum();
  }

  private static void checkReached(UserMemory memory, long iova) {
    memory.publish(iova, iova + 1);
    MemorySegment value = MemorySegment.ofArray(new long[1]);
    memory.read(iova, value, 0, Long.BYTES);
    assertThat(value.get(ValueLayout.JAVA_LONG, 0)).isEqualTo(iova + 1);
  }

  /** B1: 60 TiB of holes cost a client nothing, and must cost the server no more than is mapped. */
  @Test
  void shouldMapOnlyWhatIsUsedOfAFileThatIsTooLarge() throws Exception {
    limited(
        MemoryLimits.DEFAULT,
        (client, memory) -> {
          long before = addressSpace();
          try (Descriptor sealed = Memfd.sealed(CALLS, "60 TiB of holes", 60 * TIB);
              Descriptor unsealed = Memfd.create(CALLS, "and it may shrink", 60 * TIB)) {
            int n = 0;
            for (Descriptor file : List.of(sealed, unsealed)) {
              for (long offset : new long[] {0, 30 * TIB, 60 * TIB - PAGE, 2 * GIB - PAGE}) {
                client.map(IOVA + n * GIB, PAGE, BOTH, file, offset);
                checkReached(memory, IOVA + n * GIB);
                n++;
              }
            }
            assertThat(addressSpace() - before).isLessThan(12 * GIB);
            // The second GiB of a file is mapped already.
            client.map(IOVA + n * GIB, PAGE, BOTH, sealed, 2 * GIB - 2 * PAGE);
            checkReached(memory, IOVA + n * GIB);
            client.unmapAll();
            assertThat(addressSpace() - before).isLessThan(4 * GIB);
          }
        });
  }

  /** B1: beyond the limits the client is refused, and what it unmaps it may map again. */
  @Test
  void shouldRefuseMoreThanTheLimitsWithEnomem() throws Exception {
    limited(
        new MemoryLimits(4 * GIB, 3),
        (client, memory) -> {
          try (Descriptor large = Memfd.sealed(CALLS, "large", TIB);
              Descriptor small = Memfd.sealed(CALLS, "small", PAGE)) {
            int enomem = Errno.ENOMEM.number();
            refused(enomem, () -> client.map(IOVA, 5 * GIB, BOTH, large, 0));
            client.map(IOVA, 3 * GIB, BOTH, large, 0);
            refused(enomem, () -> client.map(2 * IOVA, 2 * GIB, BOTH, large, 3 * GIB));
            client.map(2 * IOVA, PAGE, BOTH, small, 0);
            refused(enomem, () -> client.map(3 * IOVA, PAGE, BOTH, large, 3 * GIB));
            client.unmap(IOVA, 3 * GIB);
            for (int n = 0; n < 2; n++) {
              client.map(IOVA + n * GIB, PAGE, BOTH, large, 2L * n * GIB);
            }
            refused(enomem, () -> client.map(3 * IOVA, PAGE, BOTH, large, 10 * GIB));
            client.map(3 * IOVA, PAGE, BOTH, large, GIB - PAGE);
            checkReached(memory, 3 * IOVA);
          }
        });
  }

  /** B5: a file is never as long as 2^63 bytes, whatever a message says. */
  @Test
  void shouldRefuseSizesAndOffsetsThatNoFileHas() throws Exception {
    limited(
        MemoryLimits.DEFAULT,
        (client, memory) -> {
          try (Descriptor file = Memfd.sealed(CALLS, "memory", MIB);
              Descriptor longest = Memfd.create(CALLS, "the longest", Long.MAX_VALUE)) {
            int efault = Errno.EFAULT.number();
            for (Descriptor of : List.of(file, longest)) {
              refused(efault, () -> client.map(0, PAGE, BOTH, of, Long.MIN_VALUE));
              refused(efault, () -> client.map(0, PAGE, BOTH, of, -PAGE));
              refused(efault, () -> client.map(0, Long.MIN_VALUE, BOTH, of, 0));
              refused(efault, () -> client.map(0, -PAGE, BOTH, of, PAGE));
              refused(efault, () -> client.map(0, Long.MAX_VALUE & -PAGE, BOTH, of, 2 * PAGE));
            }
            assertThat(memory.mappings()).isZero();
            // 2^63 when it is rounded up to pages.
            client.map(IOVA, PAGE, BOTH, longest, 0);
            checkReached(memory, IOVA);
          }
        });
  }

  /** B8: a crash of the server must not write a guest's memory to a disk. */
  @Test
  void shouldKeepMemoryOutOfCoreDumps() throws Exception {
    limited(
        MemoryLimits.DEFAULT,
        (client, _) -> {
          try (Descriptor file = Memfd.sealed(CALLS, "not to be dumped", MIB)) {
            client.map(IOVA, MIB, BOTH, file, 0);
            List<String> maps = Files.readAllLines(Path.of("/proc/self/smaps"));
            int at = 0;
            while (!maps.get(at).contains("memfd:not to be dumped")) {
              at++;
            }
            while (!maps.get(at).startsWith("VmFlags:")) {
              at++;
            }
            assertThat(List.of(maps.get(at).split(" "))).contains("dd");
          }
        });
  }

  @Test
  void shouldRefuseLimitsThatMakeNoSense() {
    assertThatThrownBy(() -> new MemoryLimits(0, 1)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new MemoryLimits(1, 0)).isInstanceOf(IllegalArgumentException.class);
  }
}
