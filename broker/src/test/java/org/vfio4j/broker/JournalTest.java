// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.vfio4j.linux.testing.FakeHost.R1;
import static org.vfio4j.linux.testing.FakeHost.R2;

import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vfio4j.linux.testing.OnFakeHost;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.user.Client;
import org.vfio4j.user.Server;
import org.vfio4j.user.device.Agreed;
import org.vfio4j.user.device.LeftReply;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.SetIrqs;

/** What the journal says is what the broker has, at each moment, and survives being written. */
class JournalTest extends OnFakeHost {
  /** Bytes of a line of what is kept of a journal. */
  private static final int LINE = 16;

  /** Where the head has a time. */
  private static final int BEAT = 32;

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
    long deadline = System.nanoTime() + 5_000_000_000L;
    BrokerState before;
    Journal now;
    do {
      // A device whose client has just left is given back meanwhile, and that written down after.
      before = broker.state();
      now = broker.journal();
    } while ((!broker.state().equals(before) || !now.state().equals(before))
        && System.nanoTime() < deadline);
    assertThat(now.state()).isEqualTo(before);
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
                    assertThat(range.reach()).isEqualTo(Journal.Reach.PINNED);
                    assertThat(range.holders()).containsExactly(0, 1);
                    assertThat(range.memory())
                        .contains(new Journal.OfFile(ram.device(), ram.inode(), true, 0));
                  })
              .anySatisfy(
                  range -> {
                    assertThat(range.iova()).isEqualTo(FIRMWARE);
                    assertThat(range.memory()).isEmpty();
                    assertThat(range.holders()).containsExactly(0);
                  });
          Journal.OfClient client =
              both.vms().getFirst().devices().getFirst().client().orElseThrow();
          assertThat(client.pid()).isEqualTo((int) ProcessHandle.current().pid());
          assertThat(client.started()).isPositive();
          assertThat(client.admitted()).isTrue();
          assertThat(client.vectors().get(Pci.MSI)).isEqualTo(1);
          assertThat(second.read32(Pci.CONFIG, 0)).isNotZero();
        }
        shouldTellAll();
      }
      Guest.awaitIdle(broker);
      assertThat(shouldTellAll().vms().getFirst().devices().getFirst().used()).isTrue();
    }
  }

  private static final Journal.OfDevice CONNECTED =
      new Journal.OfDevice(
          1,
          "10000:e1:00.0",
          true,
          true,
          BrokerState.Phase.CONNECTED,
          OptionalInt.of(0),
          "c12",
          Optional.of(
              new Journal.OfClient(
                  "s1.0.7",
                  4711,
                  1L << 40,
                  true,
                  true,
                  new Agreed(1, 16, 1 << 20, 65535, true),
                  List.of(0, 1, 2048, 0, 0),
                  Optional.of(new LeftReply(65535, 8, 22, true)))));

  private static final Journal.OfDevice IDLE =
      new Journal.OfDevice(
          0, R1, false, false, BrokerState.Phase.IDLE, OptionalInt.empty(), "", Optional.empty());

  private static Journal.Range range(long iova, Journal.Reach reach, Integer... holders) {
    boolean never = reach == Journal.Reach.NEVER;
    return new Journal.Range(
        iova,
        1L << 30,
        never ? 0 : 3,
        never ? Optional.empty() : Optional.of(new Journal.OfFile(1L << 33, 77, true, 4096)),
        reach,
        List.of(holders));
  }

  @Test
  void shouldReadWhatWasWrittenAndForgetWhatWasCleared() {
    try (VmJournal journal = VmJournal.create(SystemCalls.libc(), "web \u00e4", 1L << 40)) {
      journal.write(IDLE);
      journal.write(CONNECTED);
      List<Journal.Range> written = new ArrayList<>();
      for (Journal.Reach reach : Journal.Reach.values()) {
        // Unsigned, and more of them than a page has room for.
        for (int n = 0; n < 30; n++) {
          Journal.Range range = range((long) (reach.ordinal() * 30 + n) << 56, reach, 0, 31);
          journal.write(journal.place(), range);
          written.add(range);
        }
      }
      int gone = journal.place();
      journal.write(gone, range(4096, Journal.Reach.PINNED, 1));
      journal.clear(gone);
      assertThat(journal.place()).as("a place that is free is used again").isEqualTo(gone);
      Journal.OfVm read = VmJournal.read(journal.file());
      assertThat(read.name()).isEqualTo("web \u00e4");
      assertThat(read.memory()).isEqualTo(1L << 40);
      assertThat(read.devices()).containsExactly(IDLE, CONNECTED);
      assertThat(read.ranges()).containsExactlyInAnyOrderElementsOf(written);
    }
  }

  /** What a VM's journal has where each kind of record is, but for the time. */
  private static String bytes(VmJournal journal) {
    HexFormat hex = HexFormat.of();
    StringBuilder lines = new StringBuilder();
    try (Arena arena = Arena.ofConfined();
        Descriptor.Use use = journal.file().use()) {
      MemorySegment all = arena.allocate(FileStatus.of(journal.file()).length());
      SystemCalls.libc().pread(use.number(), all, all.byteSize(), 0);
      all.set(ValueLayout.JAVA_LONG, BEAT, 0);
      for (long at = 0; at + LINE <= all.byteSize(); at += LINE) {
        byte[] line = all.asSlice(at, LINE).toArray(ValueLayout.JAVA_BYTE);
        boolean last = at + LINE == all.byteSize();
        if (last || !Arrays.equals(line, new byte[LINE])) {
          lines.append("%05x %s%n".formatted(at, hex.formatHex(line)));
        }
      }
    }
    return lines.toString();
  }

  private static List<Journal.Range> ofEachKind() {
    return Stream.of(Journal.Reach.values()).map(r -> range(r.ordinal() * 4L << 30, r, 1)).toList();
  }

  /**
   * A journal is what one build hands to another: what a version has written is kept as it was, and
   * read by all that follow. Whoever changes the form raises the version, and adds a file.
   */
  @Test
  void shouldWriteAndReadVersion1AsItAlwaysWas() throws Exception {
    String kept;
    try (InputStream file = JournalTest.class.getResourceAsStream("journal-1.txt")) {
      kept = new String(Objects.requireNonNull(file).readAllBytes(), StandardCharsets.UTF_8);
    }
    try (VmJournal journal = VmJournal.create(SystemCalls.libc(), "web \u00e4", 1L << 40)) {
      journal.write(IDLE);
      journal.write(CONNECTED);
      ofEachKind().forEach(range -> journal.write(journal.place(), range));
      assertThat(bytes(journal)).isEqualTo(kept);
    }
    try (VmJournal journal = VmJournal.create(SystemCalls.libc(), "", 0);
        Arena arena = Arena.ofConfined();
        Descriptor.Use use = journal.file().use()) {
      for (String line : kept.lines().toList()) {
        byte[] bytes = HexFormat.of().parseHex(line.substring(6));
        MemorySegment part = arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes);
        long at = Long.parseLong(line.substring(0, 5), 16);
        SystemCalls.libc().pwrite(use.number(), part, part.byteSize(), at);
      }
      Journal.OfVm read = VmJournal.read(journal.file());
      assertThat(read.name()).isEqualTo("web \u00e4");
      assertThat(read.memory()).isEqualTo(1L << 40);
      assertThat(read.devices()).containsExactly(IDLE, CONNECTED);
      assertThat(read.ranges()).containsExactlyElementsOf(ofEachKind());
    }
  }

  /** The file as an earlier or a later version would have written it. */
  private static void change(VmJournal journal, long at, int value) {
    try (Arena arena = Arena.ofConfined();
        Descriptor.Use use = journal.file().use()) {
      SystemCalls.libc()
          .pwrite(use.number(), arena.allocateFrom(ValueLayout.JAVA_INT, value), 4, at);
    }
  }

  @Test
  void shouldNotReadWhatALaterVersionHasWritten() {
    try (VmJournal journal = VmJournal.create(SystemCalls.libc(), "web", 4096)) {
      change(journal, 8, 2);
      assertThatThrownBy(() -> VmJournal.read(journal.file()))
          .isInstanceOf(VmJournal.LaterException.class)
          .hasMessageContaining("version 2")
          .hasMessageContaining("start the later one again");
    }
  }

  /** A journal is read by the next version of a program that died: nothing in it may end that. */
  @Test
  void shouldOnlyRefuseWhatIsDamaged() {
    long seed = Long.getLong("vfio4j.seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    for (int n = 0; n < 2_000; n++) {
      try (VmJournal journal = VmJournal.create(SystemCalls.libc(), "web", 4096)) {
        journal.write(CONNECTED);
        journal.write(journal.place(), range(0, Journal.Reach.PINNED, 0));
        for (int damage = random.nextInt(3); damage >= 0; damage--) {
          int at = random.nextBoolean() ? random.nextInt(64) : 4096 + random.nextInt(256);
          change(journal, at, random.nextBoolean() ? random.nextInt() : random.nextInt(300));
        }
        try {
          VmJournal.read(journal.file());
        } catch (IllegalArgumentException | VmJournal.LaterException refused) {
          assertThat(refused).hasMessageContaining("journal");
        }
      }
    }
  }
}
