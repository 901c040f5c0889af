// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.event;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.DmaFaultException;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.mdev.MediatedGroup;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/** What a run leaves in a recording, and what metrics are told of it. */
class EventsTest {
  private static final long PAGE = AddressSpace.PAGE;
  private static final List<String> NAMES =
      List.of("Attach", "Detach", "DmaMap", "DmaUnmap", "DmaFault");

  private record Function(String name) implements Device {
    @Override
    public Bus bus() {
      return Bus.PCI;
    }
  }

  /** Writes down what it is told, without the times. */
  private static final class Diary implements Events {
    private final List<String> lines = new ArrayList<>();

    private void note(String line, long nanos) {
      assertThat(nanos).as(line).isNotNegative();
      lines.add(line);
    }

    @Override
    public void attached(String container, int group, long nanos) {
      note("attached " + container + " " + group, nanos);
    }

    @Override
    public void detached(String container, int group, long nanos) {
      note("detached " + container + " " + group, nanos);
    }

    @Override
    public void mapped(String container, long iova, long bytes, long nanos) {
      note("mapped %s 0x%x 0x%x".formatted(container, iova, bytes), nanos);
    }

    @Override
    public void unmapped(String container, long iova, long bytes, long nanos, long waited) {
      note("unmapped %s 0x%x 0x%x".formatted(container, iova, bytes), nanos);
      assertThat(waited).isBetween(container.equals("waits") ? 1L : 0L, nanos);
    }

    @Override
    public void faulted(String device, long iova, long bytes, int access) {
      lines.add("faulted %s 0x%x %d %d".formatted(device, iova, bytes, access));
    }
  }

  private final SoftIommu iommu = new SoftIommu(KernelProfile.DEFAULT);
  private final Function function = new Function("0000:00:02.0");
  private final IommuGroup group = iommu.addGroup(1, IommuUnit.VT_D, List.of());
  private final MediatedGroup plain =
      new MediatedGroup(10, new MediatedDevice("mdev", "plain", function, Isolation.PLAIN));
  private final AddressSpace mm = new AddressSpace();
  private final long vaddr = mm.place(MemorySegment.ofArray(new long[1024]));

  private void run(Events events) {
    iommu.addDevice(group, function);
    try (Container c = container("vm1", events);
        Container rival = container("vm2", events)) {
      c.attach(group);
      assertThatThrownBy(() -> rival.attach(group)).isInstanceOf(VfioException.class);
      c.map(mm, vaddr, 0, 2 * PAGE, Container.MAP_READ);
      DmaPort port = iommu.port(function);
      assertThatThrownBy(() -> port.translate(0x5000, 8, Container.MAP_READ))
          .isInstanceOf(DmaFaultException.class);
      c.unmap(mm, 0, 2 * PAGE);
      c.detach(group);
    }
  }

  private Container container(String name, Events events) {
    return new Container(
        name, iommu, KernelProfile.DEFAULT, Type1.V2, new Type1Parameters(), events);
  }

  @Test
  void shouldRecordARunForTheFlightRecorder(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("run.jfr");
    try (Recording recording = new Recording()) {
      NAMES.forEach(name -> recording.enable("org.vfio4j." + name).withoutThreshold());
      recording.start();
      run(Events.NONE);
      recording.stop();
      recording.dump(file);
    }
    List<String> listed = new ArrayList<>();
    for (RecordedEvent event : RecordingFile.readAllEvents(file)) {
      if (event.getEventType().getName().startsWith("org.vfio4j.")) {
        assertThat(event.getDuration().isNegative()).as("%s", event).isFalse();
        listed.add(described(event));
      }
    }
    assertThat(listed)
        .containsExactlyInAnyOrder(
            "org.vfio4j.Attach vm1 1 ",
            "org.vfio4j.Attach vm2 1 EBUSY",
            "org.vfio4j.DmaMap vm1 0x0 0x2000",
            "org.vfio4j.DmaFault 0000:00:02.0 0x5000 8 NOT_MAPPED",
            "org.vfio4j.DmaUnmap vm1 0x0 0x2000 0",
            "org.vfio4j.Detach vm1 1");
  }

  private static String described(RecordedEvent e) {
    String name = e.getEventType().getName();
    return switch (name.substring(name.lastIndexOf('.') + 1)) {
      case "Attach" ->
          name
              + " %s %d %s"
                  .formatted(e.getString("container"), e.getInt("group"), e.getString("refused"));
      case "Detach" -> name + " %s %d".formatted(e.getString("container"), e.getInt("group"));
      case "DmaFault" ->
          name
              + " %s 0x%x %d %s"
                  .formatted(
                      e.getString("device"),
                      e.getLong("iova"),
                      e.getLong("bytes"),
                      e.getString("cause"));
      case "DmaMap" -> name + range(e);
      default -> name + range(e) + " " + e.getLong("waited");
    };
  }

  private static String range(RecordedEvent e) {
    return " %s 0x%x 0x%x"
        .formatted(e.getString("container"), e.getLong("iova"), e.getLong("bytes"));
  }

  @Test
  void shouldTellMetricsWhatSucceeded() {
    Diary diary = new Diary();
    run(diary);
    assertThat(diary.lines)
        .containsExactly(
            "attached vm1 1", "mapped vm1 0x0 0x2000", "unmapped vm1 0x0 0x2000", "detached vm1 1");
  }

  @Test
  void shouldTellOfTheDetachesThatACloseIs() {
    Diary diary = new Diary();
    try (Container c = container("ends", diary)) {
      c.attach(plain);
    }
    assertThat(diary.lines).hasSize(2).last().isEqualTo("detached ends " + plain.id());
  }

  @Test
  void shouldTellNobodyOfTheDetachOfAGroupThatIsNotHere() {
    Diary diary = new Diary();
    try (Container c = container("empty", diary)) {
      c.detach(plain);
    }
    assertThat(diary.lines).isEmpty();
  }

  @Test
  void shouldTellHowLongAnUnmapWaitedForADriver() {
    Diary diary = new Diary();
    try (Container c = container("waits", diary)) {
      c.attach(plain);
      c.onUnmap(plain, (iova, size) -> c.unpinAll(plain, iova, size));
      c.map(mm, vaddr, 0, PAGE, Container.MAP_READ);
      c.pin(plain, List.of(0L), Container.MAP_READ);
      c.unmap(mm, 0, PAGE);
      DmaPort port = c.emulatedPort("mdev", fault -> {});
      assertThatThrownBy(() -> port.translate(0, 4, Container.MAP_READ))
          .isInstanceOf(DmaFaultException.class);
    }
    assertThat(diary.lines)
        .containsExactly(
            "attached waits 10",
            "mapped waits 0x0 0x1000",
            "unmapped waits 0x0 0x1000",
            "faulted mdev 0x0 4 1",
            "detached waits 10");
  }
}
