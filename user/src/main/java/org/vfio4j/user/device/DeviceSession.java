// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.vfio4j.posix.Outbox;

/**
 * One client's use of a device: what the kernel asks of a driver in {@code vfio_device_ops}, with
 * the descriptors that the client sent. The server has checked each command against the protocol
 * and against {@link #regions} and {@link #irqs} before it comes here, and answers the client.
 *
 * <p>Every call comes from one thread, the client's, so a session needs no lock against itself, and
 * no client waits for another's session. None may block for long: the client's processor waits for
 * the answer, and QEMU gives up on a device after five seconds.
 *
 * <p>A command that cannot be done throws {@link org.vfio4j.error.VfioException} or {@link
 * org.vfio4j.posix.SystemCallException} with the errno that the client is answered, and has changed
 * nothing. Anything else that is thrown is a mistake of the session: it is logged as an error, the
 * client is answered EIO.
 */
public interface DeviceSession extends AutoCloseable {
  /**
   * {@code VFIO_DEVICE_GET_INFO}: {@link ServedDevice#RESET} and {@link ServedDevice#PCI}, or'ed;
   * the same at every call.
   */
  int flags();

  /**
   * The client asks for {@code VFIO_DEVICE_GET_INFO}. QEMU does so after it has mapped all memory
   * of its machine and before it does anything else, and an error here ends its start with a
   * message: the last moment at which a machine can be refused whose memory the device would not
   * reach.
   *
   * @throws org.vfio4j.error.VfioException if the client may not go on, with the errno it is
   *     answered
   */
  default void admit() {}

  /**
   * {@code VFIO_DEVICE_GET_REGION_INFO}: the regions by index; the same at every call. Files of
   * theirs stay the session's, which keeps them open until it is closed.
   */
  List<Region> regions();

  /** {@code VFIO_DEVICE_GET_IRQ_INFO}: the interrupts by index; the same at every call. */
  List<Irq> irqs();

  /**
   * Where the client may signal an eventfd instead of writing: the same at every call.
   *
   * @param region its index
   */
  default List<WriteSignal> writeSignals(int region) {
    return List.of();
  }

  /**
   * Reads registers or memory of a region that may be read.
   *
   * @param region its index
   * @param offset bytes into the region
   * @param target where the bytes go, from {@code targetOffset} on; off-heap
   * @param count bytes, at least 1, inside the region
   */
  void read(int region, long offset, MemorySegment target, long targetOffset, int count);

  /**
   * Writes registers or memory of a region that may be written.
   *
   * @param region its index
   * @param offset bytes into the region
   * @param source where the bytes are, from {@code sourceOffset} on; off-heap, valid during the
   *     call
   * @param count bytes, at least 1, inside the region
   */
  void write(int region, long offset, MemorySegment source, long sourceOffset, int count);

  /**
   * {@code VFIO_IOMMU_MAP_DMA}: memory that the device may reach from now on.
   *
   * @param iova first address, unsigned, as the client sent it
   * @param size bytes, unsigned, as the client sent it
   * @param prot {@link UserMemory#READ} and {@link UserMemory#WRITE}, or'ed; nothing else
   * @param source the memory
   */
  void dmaMap(long iova, long size, int prot, DmaSource source);

  /**
   * {@code VFIO_IOMMU_UNMAP_DMA} of type1v2: all mappings that lie wholly in a range. When it
   * returns the device cannot reach them.
   *
   * @param iova first address, unsigned, as the client sent it
   * @param size bytes, unsigned, as the client sent it
   * @param flags 0 or {@link UserMemory#UNMAP_ALL}; others as the client sent them
   * @return bytes unmapped
   */
  long dmaUnmap(long iova, long size, int flags);

  /**
   * How long the client waits for an answer before it gives the command up, and with it, for a
   * reply that comes later, the device. Near that time the server answers the command with
   * ETIMEDOUT, while it goes on here, and never with the real reply. Empty for a session whose
   * commands are all quick: nothing is watched then.
   */
  default Optional<Duration> patience() {
    return Optional.empty();
  }

  /**
   * Whether a command is to stay in the socket until it is done, and no other is read meanwhile: so
   * that another process can go on with the connection at any moment. A write to a register is
   * taken first, since it must not be done twice. Costs a system call more for each command.
   */
  default boolean exact() {
    return false;
  }

  /**
   * Where replies wait until they are sent, so that another process can tell whether they were: for
   * a session that is {@link #exact} and knows what it has done of a command that is begun again.
   * Then a write to a register stays in the socket, too, until it is done.
   */
  default Optional<Outbox> outbox() {
    return Optional.empty();
  }

  /**
   * A command is begun, maybe once more after another process had. Only with an {@link #outbox}.
   *
   * @param id of the command
   * @param command its number
   */
  default void beginning(int id, int command) {}

  /** Whether another process had begun the command of this id, and may not have answered it. */
  default boolean begun(int id) {
    return false;
  }

  /**
   * A command is about to be taken from the socket and answered, or has been answered as too slow
   * while it goes on. Only of a session that is {@link #exact}: who goes on with the connection has
   * to know it. Also from another thread than the client's.
   *
   * @param reply what the client is told
   */
  default void answering(LeftReply reply) {}

  /** The client has been answered. */
  default void answered() {}

  /** {@code VFIO_DEVICE_SET_IRQS}. */
  void setIrqs(IrqSet set);

  /**
   * {@code VFIO_DEVICE_RESET}: everything back as after power on, DMA under way given up. Mappings
   * and eventfds are the client's and stay. Called only with {@link ServedDevice#RESET}.
   */
  void reset();

  /**
   * The client has gone. Called once, by the same thread, after everything else. When it returns
   * nothing of the client's is used any more, and the device is as after power on.
   */
  @Override
  void close();
}
