// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.vfio4j.user.device.DmaSource;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.device.ServedDevice;
import org.vfio4j.user.device.UserMemory;

/** Several threads of a client and of a device at once, and what each may rely on (B4, B6). */
class ConcurrentClientTest extends Served {
  private static final int ROUNDS = 40;
  private static final long IOVA = 0x10_0000;

  /**
   * B6: reads and writes of 1 MiB fill the socket both ways. Who sends must not keep the thread
   * that reads from taking replies, or both sides wait for the other to read.
   */
  @Test
  void shouldHaveLargeCommandsOfManyThreadsUnderWay() throws Exception {
    served(
        (client, device) -> {
          int most = client.maxTransfer();
          MemorySegment memory = arena.allocate(MIB, 4096);
          client.map(IOVA, memory, BOTH);
          UserMemory space = Objects.requireNonNull(device.dma());
          ExecutorService threads = Executors.newCachedThreadPool();
          try {
            List<Future<?>> all = new ArrayList<>();
            for (int n = 0; n < 3; n++) {
              MemorySegment bytes = MemorySegment.ofArray(new byte[most]);
              all.add(threads.submit(() -> repeat(() -> client.read(0, 0, bytes, 0, most))));
              all.add(
                  threads.submit(() -> repeat(() -> client.write(0, 0x100000, bytes, 0, most))));
            }
            MemorySegment own = MemorySegment.ofArray(new byte[(int) MIB]);
            all.add(threads.submit(() -> repeat(() -> space.read(IOVA, own, 0, MIB))));
            all.add(threads.submit(() -> repeat(() -> space.write(IOVA, own, 0, MIB))));
            for (Future<?> one : all) {
              one.get(40, TimeUnit.SECONDS);
            }
          } finally {
            threads.shutdownNow();
          }
        });
  }

  private static void repeat(Runnable operation) {
    for (int n = 0; n < ROUNDS; n++) {
      operation.run();
    }
  }

  /**
   * B4: only the thread that opened a confined arena can touch it, not the one that reads replies.
   */
  @Test
  void shouldReadRemoteMemoryIntoASegmentOfTheCallersThreadOnly() throws Exception {
    served(
        (client, device) -> {
          MemorySegment memory = arena.allocate(2 * MIB, 4096);
          memory.fill((byte) 7);
          client.map(IOVA, memory, BOTH);
          UserMemory space = Objects.requireNonNull(device.dma());
          try (Arena confined = Arena.ofConfined()) {
            MemorySegment own = confined.allocate(2 * MIB);
            space.read(IOVA, own, 0, 2 * MIB);
            assertThat(own.mismatch(memory)).isEqualTo(-1);
            own.fill((byte) 9);
            space.write(IOVA, own, 0, 2 * MIB);
            assertThat(own.mismatch(memory)).isEqualTo(-1);
          }
          client.write32(Pci.BAR0, 0x1000, 5);
          assertThat(client.read32(Pci.BAR0, 0x1000)).as("still connected").isEqualTo(5);
        });
  }

  /** B6: the device may use memory as soon as the server has it, before the client is answered. */
  @Test
  void shouldAnswerForMemoryBeforeItsMappingIsAnswered() throws Exception {
    Path path = folder.resolve("s");
    byte[] seen = new byte[4096];
    CompletableFuture<Thread> reading = new CompletableFuture<>();
    CompletableFuture<String> read = new CompletableFuture<>();
    ServedDevice device =
        peer ->
            new BareSession() {
              @Override
              public void dmaMap(long iova, long size, int prot, DmaSource source) {
                Thread thread =
                    new Thread(
                        () -> {
                          peer.memory().read(iova, MemorySegment.ofArray(seen), 0, size);
                          read.complete("read");
                        });
                thread.start();
                // The client has been asked when the thread waits for its answer.
                while (thread.isAlive() && thread.getState() != Thread.State.TIMED_WAITING) {
                  Thread.onSpinWait();
                }
                reading.complete(thread);
              }
            };
    try (Server _ = Server.at(path).start(device);
        Client client = Client.connect(path)) {
      MemorySegment memory = arena.allocate(4096, 4096);
      memory.fill((byte) 7);
      client.map(IOVA, memory, BOTH);
      reading.join().join();
      assertThat(read.getNow("refused")).isEqualTo("read");
      assertThat(MemorySegment.ofArray(seen).mismatch(memory)).isEqualTo(-1);
    }
  }
}
