// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.api;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

/** Objects as an answer, each sent at once. */
public final class ApiLines implements AutoCloseable {
  private final OutputStream out;

  ApiLines(OutputStream out) {
    this.out = out;
  }

  /**
   * Sends one, and waits until it has gone.
   *
   * @param json without a line break
   * @throws IOException if nobody reads any more
   */
  public void send(String json) throws IOException {
    out.write((json + "\n").getBytes(StandardCharsets.UTF_8));
    out.flush();
  }

  @Override
  public void close() throws IOException {
    out.close();
  }
}
