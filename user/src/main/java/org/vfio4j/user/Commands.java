// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.user.device.DeviceSession;
import org.vfio4j.user.device.Irq;
import org.vfio4j.user.device.Region;
import org.vfio4j.user.device.ServedDevice;
import org.vfio4j.user.device.WriteSignal;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.DeviceFeature;
import org.vfio4j.user.wire.DeviceInfo;
import org.vfio4j.user.wire.DeviceReset;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.IrqInfo;
import org.vfio4j.user.wire.MessageException;
import org.vfio4j.user.wire.MigrationData;
import org.vfio4j.user.wire.RegionAccess;
import org.vfio4j.user.wire.RegionInfo;
import org.vfio4j.user.wire.RegionIoFds;
import org.vfio4j.user.wire.RegionWriteMulti;

/**
 * What a client can ask for once the version is agreed on. Each command is checked as a whole
 * before any of it is done. Reading and writing of regions makes no object.
 */
final class Commands {
  private static final int PAYLOAD = Header.SIZE;

  private final DeviceSession device;
  private final Negotiated negotiated;
  private final Region[] regions;
  private final List<Irq> irqs;
  private final DmaCommands dma;

  /** What goes beside the reply to the command that was served last. */
  private final List<Descriptor> beside = new ArrayList<>();

  Commands(DeviceSession device, String name, Negotiated negotiated) {
    this.device = device;
    this.negotiated = negotiated;
    this.dma = new DmaCommands(name, device);
    regions = device.regions().toArray(Region[]::new);
    irqs = List.copyOf(device.irqs());
  }

  /** Descriptors that go beside the reply, until the next command; they stay the device's. */
  List<Descriptor> beside() {
    return beside;
  }

  /**
   * Serves the reader's current message.
   *
   * @param reply where the reply goes; its header is left out
   * @return bytes of the reply, its header included
   * @throws MessageException with the errno to answer
   * @throws org.vfio4j.error.VfioException with the errno to answer
   */
  int serve(MessageReader reader, MemorySegment reply) {
    beside.clear();
    MemorySegment in = reader.buffer();
    int at = reader.at() + PAYLOAD;
    int size = reader.size() - PAYLOAD;
    int command = Header.command(in, reader.at());
    if (reader.descriptors() > 0) {
      checkDescriptors(command, reader.descriptors());
    }
    return PAYLOAD
        + switch (command) {
          case Command.REGION_READ -> read(in, at, size, reply);
          case Command.REGION_WRITE -> write(in, at, size, reply);
          case Command.REGION_WRITE_MULTI -> writeMulti(in, at, size, reply);
          case Command.DMA_MAP -> dma.map(reader, at, size);
          case Command.DMA_UNMAP -> dma.unmap(in, at, size, reply, PAYLOAD);
          case Command.GET_INFO -> deviceInfo(in, at, size, reply);
          case Command.GET_REGION_INFO -> regionInfo(in, at, size, reply);
          case Command.GET_REGION_IO_FDS -> regionIoFds(in, at, size, reply);
          case Command.GET_IRQ_INFO -> irqInfo(in, at, size, reply);
          case Command.SET_IRQS -> IrqCommands.set(reader, at, size, irqs, device);
          case Command.RESET -> reset(in, at, size);
          case Command.DEVICE_FEATURE -> feature(in, at, size);
          case Command.MIG_DATA_READ, Command.MIG_DATA_WRITE -> migration(command, in, at, size);
          case Command.VERSION -> throw new MessageException("the version is agreed on already");
          case Command.DMA_READ, Command.DMA_WRITE ->
              throw new MessageException(
                  "%s goes from server to client only".formatted(Command.name(command)));
          default -> throw new MessageException("no such command: command=" + command);
        };
  }

  private static void checkDescriptors(int command, int count) {
    int max =
        switch (command) {
          case Command.DMA_MAP -> 1;
          case Command.SET_IRQS -> Negotiated.MAX_DESCRIPTORS;
          default -> 0;
        };
    if (count > max) {
      throw new MessageException(
          "%s with too many descriptors: count=%d, max=%d"
              .formatted(Command.name(command), count, max));
    }
  }

  private int read(MemorySegment in, int at, int size, MemorySegment reply) {
    RegionAccess.check(Command.REGION_READ, in, at, size, false);
    long offset = RegionAccess.offset(in, at);
    int region = RegionAccess.region(in, at);
    int count = RegionAccess.count(in, at);
    checkAccess(region, offset, count, Region.READ);
    if (count > 0) {
      device.read(region, offset, reply, PAYLOAD + RegionAccess.DATA, count);
    }
    RegionAccess.encode(reply, PAYLOAD, offset, region, count);
    return RegionAccess.SIZE + count;
  }

  private int write(MemorySegment in, int at, int size, MemorySegment reply) {
    RegionAccess.check(Command.REGION_WRITE, in, at, size, true);
    long offset = RegionAccess.offset(in, at);
    int region = RegionAccess.region(in, at);
    int count = RegionAccess.count(in, at);
    checkAccess(region, offset, count, Region.WRITE);
    if (count > 0) {
      device.write(region, offset, in, at + RegionAccess.DATA, count);
    }
    RegionAccess.encode(reply, PAYLOAD, offset, region, count);
    return RegionAccess.SIZE;
  }

  private int writeMulti(MemorySegment in, int at, int size, MemorySegment reply) {
    if (!negotiated.writeMultiple()) {
      throw new MessageException(
          Errno.EOPNOTSUPP, "REGION_WRITE_MULTI was not agreed on with the version");
    }
    RegionWriteMulti.check(in, at, size);
    long writes = RegionWriteMulti.writes(in, at);
    for (long i = 0; i < writes; i++) {
      long write = RegionWriteMulti.write(at, i);
      checkAccess(
          RegionAccess.region(in, write),
          RegionAccess.offset(in, write),
          RegionAccess.count(in, write),
          Region.WRITE);
    }
    for (long i = 0; i < writes; i++) {
      long write = RegionWriteMulti.write(at, i);
      int count = RegionAccess.count(in, write);
      if (count > 0) {
        device.write(
            RegionAccess.region(in, write),
            RegionAccess.offset(in, write),
            in,
            write + RegionWriteMulti.DATA,
            count);
      }
    }
    RegionWriteMulti.encodeReply(reply, PAYLOAD, writes);
    return RegionWriteMulti.SIZE;
  }

  private void checkAccess(int region, long offset, int count, int right) {
    Region info = region(region);
    boolean inside = offset >= 0 && count >= 0 && count <= info.size() - offset;
    if (!inside || count > negotiated.maxTransfer() || (info.flags() & right) == 0) {
      throw new MessageException(
          "no such access: region=%d of size=0x%x flags=0x%x, offset=0x%x, count=%d, max=%d"
              .formatted(
                  region,
                  info.size(),
                  info.flags(),
                  offset,
                  Integer.toUnsignedLong(count),
                  negotiated.maxTransfer()));
    }
  }

  private Region region(int index) {
    if (Integer.compareUnsigned(index, regions.length) >= 0) {
      throw new MessageException(
          "no such region: index=%d, regions=%d"
              .formatted(Integer.toUnsignedLong(index), regions.length));
    }
    return regions[index];
  }

  private int deviceInfo(MemorySegment in, int at, int size, MemorySegment reply) {
    DeviceInfo.parse(in, at, size);
    device.admit();
    var info = new DeviceInfo(DeviceInfo.SIZE, device.flags(), regions.length, irqs.size());
    info.encode(reply, PAYLOAD);
    return info.length();
  }

  private int regionInfo(MemorySegment in, int at, int size, MemorySegment reply) {
    RegionInfo asked = RegionInfo.parse(in, at, size);
    Region region = region(asked.index());
    List<RegionInfo.Area> areas = new ArrayList<>();
    for (Region.Area area : region.areas()) {
      areas.add(new RegionInfo.Area(area.offset(), area.size()));
    }
    Optional<Region.Memory> memory = region.memory();
    RegionInfo info =
        RegionInfo.reply(
                region.flags(),
                asked.index(),
                region.size(),
                memory.map(Region.Memory::offset).orElse(0L),
                areas,
                region.msixMappable())
            .checked(negotiated.maxMessage() - PAYLOAD);
    memory.ifPresent(m -> beside.add(m.file()));
    if (Integer.compareUnsigned(asked.argsz(), info.length()) < 0) {
      info.encodeFixed(reply, PAYLOAD);
      return RegionInfo.SIZE;
    }
    info.encode(reply, PAYLOAD);
    return info.length();
  }

  private int regionIoFds(MemorySegment in, int at, int size, MemorySegment reply) {
    RegionIoFds asked = RegionIoFds.parse(in, at, size);
    region(asked.index());
    List<WriteSignal> signals = device.writeSignals(asked.index());
    int most = Math.min(negotiated.theirDescriptors(), UnixSocket.MAX_DESCRIPTORS);
    List<RegionIoFds.Entry> entries = new ArrayList<>();
    for (WriteSignal signal : signals) {
      int index = placeBeside(signal.eventFd().descriptor(), most);
      int flags = signal.value().isPresent() ? RegionIoFds.DATAMATCH : 0;
      entries.add(
          new RegionIoFds.Entry(
              signal.offset(),
              signal.size(),
              index,
              RegionIoFds.IOEVENTFD,
              flags,
              signal.value().orElse(0)));
    }
    RegionIoFds answer = RegionIoFds.reply(asked.index(), entries, asked.argsz());
    if (answer.entries().isEmpty()) {
      beside.clear();
    }
    answer.encode(reply, PAYLOAD);
    return answer.length();
  }

  /** Where a descriptor is beside the reply; one that several entries are about is there once. */
  private int placeBeside(Descriptor descriptor, int most) {
    int index = beside.indexOf(descriptor);
    if (index < 0) {
      index = beside.size();
      if (index == most) {
        throw new MessageException(
            Errno.ENOSPC, "more eventfds than the client takes: max=" + most);
      }
      beside.add(descriptor);
    }
    return index;
  }

  private int irqInfo(MemorySegment in, int at, int size, MemorySegment reply) {
    IrqInfo asked = IrqInfo.parse(in, at, size);
    if (Integer.compareUnsigned(asked.index(), irqs.size()) >= 0) {
      throw new MessageException(
          "no such interrupt: index=%d, kinds=%d"
              .formatted(Integer.toUnsignedLong(asked.index()), irqs.size()));
    }
    Irq irq = irqs.get(asked.index());
    var info = new IrqInfo(IrqInfo.SIZE, irq.flags(), asked.index(), irq.count());
    info.encode(reply, PAYLOAD);
    return info.length();
  }

  private int reset(MemorySegment in, int at, int size) {
    DeviceReset.parse(in, at, size);
    if ((device.flags() & ServedDevice.RESET) == 0) {
      throw new MessageException("the device cannot be reset");
    }
    device.reset();
    return 0;
  }

  /** ENOTTY is what {@code vfio_ioctl_device_feature} answers where there is no such feature. */
  private static int feature(MemorySegment in, int at, int size) {
    DeviceFeature feature = DeviceFeature.parse(in, at, size);
    throw new MessageException(
        Errno.ENOTTY, "the device has no such feature: feature=" + feature.feature());
  }

  private static int migration(int command, MemorySegment in, int at, int size) {
    MigrationData.parse(command, in, at, size);
    throw new MessageException(Errno.EOPNOTSUPP, "the device cannot be migrated");
  }

  /** The descriptors of a message, by their order; taken over. */
  static List<Optional<Descriptor>> take(MessageReader reader) {
    List<Optional<Descriptor>> taken = new ArrayList<>();
    for (int i = 0; i < reader.descriptors(); i++) {
      taken.add(Optional.of(reader.take(i)));
    }
    return taken;
  }
}
