// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.vfio4j.host.input.BadInputException;

/** A file that somebody wrote for a command to read. */
final class InputFile {
  private static final int MAX_BYTES = 16 << 20;

  private InputFile() {}

  /**
   * Its text.
   *
   * @param kind what it should be, for messages
   * @throws BadInputException if it is a folder, larger than 16 MiB, or not in UTF-8
   */
  static String text(Path path, String kind) throws IOException {
    if (Files.isDirectory(path)) {
      throw bad(path, "is a folder, not a " + kind);
    }
    byte[] bytes;
    try (InputStream in = Files.newInputStream(path)) {
      bytes = in.readNBytes(MAX_BYTES + 1);
    }
    if (bytes.length > MAX_BYTES) {
      throw bad(path, "bigger than %d MiB: no %s".formatted(MAX_BYTES >> 20, kind));
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw bad(path, "is no text in UTF-8");
    }
  }

  private static BadInputException bad(Path path, String message) {
    return new BadInputException(path.toString(), 0, "", message);
  }
}
