// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;

/**
 * QEMU's qtest protocol: lines of text in place of a processor. One thread at a time. Addresses are
 * the guest's physical ones; values are little endian.
 */
public final class Qtest implements AutoCloseable {
  /** How long anything may take on a machine that is busy with other things. */
  static final Duration SOON = Duration.ofSeconds(20);

  private final SocketChannel channel;
  private final BufferedReader in;

  /** Inputs of the interrupt controller that are raised. */
  private final Set<Integer> raised = new TreeSet<>();

  Qtest(SocketChannel channel) {
    this.channel = channel;
    in = new BufferedReader(Channels.newReader(channel, StandardCharsets.US_ASCII));
  }

  /** Sends a command; what comes after {@code OK}. */
  String command(String format, Object... arguments) {
    String line = format.formatted(arguments);
    try {
      ByteBuffer bytes = ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.US_ASCII));
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
      while (true) {
        String answer = in.readLine();
        if (answer == null) {
          throw new IOException("QEMU has gone");
        } else if (answer.startsWith("IRQ ")) {
          line(answer);
        } else if (answer.equals("OK") || answer.startsWith("OK ")) {
          return answer.substring(2).strip();
        } else {
          throw new IOException(answer);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(line + ": " + e.getMessage(), e);
    }
  }

  /** QEMU says by itself: {@code IRQ raise 21}. */
  private void line(String said) {
    String[] words = said.split(" ");
    if (words[1].equals("raise")) {
      raised.add(Integer.parseInt(words[2]));
    } else {
      raised.remove(Integer.parseInt(words[2]));
    }
  }

  /** A port of {@code size} bytes. */
  long in(int port, int size) {
    return value(command("in%s 0x%x", letter(size), port));
  }

  void out(int port, int size, long value) {
    command("out%s 0x%x 0x%x", letter(size), port, value);
  }

  /** A register of {@code size} bytes. */
  long read(long address, int size) {
    return value(command("read%s 0x%x", letter(size), address));
  }

  void write(long address, int size, long value) {
    command("write%s 0x%x 0x%x", letter(size), address, value);
  }

  public int readl(long address) {
    return (int) read(address, 4);
  }

  public void writel(long address, long value) {
    write(address, 4, value & 0xffff_ffffL);
  }

  void writeq(long address, long value) {
    write(address, 8, value);
  }

  /** Memory, as the processor sees it. */
  byte[] readBytes(long address, int count) {
    return HexFormat.of().parseHex(command("read 0x%x 0x%x", address, count).substring(2));
  }

  void writeBytes(long address, byte[] bytes) {
    command("write 0x%x 0x%x 0x%s", address, bytes.length, HexFormat.of().formatHex(bytes));
  }

  /** Has QEMU report the inputs of the interrupt controller, in place of delivering them. */
  void interceptIoApic() {
    command("irq_intercept_in ioapic");
  }

  /** The inputs that are raised, as far as QEMU has said by now. */
  Set<Integer> raised() {
    turn();
    return raised;
  }

  /** Lets QEMU's main loop go round. */
  void turn() {
    command("clock_step 1");
  }

  /** Until {@code condition}; between two looks QEMU has a turn. */
  public void await(String what, BooleanSupplier condition) {
    long deadline = System.nanoTime() + SOON.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() - deadline > 0) {
        throw new AssertionError("not within %d s: %s".formatted(SOON.toSeconds(), what));
      }
      turn();
    }
  }

  private static String letter(int size) {
    return switch (size) {
      case 1 -> "b";
      case 2 -> "w";
      case 4 -> "l";
      case 8 -> "q";
      default -> throw new IllegalArgumentException("size: " + size);
    };
  }

  private static long value(String hex) {
    return Long.parseUnsignedLong(hex.substring(2), 16);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
