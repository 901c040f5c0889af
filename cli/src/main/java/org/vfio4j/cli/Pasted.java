// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.vfio4j.host.input.BadInputException;

/**
 * A text that somebody wants explained.
 *
 * @param text the text
 * @param log the file or stream that it comes from; empty for words of the command line
 */
record Pasted(String text, Optional<String> log) {

  private static final int MAX_BYTES = 16 << 20;

  /** One character of so many that is no text makes the whole no text. */
  private static final int MAX_BINARY_SHARE = 20;

  static Pasted ofWords(List<String> words) {
    String joined = String.join(" ", words);
    return new Pasted(joined.substring(0, Math.min(MAX_BYTES, joined.length())), Optional.empty());
  }

  /**
   * The text of a file.
   *
   * @throws BadInputException if it is a folder, empty, too big, or no text
   */
  static Pasted ofFile(Path path) throws IOException {
    if (Files.isDirectory(path)) {
      throw new BadInputException(path.toString(), 0, "", "is a folder, not a log");
    }
    try (InputStream in = Files.newInputStream(path)) {
      return read(in, path.toString());
    }
  }

  /** The text of standard input, with the same bounds. */
  static Pasted ofStandardInput(InputStream in) throws IOException {
    return read(in, "standard input");
  }

  private static Pasted read(InputStream in, String name) throws IOException {
    byte[] bytes = in.readNBytes(MAX_BYTES + 1);
    if (bytes.length > MAX_BYTES) {
      throw new BadInputException(
          name,
          0,
          "",
          "bigger than %d MiB; give its end: tail -c 10M LOG | vfio explain"
              .formatted(MAX_BYTES >> 20));
    }
    int binary = 0;
    for (byte b : bytes) {
      binary += b >= 0 && b < ' ' && b != '\n' && b != '\r' && b != '\t' && b != 0x1b ? 1 : 0;
    }
    if (binary > bytes.length / MAX_BINARY_SHARE) {
      throw new BadInputException(name, 0, "", "is no text");
    }
    String text = new String(bytes, StandardCharsets.UTF_8);
    if (text.isBlank()) {
      throw new BadInputException(name, 0, "", "is empty");
    }
    return new Pasted(text, Optional.of(name));
  }

  /** Whether somebody would have to type standard input. */
  static boolean isTerminal() {
    try {
      String target = Files.readSymbolicLink(Path.of("/proc/self/fd/0")).toString();
      return target.startsWith("/dev/pts/")
          || target.startsWith("/dev/tty")
          || target.equals("/dev/console");
    } catch (IOException _) {
      // Closed, or no /proc: there is nothing to read.
      return true;
    }
  }
}
