// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** A stream of this process that remembers what it could not write, which PrintStream forgets. */
final class AnswerStream extends PrintStream {

  private static final int BUFFER = 1 << 16;

  /** The file below the buffer. */
  private static final class Noting extends FilterOutputStream {
    private Optional<IOException> lost = Optional.empty();

    Noting(OutputStream file) {
      super(file);
    }

    @Override
    public void write(byte[] bytes, int from, int length) throws IOException {
      try {
        out.write(bytes, from, length);
      } catch (IOException e) {
        lost = lost.or(() -> Optional.of(e));
        throw e;
      }
    }
  }

  private final Noting file;

  private AnswerStream(Noting file) {
    super(new BufferedOutputStream(file, BUFFER), false, StandardCharsets.UTF_8);
    this.file = file;
  }

  static AnswerStream to(FileDescriptor descriptor) {
    return new AnswerStream(new Noting(new FileOutputStream(descriptor)));
  }

  /** What went wrong first, once the buffer is written. */
  Optional<IOException> lost() {
    flush();
    return file.lost;
  }
}
