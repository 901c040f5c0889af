// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.powercut;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;

/**
 * A disk with a volatile cache, for QEMU over NBD ("newstyle" of its protocol.md): what was not
 * flushed when QEMU is gone is lost, block by block as a seed has it. Of a disconnection as the
 * protocol has it nothing is lost. One client at a time.
 *
 * <p>Blocks have 4 KiB, and none is torn.
 */
final class VolatileDisk {
  private static final int BLOCK = 4096;
  private static final int MOST = 32 << 20;

  private static final long GREETING = 0x4e42444d41474943L;
  private static final long OPTION = 0x49484156454f5054L;
  private static final long OPTION_REPLY = 0x3e889045565a9L;
  private static final int EXPORT_NAME = 1;
  private static final int ABORT = 2;
  private static final int GO = 7;
  private static final int REPLY_ACK = 1;
  private static final int REPLY_INFO = 3;
  private static final int REPLY_UNSUPPORTED = 0x80000001;
  private static final int FIXED_NEWSTYLE = 1;
  private static final int HAS_FLAGS_AND_FLUSH = 1 | 4;

  private static final int REQUEST = 0x25609513;
  private static final int REPLY = 0x67446698;
  private static final int READ = 0;
  private static final int WRITE = 1;
  private static final int DISCONNECT = 2;
  private static final int FLUSH = 3;
  private static final int EINVAL = 22;

  /** How much of what was not flushed a cut takes. */
  private enum Loss {
    ALL,
    SOME,
    FEW
  }

  private final FileChannel image;
  private final long size;
  private final Random random;
  private final boolean lying;
  private final Path socket;

  /** What was written since the last flush, by the block's number. */
  private final Map<Long, byte[]> cached = new TreeMap<>();

  private long writes;
  private long flushes;

  /**
   * A disk.
   *
   * @param image what is on it, of whole blocks
   * @param socket where it is served; beside it a file {@code hold} asks for a flush that is not
   *     done, and a file {@code held} says that one waits
   * @param lying whether a flush is answered and not done
   */
  VolatileDisk(FileChannel image, Path socket, long seed, boolean lying) throws IOException {
    this.image = image;
    this.socket = socket;
    this.size = image.size();
    this.random = new Random(seed);
    this.lying = lying;
  }

  /**
   * Serves one client after the other, and prints a line when one is gone.
   *
   * @param args the image, the socket, a seed, and "lying" for a disk that only says it has flushed
   */
  public static void main(String[] args) throws IOException {
    Path socket = Path.of(args[1]);
    try (FileChannel image =
            FileChannel.open(Path.of(args[0]), StandardOpenOption.READ, StandardOpenOption.WRITE);
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      VolatileDisk disk =
          new VolatileDisk(
              image, socket, Long.parseLong(args[2]), args.length > 3 && args[3].equals("lying"));
      Files.deleteIfExists(socket);
      server.bind(UnixDomainSocketAddress.of(socket));
      System.out.println("ready");
      while (true) {
        try (SocketChannel client = server.accept()) {
          System.out.println(disk.serve(client));
        }
      }
    }
  }

  /** Serves a client to its end; what is to be said of it. */
  String serve(SocketChannel client) throws IOException {
    writes = 0;
    flushes = 0;
    DataInputStream in =
        new DataInputStream(new BufferedInputStream(Channels.newInputStream(client), 1 << 18));
    DataOutputStream out =
        new DataOutputStream(new BufferedOutputStream(Channels.newOutputStream(client), 1 << 18));
    boolean ended = false;
    try {
      ended = !negotiated(in, out) || transmit(in, out);
    } catch (IOException _) {
      // QEMU was killed. What the image refuses, and what is no request, ends this process.
    }
    if (ended) {
      keep();
      return "ended: %d writes, %d flushes".formatted(writes, flushes);
    }
    return cut();
  }

  private static boolean negotiated(DataInputStream in, DataOutputStream out, long size)
      throws IOException {
    out.writeLong(GREETING);
    out.writeLong(OPTION);
    out.writeShort(FIXED_NEWSTYLE);
    out.flush();
    in.readInt();
    while (true) {
      if (in.readLong() != OPTION) {
        throw new IllegalStateException("no option");
      }
      int option = in.readInt();
      byte[] data = in.readNBytes(in.readInt());
      switch (option) {
        case GO -> {
          reply(out, option, REPLY_INFO, export(size));
          reply(out, option, REPLY_ACK, new byte[0]);
          return true;
        }
        case EXPORT_NAME -> {
          out.writeLong(size);
          out.writeShort(HAS_FLAGS_AND_FLUSH);
          out.write(new byte[124]);
          out.flush();
          return true;
        }
        case ABORT -> {
          reply(out, option, REPLY_ACK, data);
          return false;
        }
        default -> reply(out, option, REPLY_UNSUPPORTED, new byte[0]);
      }
    }
  }

  private boolean negotiated(DataInputStream in, DataOutputStream out) throws IOException {
    return negotiated(in, out, size);
  }

  /** NBD_INFO_EXPORT. */
  private static byte[] export(long size) {
    return ByteBuffer.allocate(12)
        .putShort((short) 0)
        .putLong(size)
        .putShort((short) HAS_FLAGS_AND_FLUSH)
        .array();
  }

  private static void reply(DataOutputStream out, int option, int type, byte[] data)
      throws IOException {
    out.writeLong(OPTION_REPLY);
    out.writeInt(option);
    out.writeInt(type);
    out.writeInt(data.length);
    out.write(data);
    out.flush();
  }

  /** Until the client disconnects, or is gone. */
  private boolean transmit(DataInputStream in, DataOutputStream out) throws IOException {
    while (true) {
      if (in.readInt() != REQUEST) {
        throw new IllegalStateException("no request");
      }
      in.readShort();
      int type = in.readShort();
      long handle = in.readLong();
      long offset = in.readLong();
      int length = in.readInt();
      byte[] data = new byte[0];
      int error = 0;
      boolean whole = length >= 0 && length <= MOST && offset >= 0 && offset <= size - length;
      switch (type) {
        case READ -> {
          if (whole) {
            data = read(offset, length);
          } else {
            error = EINVAL;
          }
        }
        case WRITE -> {
          if (!whole) {
            throw new IllegalStateException("a write beyond the end");
          }
          byte[] written = in.readNBytes(length);
          if (written.length < length) {
            throw new EOFException();
          }
          write(offset, written);
        }
        case FLUSH -> {
          hold(in);
          flush();
        }
        case DISCONNECT -> {
          return true;
        }
        default -> error = EINVAL;
      }
      out.writeInt(REPLY);
      out.writeInt(error);
      out.writeLong(handle);
      out.write(data);
      out.flush();
    }
  }

  /** Where it is asked for, the power is cut while there is something to flush. */
  private void hold(DataInputStream in) throws IOException {
    if (cached.isEmpty() || !Files.deleteIfExists(socket.resolveSibling("hold"))) {
      return;
    }
    Files.createFile(socket.resolveSibling("held"));
    while (in.read() >= 0) {
      // What comes besides is not answered, and may be lost.
    }
    throw new EOFException();
  }

  /** Reads what was written last, flushed or not. */
  byte[] read(long offset, int length) {
    byte[] all = new byte[length];
    for (int at = 0, n; at < length; at += n) {
      long number = (offset + at) / BLOCK;
      int within = (int) ((offset + at) % BLOCK);
      n = Math.min(BLOCK - within, length - at);
      byte[] block = cached.get(number);
      System.arraycopy(block == null ? stored(number) : block, within, all, at, n);
    }
    return all;
  }

  private byte[] stored(long number) {
    ByteBuffer block = ByteBuffer.allocate(BLOCK);
    try {
      while (block.hasRemaining() && image.read(block, number * BLOCK + block.position()) > 0) {
        // Until the block is whole.
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return block.array();
  }

  /** Writes into the cache. */
  void write(long offset, byte[] data) {
    writes++;
    for (int at = 0, n; at < data.length; at += n) {
      long number = (offset + at) / BLOCK;
      int within = (int) ((offset + at) % BLOCK);
      n = Math.min(BLOCK - within, data.length - at);
      byte[] block = cached.get(number);
      if (block == null) {
        block = stored(number);
        cached.put(number, block);
      }
      System.arraycopy(data, at, block, within, n);
    }
  }

  /** All that was written is to stay. */
  void flush() {
    flushes++;
    if (!lying) {
      keep();
    }
  }

  private void keep() {
    for (Map.Entry<Long, byte[]> block : cached.entrySet()) {
      store(block.getKey(), block.getValue());
    }
    cached.clear();
  }

  private void store(long number, byte[] block) {
    ByteBuffer data = ByteBuffer.wrap(block);
    try {
      while (data.hasRemaining()) {
        image.write(data, number * BLOCK + data.position());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The power is gone; what is to be said of it. */
  String cut() {
    Loss loss = Loss.values()[random.nextInt(Loss.values().length)];
    int unflushed = cached.size();
    int lost = 0;
    for (Map.Entry<Long, byte[]> block : cached.entrySet()) {
      boolean stays =
          switch (loss) {
            case ALL -> false;
            case SOME -> random.nextBoolean();
            case FEW -> random.nextInt(8) > 0;
          };
      if (stays) {
        store(block.getKey(), block.getValue());
      } else {
        lost++;
      }
    }
    cached.clear();
    return "cut: %d writes, %d flushes, %d of %d blocks lost that were not flushed"
        .formatted(writes, flushes, lost, unflushed);
  }
}
