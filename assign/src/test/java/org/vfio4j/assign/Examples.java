// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;

/** The requests that come with the project. */
final class Examples {
  private static final Path FOLDER = Path.of("..", "examples");

  private Examples() {}

  /** The tour and the matrix, by file. */
  static Stream<String> names() {
    return Stream.of("tour", "matrix/0", "matrix/1", "matrix/2", "matrix/3", "matrix/4", "matrix/5")
        .map(n -> n + ".yaml")
        .flatMap(n -> n.endsWith("5.yaml") ? Stream.of(n, "matrix/extra.yaml") : Stream.of(n));
  }

  static Request request(String name) {
    Path path = FOLDER.resolve(name);
    try {
      return RequestReader.read(path.toString(), Files.readString(path));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The host that the request is about. */
  static HostTopology host(String name) {
    return HostSource.read(FOLDER.resolve(name).resolveSibling(request(name).host())).getFirst();
  }

  /** Every captured host. */
  static Stream<HostTopology> hosts() {
    try (Stream<Path> files = Files.list(FOLDER.resolve("hosts"))) {
      return files.sorted().toList().stream().flatMap(f -> HostSource.read(f).stream());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
