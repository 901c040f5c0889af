// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.user.wire.DeviceInfo;
import org.vfio4j.user.wire.DeviceReset;
import org.vfio4j.user.wire.DmaMap;
import org.vfio4j.user.wire.DmaUnmap;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.IrqInfo;
import org.vfio4j.user.wire.RegionAccess;
import org.vfio4j.user.wire.RegionInfo;
import org.vfio4j.user.wire.RegionIoFds;
import org.vfio4j.user.wire.RegionRead;
import org.vfio4j.user.wire.RegionWrite;
import org.vfio4j.user.wire.RegionWriteMulti;
import org.vfio4j.user.wire.SetIrqs;
import org.vfio4j.user.wire.Version;

/**
 * A user of a device that somebody serves: the other side of {@link Server}. Thread-safe: commands
 * of several threads may be under way at once. A thread of its own reads what the server sends and
 * answers its DMA.
 *
 * <p>Every command throws {@link ErrorReplyException} if the server refuses it, and {@link
 * ConnectionException} if the server has gone or does not answer.
 */
public final class Client implements AutoCloseable {
  /** Bytes a region info is asked for at first: room for some sparse areas. */
  private static final int REGION_INFO_ROOM = 256;

  private final Exchange exchange;
  private final Negotiated agreed;

  /**
   * A region as a server describes it.
   *
   * @param info size, flags and areas
   * @param file what to map; the caller's to close
   */
  public record MappableRegion(RegionInfo info, Optional<Descriptor> file)
      implements AutoCloseable {
    /**
     * Maps a part that may be mapped.
     *
     * @param area one of {@code info.areas()}, or all of the region if there are none
     * @return memory that is the device's too; the caller's to close
     */
    public MappedMemory map(RegionInfo.Area area) {
      int protection =
          ((info.flags() & RegionInfo.READ) != 0 ? Constants.PROT_READ : 0)
              | ((info.flags() & RegionInfo.WRITE) != 0 ? Constants.PROT_WRITE : 0);
      return MappedMemory.ofFile(
          file.orElseThrow(), info.offset() + area.offset(), area.size(), protection);
    }

    @Override
    public void close() {
      file.ifPresent(Descriptor::close);
    }
  }

  /**
   * Where a write can be a signal.
   *
   * @param entry which write
   * @param eventFd what to signal instead; the caller's to close
   */
  public record IoEventFd(RegionIoFds.Entry entry, EventFd eventFd) {}

  private Client(Exchange exchange, Negotiated agreed) {
    this.exchange = exchange;
    this.agreed = agreed;
  }

  /**
   * Connects and agrees on a version, proposing 0.1 and all that this implementation can do.
   *
   * @throws org.vfio4j.posix.SystemCallException ENOENT, ECONNREFUSED, EACCES
   * @throws ConnectionException if no version can be agreed on
   */
  public static Client connect(Path path) {
    return connect(path, new Version(Negotiated.MAJOR, Negotiated.MINOR, Negotiated.OURS));
  }

  /** Connects with a proposal of one's own. */
  public static Client connect(Path path, Version proposal) {
    return over(UnixSocket.connect(SystemCalls.libc(), path), proposal);
  }

  /**
   * Agrees on a version over a socket that is connected already, as {@link #connect(Path)} does.
   *
   * @param socket a connected stream socket, which is the client's from now on
   * @throws ConnectionException if no version can be agreed on
   */
  public static Client over(Descriptor socket) {
    Version proposal = new Version(Negotiated.MAJOR, Negotiated.MINOR, Negotiated.OURS);
    return over(UnixSocket.of(socket), proposal);
  }

  private static Client over(UnixSocket socket, Version proposal) {
    Exchange exchange = new Exchange(socket);
    boolean done = false;
    try {
      Exchange.Reply reply = exchange.call(proposal);
      Version answer = Version.parse(reply.bytes(), Header.SIZE, reply.payload());
      Negotiated agreed = Negotiated.byClient(answer);
      exchange.limit(agreed);
      Client client = new Client(exchange, agreed);
      done = true;
      return client;
    } finally {
      if (!done) {
        exchange.close();
      }
    }
  }

  /** The minor version that was agreed on. */
  public int minor() {
    return agreed.minor();
  }

  /** Bytes of data that one command may carry. */
  public int maxTransfer() {
    return agreed.maxTransfer();
  }

  /** Whether {@link #writeMulti} may be used. */
  public boolean writeMultiple() {
    return agreed.writeMultiple();
  }

  /** What kind of device it is. */
  public DeviceInfo info() {
    Exchange.Reply reply = exchange.call(new DeviceInfo(DeviceInfo.SIZE, 0, 0, 0));
    return DeviceInfo.parse(reply.bytes(), Header.SIZE, reply.payload());
  }

  /** Size and flags of a region, and what of it can be mapped. */
  public MappableRegion region(int index) {
    int room = REGION_INFO_ROOM;
    while (true) {
      Exchange.Reply reply = exchange.call(RegionInfo.of(index, room));
      List<Descriptor> files = reply.descriptors();
      RegionInfo info = RegionInfo.parseReply(reply.bytes(), Header.SIZE, reply.payload());
      if (Integer.compareUnsigned(info.argsz(), room) <= 0) {
        files.stream().skip(1).forEach(Descriptor::close);
        return new MappableRegion(info, files.stream().findFirst());
      }
      files.forEach(Descriptor::close);
      if (info.argsz() < 0 || info.argsz() > Negotiated.CAPACITY) {
        throw new ConnectionException("region info that is too long: argsz=" + info.argsz());
      }
      room = info.argsz();
    }
  }

  /** Where a write to a region can be a signal. */
  public List<IoEventFd> ioEventFds(int index) {
    int room = agreed.maxMessage() - Header.SIZE;
    Exchange.Reply reply = exchange.call(RegionIoFds.of(index, room));
    RegionIoFds fds = RegionIoFds.parseReply(reply.bytes(), Header.SIZE, reply.payload());
    List<IoEventFd> result = new ArrayList<>();
    try {
      for (RegionIoFds.Entry entry : fds.entries()) {
        if (entry.fdIndex() < 0 || entry.fdIndex() >= reply.descriptors().size()) {
          result.forEach(fd -> fd.eventFd().close());
          throw new ConnectionException("no such descriptor beside the reply: " + entry);
        }
        Descriptor shared = reply.descriptors().get(entry.fdIndex());
        result.add(new IoEventFd(entry, EventFd.of(shared.duplicate())));
      }
    } finally {
      reply.descriptors().forEach(Descriptor::close);
    }
    return result;
  }

  /** What a kind of interrupt can do. */
  public IrqInfo irq(int index) {
    Exchange.Reply reply = exchange.call(new IrqInfo(IrqInfo.SIZE, 0, index, 0));
    return IrqInfo.parse(reply.bytes(), Header.SIZE, reply.payload());
  }

  /**
   * Sets interrupts up.
   *
   * @param eventFds beside the message; they stay the caller's
   * @throws org.vfio4j.posix.SystemCallException EBADF if one of them is closed; nothing has been
   *     sent then
   */
  public void setIrqs(SetIrqs set, EventFd... eventFds) {
    exchange.call(set, Stream.of(eventFds).map(EventFd::descriptor).toList());
  }

  /**
   * Reads a region.
   *
   * @param target where the bytes go, from {@code at} on
   * @param count bytes, at most {@link #maxTransfer}
   */
  public void read(int region, long offset, MemorySegment target, long at, int count) {
    Exchange.Reply reply = exchange.call(new RegionRead(offset, region, count));
    if (reply.payload() != RegionAccess.SIZE + count) {
      throw new ConnectionException(
          "%d bytes read, %d wanted".formatted(reply.payload() - RegionAccess.SIZE, count));
    }
    MemorySegment.copy(reply.bytes(), Header.SIZE + RegionAccess.DATA, target, at, count);
  }

  /** Reads a register of four bytes. */
  public int read32(int region, long offset) {
    int[] value = new int[1];
    read(region, offset, MemorySegment.ofArray(value), 0, Integer.BYTES);
    return value[0];
  }

  /** Reads a register of eight bytes. */
  public long read64(int region, long offset) {
    long[] value = new long[1];
    read(region, offset, MemorySegment.ofArray(value), 0, Long.BYTES);
    return value[0];
  }

  /** Writes a region, and waits until it is done. */
  public void write(int region, long offset, MemorySegment source, long at, int count) {
    exchange.call(new RegionWrite(offset, region, count), source, at, count);
  }

  /** Writes a register of four bytes, and waits until it is done. */
  public void write32(int region, long offset, int value) {
    write(region, offset, MemorySegment.ofArray(new int[] {value}), 0, Integer.BYTES);
  }

  /** Writes a register of eight bytes, and waits until it is done. */
  public void write64(int region, long offset, long value) {
    write(region, offset, MemorySegment.ofArray(new long[] {value}), 0, Long.BYTES);
  }

  /** Writes a region without waiting; a refusal is not told. A later command sees it done. */
  public void post(int region, long offset, MemorySegment source, long at, int count) {
    exchange.post(new RegionWrite(offset, region, count), source, at, count);
  }

  /** Does several small writes with one message, and waits until they are done. */
  public void writeMulti(List<RegionWriteMulti.Write> writes) {
    Exchange.Reply reply = exchange.call(new RegionWriteMulti(writes));
    long done =
        reply.payload() < RegionWriteMulti.SIZE
            ? -1
            : RegionWriteMulti.writes(reply.bytes(), Header.SIZE);
    if (done != writes.size()) {
      throw new ConnectionException("%d of %d writes were done".formatted(done, writes.size()));
    }
  }

  /**
   * Maps memory of a file for the device.
   *
   * @param iova where the device finds it, page aligned
   * @param size bytes, page aligned
   * @param flags {@link DmaMap#READ}, {@link DmaMap#WRITE} or both
   * @param file stays the caller's, who may close it at once
   * @param offset bytes into the file, page aligned
   * @throws org.vfio4j.posix.SystemCallException EBADF if it is closed; nothing has been sent then
   */
  public void map(long iova, long size, int flags, Descriptor file, long offset) {
    exchange.call(new DmaMap(flags, offset, iova, size), List.of(file));
  }

  /**
   * Maps memory without handing it over: the server asks for it by message.
   *
   * @param memory must be there until it is unmapped
   */
  public void map(long iova, MemorySegment memory, int flags) {
    // Before the reply: the device may use it as soon as the server has taken it.
    ClientMemory.Window window = exchange.memory().add(iova, memory, flags);
    boolean done = false;
    try {
      exchange.call(new DmaMap(flags, 0, iova, memory.byteSize()));
      done = true;
    } finally {
      if (!done) {
        exchange.memory().remove(window);
      }
    }
  }

  /** Unmaps what is wholly inside a range; holes are no error. */
  public void unmap(long iova, long size) {
    exchange.call(new DmaUnmap(0, iova, size));
    exchange.memory().remove(iova, size);
  }

  /** Unmaps everything. */
  public void unmapAll() {
    exchange.call(new DmaUnmap(DmaUnmap.ALL, 0, 0));
    exchange.memory().clear();
  }

  /** The device as after power on. */
  public void reset() {
    exchange.call(new DeviceReset());
  }

  /** Leaves. */
  @Override
  public void close() {
    exchange.close();
  }
}
