// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.io.IOException;
import java.io.InputStream;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.vfio4j.host.input.BadInputException;

/**
 * Reads hosts from wherever they are described. A folder is a sysfs tree, or a root folder with
 * {@code sys} and perhaps {@code proc} in it; a file is a capture of this project, a recording of
 * umockdev, or text with output of lspci, a listing of groups or a kernel log, in any mixture.
 */
public final class HostSource {

  /** Bytes that a file may have: the biggest recordings of big servers are a tenth of it. */
  public static final int MAX_BYTES = 32 << 20;

  private static final int MAX_LINE = 1 << 20;
  private static final int HEAD = 1 << 16;

  /** What lshw's JSON has of each device on a bus, and no capture. */
  private static final String LSHW = "\"businfo\"";

  private HostSource() {}

  /** The machine that this program runs on. */
  public static HostTopology live() {
    return SysfsReader.read("/sys", "live", Path.of("/"), addressedInterfaces());
  }

  /** proc shows an address of IPv4 by its routes only; one may have none in the main table. */
  private static List<String> addressedInterfaces() {
    try {
      return NetworkInterface.networkInterfaces()
          .filter(i -> !i.getInterfaceAddresses().isEmpty())
          .map(NetworkInterface::getName)
          .toList();
    } catch (SocketException e) {
      // Nothing to ask: what proc shows counts.
      return List.of();
    }
  }

  /**
   * Reads the hosts of a file or folder: one, or several where the source holds several machines or
   * kernels; these have different names.
   *
   * @throws BadInputException if there is no such file, or if it holds no host, is cut off, or
   *     describes a machine that cannot exist
   */
  public static List<HostTopology> read(Path path) {
    String source = path.toString();
    if (Files.isDirectory(path)) {
      return List.of(SysfsReader.read(source, nameOf(path), path));
    }
    return parse(source, nameOf(path), bytes(path, source));
  }

  /**
   * Reads the hosts of a file that is in memory already.
   *
   * @param source the file, as the user named it
   * @param name name of the host where the source has one host and no name for it
   * @param content the bytes of the file
   * @throws BadInputException as {@link #read(Path)}
   */
  public static List<HostTopology> parse(String source, String name, byte[] content) {
    if (content.length > MAX_BYTES) {
      throw tooBig(source);
    }
    if (content.length == 0) {
      throw new BadInputException(source, 0, "", "empty: no host in it");
    }
    try {
      return parseKnown(source, name, content);
    } catch (IllegalArgumentException refused) {
      // Values check themselves; what a reader has not refused with its place is refused here.
      String message = String.valueOf(refused.getMessage()).lines().findFirst().orElse("");
      throw new BadInputException(source, 0, "", message);
    }
  }

  private static List<HostTopology> parseKnown(String source, String name, byte[] content) {
    String text = new String(content, StandardCharsets.UTF_8);
    if (beginsWithBrace(content) && !text.contains(LSHW)) {
      return List.of(CaptureReader.read(source, name, content));
    }
    checkLines(source, content);
    if (UmockdevReader.accepts(text)) {
      return List.of(UmockdevReader.read(source, name, text));
    }
    return TextReader.read(source, name, text);
  }

  private static byte[] bytes(Path path, String source) {
    if (!Files.exists(path)) {
      throw new BadInputException(source, 0, "", "no such file or folder");
    }
    if (!Files.isReadable(path)) {
      throw new BadInputException(source, 0, "", "cannot be read: permission denied");
    }
    try (InputStream in = Files.newInputStream(path)) {
      if (Files.isRegularFile(path) && Files.size(path) > MAX_BYTES) {
        throw tooBig(source);
      }
      byte[] head = in.readNBytes(HEAD);
      // What is no text is not read to its end, which /dev/zero has not.
      boolean binary = !Files.isRegularFile(path) && contains(head, (byte) 0);
      return binary ? head : join(head, in.readNBytes(MAX_BYTES + 1 - head.length));
    } catch (IOException e) {
      throw new BadInputException(source, 0, "", "cannot be read: " + e.getMessage());
    }
  }

  private static boolean contains(byte[] bytes, byte wanted) {
    for (byte b : bytes) {
      if (b == wanted) {
        return true;
      }
    }
    return false;
  }

  private static byte[] join(byte[] head, byte[] rest) {
    byte[] all = Arrays.copyOf(head, head.length + rest.length);
    System.arraycopy(rest, 0, all, head.length, rest.length);
    return all;
  }

  private static BadInputException tooBig(String source) {
    return new BadInputException(
        source, 0, "", "bigger than " + (MAX_BYTES >> 20) + " MiB: no capture of a host");
  }

  private static boolean beginsWithBrace(byte[] content) {
    int at = content.length >= 3 && content[0] == (byte) 0xef ? 3 : 0;
    while (at < content.length && content[at] <= ' ' && content[at] > 0) {
      at++;
    }
    return at < content.length && content[at] == '{';
  }

  /** Binary data and endless lines are refused before anything else is done with them. */
  private static void checkLines(String source, byte[] content) {
    int line = 1;
    int begin = 0;
    for (int i = 0; i < content.length; i++) {
      if (content[i] == 0) {
        throw new BadInputException(source, line, "", "binary data: no capture of a host");
      }
      if (content[i] == '\n') {
        line++;
        begin = i + 1;
      } else if (i - begin > MAX_LINE) {
        throw new BadInputException(source, line, "", "line longer than 1 MiB: no capture");
      }
    }
  }

  private static String nameOf(Path path) {
    Path file = path.toAbsolutePath().normalize().getFileName();
    String name = file == null ? "host" : file.toString();
    int dot = name.lastIndexOf('.');
    return dot > 0 && !Files.isDirectory(path) ? name.substring(0, dot) : name;
  }
}
