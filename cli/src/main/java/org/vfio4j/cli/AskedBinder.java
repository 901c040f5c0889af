// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.vfio4j.linux.bind.BindingException;
import org.vfio4j.linux.bind.DriverBinding.Change;

/**
 * Asks {@code vfio binder}, which runs as root behind a socket. What may be taken although the host
 * lives on it is said there, by root, and not by whoever asks.
 */
record AskedBinder(Path socket) implements Binder {
  @Override
  public List<Change> bind(List<String> functions, List<String> forced) {
    return ask(BinderLine.BIND, functions);
  }

  @Override
  public List<Change> release(List<String> functions) {
    return ask(BinderLine.RELEASE, functions);
  }

  private List<Change> ask(String verb, List<String> functions) {
    if (functions.isEmpty()) {
      return List.of();
    }
    try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket));
        BufferedReader answers =
            new BufferedReader(
                new InputStreamReader(Channels.newInputStream(channel), StandardCharsets.UTF_8))) {
      String question = BinderLine.question(verb, functions) + "\n";
      ByteBuffer bytes = StandardCharsets.UTF_8.encode(question);
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
      channel.shutdownOutput();
      String answer = answers.readLine();
      if (answer == null) {
        throw new BindingException(
            "%s gave no answer to %s: 'journalctl -u vfio4j-bind@*' says why"
                .formatted(socket, verb));
      }
      return BinderLine.changes(answer);
    } catch (IOException e) {
      throw new BindingException(
          "%s cannot be asked to %s: %s".formatted(socket, verb, OutputFile.reason(e)), e);
    }
  }
}
