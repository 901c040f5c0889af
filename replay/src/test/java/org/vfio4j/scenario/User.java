// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.replay.Environment;
import org.vfio4j.vfio.Vfio;

/** A process of a scenario, in the words of the scenarios' table. */
final class User {
  private static final byte MARKER = 0x5a;
  private static final byte OTHER = 0x33;

  private final Environment environment;

  User(Environment environment) {
    this.environment = environment;
  }

  Environment environment() {
    return environment;
  }

  Vfio api() {
    return environment.vfio();
  }

  int container() {
    return api().container();
  }

  int group(String device) {
    return api().group(device);
  }

  void set(int group, int container) {
    api().setContainer(group, container);
  }

  void unset(int group) {
    api().unsetContainer(group);
  }

  void iommu(int container) {
    iommu(container, 3);
  }

  void iommu(int container, int type) {
    api().setIommu(container, type);
  }

  int dev(int group, String name) {
    return api().deviceFd(group, Optional.of(name));
  }

  int status(int group) {
    return api().groupStatus(group, 8);
  }

  void close(int fd) {
    api().close(fd);
  }

  /** Maps the buffer from its start. */
  void map(int container, long iova, long size) {
    map(container, 0, iova, size);
  }

  void map(int container, long offset, long iova, long size) {
    api().map(container, Vfio.MapRequest.of(environment.buffer() + offset, iova, size));
  }

  void map(int container, long offset, long iova, long size, int flags) {
    api()
        .map(
            container,
            new Vfio.MapRequest(environment.buffer() + offset, iova, size, flags, Vfio.MAP_ARGSZ));
  }

  /** Maps an address where nothing is. */
  void mapNowhere(int container, long iova, long size) {
    api().map(container, Vfio.MapRequest.of(0x1000, iova, size));
  }

  long unmap(int container, long iova, long size) {
    return api().unmap(container, Vfio.UnmapRequest.of(iova, size));
  }

  long unmap(int container, long iova, long size, int flags) {
    return api()
        .unmap(
            container,
            new Vfio.UnmapRequest(iova, size, flags, Vfio.UNMAP_ARGSZ, Optional.empty()));
  }

  List<IovaRange> ranges(int container) {
    return api().info(container, 4096).capabilities().stream()
        .filter(Vfio.Capability.Ranges.class::isInstance)
        .flatMap(c -> ((Vfio.Capability.Ranges) c).ranges().stream())
        .toList();
  }

  long available(int container) {
    return api().info(container, 4096).capabilities().stream()
        .filter(Vfio.Capability.Available.class::isInstance)
        .mapToLong(c -> ((Vfio.Capability.Available) c).entries())
        .sum();
  }

  /** The numbers of the dirty pages of a range. */
  List<Integer> dirty(int container, long iova, long size) {
    int pages = (int) (size / 4096);
    long[] words = new long[(pages + 63) / 64];
    Vfio.Bitmap bitmap = new Vfio.Bitmap(4096, 8L * words.length, words);
    api().dirtyBitmap(container, new Vfio.BitmapRequest(iova, size, bitmap));
    return bits(words, pages);
  }

  static List<Integer> bits(long[] words, int pages) {
    List<Integer> set = new ArrayList<>();
    for (int i = 0; i < pages; i++) {
      if ((words[i / 64] >>> i & 1) != 0) {
        set.add(i);
      }
    }
    return set;
  }

  /** VmLck, in KiB. */
  long locked() {
    return environment.lockedKib();
  }

  void memlock(long bytes) {
    environment.memlock(bytes);
  }

  /** Takes CAP_IPC_LOCK away, or gives it back. */
  void ipcLock(boolean on) {
    environment.capability(14, on);
  }

  /** Fills a page of the buffer. */
  void fill(long offset, int value) {
    environment.poke(offset, (byte) value, 4096);
  }

  int peek(long offset) {
    return environment.peek(offset)[0];
  }

  /**
   * Whether the device copies memory from one IOVA to the other. The two stand for the given
   * offsets of this process's buffer, if they are mapped.
   */
  boolean copies(int device, long from, long fromOffset, long to, long toOffset) {
    environment.poke(fromOffset, MARKER, 16);
    environment.poke(toOffset, OTHER, 16);
    environment.eduDma(device, from, to);
    return peek(toOffset) == MARKER;
  }

  /** Whether the device reaches the first two pages of a mapping of the buffer's start. */
  boolean dma(int device, long iova) {
    return copies(device, iova, 0, iova + 0x1000, 0x1000);
  }

  /** Ends the process. */
  void exit() {
    environment.closeAll();
  }
}
