// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.vfio4j.linux.testing.FakeHost.R1;
import static org.vfio4j.linux.testing.FakeHost.R2;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.linux.testing.OnFakeHost;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.user.Client;
import org.vfio4j.user.Server;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.SetIrqs;

/** What the journal says is what the broker has, at each moment, and survives being written. */
class JournalTest extends OnFakeHost {
  private static final int FIRMWARE_SIZE = 1 << 16;
  private static final long FIRMWARE = 0xfff0_0000L;

  private Broker broker;

  @BeforeEach
  void begin() {
    broker = new Broker(iommu, KernelProfile.LINUX_6_1);
  }

  @AfterEach
  void end() {
    broker.close();
  }

  private Journal shouldTellAll() {
    BrokerState before;
    Journal now;
    do {
      // A device whose client has just left is given back meanwhile.
      before = broker.state();
      now = broker.journal();
    } while (!broker.state().equals(before));
    assertThat(now.state()).isEqualTo(before);
    assertThat(JournalText.read(JournalText.write(now))).isEqualTo(now);
    return now;
  }

  @Test
  void shouldTellWhatTheBrokerHas() {
    Vm web = broker.vm(VmSettings.of("web 1", Guest.RAM));
    broker.vm(VmSettings.of("db", Guest.RAM));
    shouldTellAll();
    try (Guest guest = new Guest();
        EventFd msi = EventFd.create(SystemCalls.libc());
        Server whole = Guest.serve(folder, web, R1, PassOptions.WHOLE);
        Server wrapped = Guest.serve(folder, web, R2, PassOptions.WRAPPED)) {
      assertThat(shouldTellAll().vms().getFirst().ranges()).isEmpty();
      try (Client first = guest.plug(whole)) {
        shouldTellAll();
        first.map(FIRMWARE, Arena.ofAuto().allocate(FIRMWARE_SIZE), Guest.READ_WRITE);
        first.setIrqs(SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, Pci.MSI, 0, 1), msi);
        try (Client second = guest.plug(wrapped)) {
          Journal both = shouldTellAll();
          List<Journal.Range> ranges = both.vms().getFirst().ranges();
          FileStatus ram = FileStatus.of(guest.ram);
          assertThat(ranges)
              .anySatisfy(
                  range -> {
                    assertThat(range.size()).isEqualTo(Guest.RAM);
                    assertThat(range.pinned()).isTrue();
                    assertThat(range.holders()).containsExactly(R1, R2);
                    assertThat(range.memory())
                        .contains(new Journal.OfFile(ram.device(), ram.inode(), 0));
                  })
              .anySatisfy(
                  range -> {
                    assertThat(range.iova()).isEqualTo(FIRMWARE);
                    assertThat(range.memory()).isEmpty();
                    assertThat(range.holders()).containsExactly(R1);
                  });
          Journal.OfClient client =
              both.vms().getFirst().devices().getFirst().client().orElseThrow();
          assertThat(client.pid()).isEqualTo((int) ProcessHandle.current().pid());
          assertThat(client.started()).isPositive();
          assertThat(client.vectors().get(Pci.MSI)).isEqualTo(1);
          assertThat(second.read32(Pci.CONFIG, 0)).isNotZero();
        }
        shouldTellAll();
      }
      Guest.awaitIdle(broker);
      assertThat(shouldTellAll().lastUsers()).containsEntry(R1, "web 1");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "vfio4j-journal 2",
        "vfio4j-journal 1\nvm x web",
        "vfio4j-journal 1\nvm 0",
        "vfio4j-journal 1\nrange 0 1000 3 pinned - a",
        "vfio4j-journal 1\nvm 0 web\nrange 0 1000 3 there - a",
        "vfio4j-journal 1\nvm 0 web\ndevice a whole gone -",
        "vfio4j-journal 1\nvm 0 web\nclient 1 2 3 4 5 6 true",
        "vfio4j-journal 1\nvm 0 web\ndevice a whole idle - more",
        "vfio4j-journal 1\nvm 00 web",
        "vfio4j-journal 1\nlast a web\nlast a db",
        "vfio4j-journal 1\nsomething"
      })
  void shouldRefuseWhatIsNoneWithTheLine(String text) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> JournalText.read(text))
        .withMessageStartingWith("line ");
  }

  @Test
  void shouldRefuseToWriteWhatCouldNotBeRead() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> JournalText.write(new Journal(List.of(), Map.of(R1, "web\n2"))))
        .withMessageContaining("line break");
  }

  /** A journal is read by the next version of a program that died: nothing in it may end that. */
  @Test
  void shouldOnlyRefuseWhatIsDamaged() {
    String whole =
        """
        vfio4j-journal 1
        vm 1000000 web 1
        range 0 1000000 3 pinned 1:412:0 0000:00:0a.0 0000:00:0a.1
        range fff00000 10000 0 noted - 0000:00:0a.0
        device 0000:00:0a.0 whole connected 9
        client 4711 123456 0 16 1048576 65535 true 0 1 0 0 0
        device 0000:00:0a.1 wrapped idle -
        last 0000:00:0a.0 web 1
        """;
    assertThat(JournalText.write(JournalText.read(whole))).isEqualTo(whole);
    long seed = Long.getLong("vfio4j.seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    for (int n = 0; n < 20_000; n++) {
      StringBuilder damaged = new StringBuilder(whole);
      for (int cut = random.nextInt(3); cut >= 0; cut--) {
        int at = random.nextInt(damaged.length());
        damaged.replace(
            at,
            Math.min(damaged.length(), at + random.nextInt(4)),
            "" + (char) (random.nextInt(96) + 31));
      }
      try {
        Journal read = JournalText.read(damaged.toString());
        assertThat(JournalText.read(JournalText.write(read))).isEqualTo(read);
      } catch (IllegalArgumentException refused) {
        assertThat(refused).hasMessageStartingWith("line ");
      }
    }
  }
}
