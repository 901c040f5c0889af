// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.linux.testing.FakeHost;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.LastingStore;
import org.vfio4j.posix.testing.OpenDescriptors;
import org.vfio4j.soft.SoftVfio;

/**
 * A machine with one process of a {@link BrokerModelTest} after the other, and all that is not the
 * broker's: who comes for devices, their RAM and their eventfds, and another process that takes
 * groups.
 */
final class ModelWorld {
  static final List<Long> LENGTHS = List.of(4L << 20, 2L << 20);
  static final int SLOTS = 3;

  final FakeHost host;
  final LastingStore store;
  final Map<Integer, ModelCaller> callers = new TreeMap<>();
  private final Path folder;
  private final Set<String> before;
  private final List<List<Descriptor>> files = new ArrayList<>();
  private final List<List<Descriptor>> readOnly = new ArrayList<>();
  private final List<MappedMemory> ram = new ArrayList<>();
  private final List<EventFd> eventFds = new ArrayList<>();
  private final List<ModelProcess> dead = new ArrayList<>();
  private final SoftVfio stranger;
  private final Map<Integer, Integer> taken = new HashMap<>();
  private final SeenLines seen;
  private final Map<Integer, Integer> signals = new TreeMap<>();
  ModelProcess process;
  private int lastCaller;

  ModelWorld(Path folder) throws Exception {
    before = OpenDescriptors.now();
    this.folder = folder;
    host = new FakeHost(folder);
    host.bind(FakeHost.HOST_DRIVEN, "vfio-pci");
    store = new LastingStore(host.kernel());
    stranger = host.machine().process("stranger");
    Map<Journal.OfFile, Integer> numbers = new HashMap<>();
    for (int slot = 0; slot < SLOTS; slot++) {
      files.add(new ArrayList<>());
      readOnly.add(new ArrayList<>());
      for (int n = 0; n < LENGTHS.size(); n++) {
        numbers.put(file(slot, n), n);
      }
    }
    seen = new SeenLines(host.kernel(), store, numbers);
    process = new ModelProcess(new FaultyCalls(host.kernel()), host, store, folder);
  }

  private Journal.OfFile file(int slot, int n) {
    Descriptor file = Memfd.create(SystemCalls.libc(), "ram", LENGTHS.get(n));
    files.get(slot).add(file);
    readOnly
        .get(slot)
        .add(
            Descriptor.open(
                SystemCalls.libc(),
                "/proc/self/fd/" + OpenDescriptors.number(file),
                Constants.O_RDONLY));
    MappedMemory memory =
        MappedMemory.ofFile(SystemCalls.libc(), file, 0, LENGTHS.get(n), Guest.READ_WRITE);
    ram.add(memory);
    for (long at = 0; at < LENGTHS.get(n); at += 4096) {
      memory.segment().set(ValueLayout.JAVA_LONG, at, HeldLines.tag(slot, n, at));
    }
    FileStatus status = FileStatus.of(file);
    return new Journal.OfFile(status.device(), status.inode(), true, 0);
  }

  Descriptor file(int slot, int n, boolean writable) {
    return (writable ? files : readOnly).get(slot).get(n);
  }

  /** Kills the process, and has another begin, of which calls may fail. */
  ModelProcess follow() throws InterruptedException {
    process.kill();
    dead.add(process);
    process = new ModelProcess(new FaultyCalls(host.kernel()), host, store, folder);
    return process;
  }

  int come(int slot, int device) {
    callers.put(++lastCaller, ModelCaller.come(slot, device, process.socket(slot, device)));
    return lastCaller;
  }

  /** Numbers of VMs in the store. */
  Set<Integer> numbers() {
    Set<Integer> numbers = new TreeSet<>();
    for (String name : store.kept().keySet()) {
      if (name.startsWith("v")) {
        numbers.add(Integer.parseInt(name.substring(1, name.indexOf('.'))));
      }
    }
    return numbers;
  }

  int nextCaller() {
    return lastCaller + 1;
  }

  ModelCaller caller(int who) {
    return Objects.requireNonNull(callers.get(who));
  }

  boolean gone(int who) {
    ModelCaller caller = callers.get(who);
    return caller == null || caller.gone;
  }

  /** An eventfd, by its number. */
  int eventFd() {
    eventFds.add(EventFd.create(SystemCalls.libc()));
    return eventFds.size() - 1;
  }

  EventFd eventFd(int number) {
    return eventFds.get(number);
  }

  void take(int group) {
    taken.put(group, stranger.open("/dev/vfio/" + group));
  }

  void giveBack(int group) {
    stranger.close(Objects.requireNonNull(taken.remove(group)));
  }

  /** What is to be seen of the broker now; signals since {@link #forgetSignals}. */
  List<String> see(HeldWorld world, long within) {
    for (int n = 0; n < eventFds.size(); n++) {
      long count = eventFds.get(n).take();
      if (count > 0) {
        signals.merge(n, (int) count, Integer::sum);
      }
    }
    return seen.of(world, process.broker(), process.calls, signals, within);
  }

  void forgetSignals() {
    signals.clear();
  }

  /** What a device writes arrives in the memory of its VM. */
  void write(HeldVm vm, int device, HeldVm.Piece piece, long within) {
    DmaPort port =
        host.kernel()
            .dma(Objects.requireNonNull(store.kept().get("d%d.%d".formatted(vm.number, device))));
    MemorySegment memory = ram.get(vm.slot * LENGTHS.size() + piece.range.file()).segment();
    long at = piece.range.offset() + within + 16;
    try (Arena arena = Arena.ofConfined()) {
      port.write(piece.range.iova() + within + 16, arena.allocateFrom(ValueLayout.JAVA_LONG, 4711));
      assertThat(memory.get(ValueLayout.JAVA_LONG, at)).as("DMA of %s", vm.name).isEqualTo(4711);
      memory.set(ValueLayout.JAVA_LONG, at, 0);
    }
  }

  /** Everybody leaves, and the process ends as told to: nothing is left of it. */
  void end() throws Exception {
    callers.values().forEach(ModelCaller::close);
    process.close();
    dead.add(process);
    for (int slot = 0; slot < SLOTS; slot++) {
      for (int n = 0; n < LENGTHS.size(); n++) {
        MemorySegment memory = ram.get(slot * LENGTHS.size() + n).segment();
        for (long at = 0; at < memory.byteSize(); at += Long.BYTES) {
          long expected = at % 4096 == 0 ? HeldLines.tag(slot, n, at) : 0;
          if (memory.get(ValueLayout.JAVA_LONG, at) != expected) {
            throw new AssertionError("somebody has written to file %d of %d".formatted(n, slot));
          }
        }
      }
    }
    taken.values().forEach(stranger::close);
    assertThat(store.kept()).isEmpty();
    host.shouldBeAsNew();
    assertThat(process.calls.open()).as("descriptors of the process").isZero();
    assertThat(process.calls.mappings()).as("mappings of the process").isZero();
    free();
    assertThat(OpenDescriptors.now()).isEqualTo(before);
  }

  /** Gives back what is the test's own. */
  void free() {
    callers.values().forEach(ModelCaller::close);
    dead.forEach(p -> p.calls.unmap());
    files.forEach(f -> f.forEach(Descriptor::close));
    readOnly.forEach(f -> f.forEach(Descriptor::close));
    ram.forEach(MappedMemory::close);
    eventFds.forEach(EventFd::close);
    stranger.close();
  }
}
