// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.input.BadInputException;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Which host a command is about. */
final class HostChoice {

  @Parameters(
      paramLabel = "SOURCE",
      arity = "0..1",
      description = {
        "What describes the host: a capture, a umockdev recording, any text that tells of its"
            + " devices (lspci, groups, a kernel log), a folder with a copy of sysfs, or - for"
            + " standard input. This machine if left out."
      })
  private Optional<Path> source = Optional.empty();

  @Option(
      names = "--name",
      paramLabel = "NAME",
      description = "Which host, where the source holds several machines or kernels.")
  private Optional<String> name = Optional.empty();

  /**
   * The host.
   *
   * @throws BadInputException if there is none, or if there are several and none is named
   */
  HostTopology host() {
    if (source.isEmpty()) {
      return choose("this machine", List.of(HostSource.live()), name, "choose one with --name");
    }
    return read(source.get(), name);
  }

  /** The host of that name in the file or folder; without a name, the only one. */
  static HostTopology read(Path source, Optional<String> name) {
    return choose(source.toString(), hosts(source), name, "choose one with --name");
  }

  private static List<HostTopology> hosts(Path source) {
    if (source.toString().isEmpty()) {
      throw new BadInputException(
          "SOURCE", 0, "", "empty: name a file or a folder, or leave it out");
    }
    if (!source.toString().equals("-")) {
      return HostSource.read(source);
    }
    try {
      byte[] bytes = System.in.readNBytes(HostSource.MAX_BYTES + 1);
      return HostSource.parse("standard input", "host", bytes);
    } catch (IOException e) {
      throw new BadInputException("standard input", 0, "", "cannot be read: " + e.getMessage());
    }
  }

  /** The same for a request, which names a host behind a '#'. */
  static HostTopology readNamed(Path source, Optional<String> name) {
    return choose(
        source.toString(),
        HostSource.read(source),
        name,
        "name one, as in 'host: %s#NAME'".formatted(source.getFileName()));
  }

  private static HostTopology choose(
      String source, List<HostTopology> hosts, Optional<String> name, String how) {
    if (name.isEmpty() && hosts.size() == 1) {
      return hosts.getFirst();
    }
    String names = hosts.stream().map(HostTopology::name).collect(Collectors.joining(", "));
    if (name.isEmpty()) {
      throw new BadInputException(
          source, 0, "", "%d hosts in it; %s: %s".formatted(hosts.size(), how, names));
    }
    return hosts.stream()
        .filter(h -> h.name().equals(name.get()))
        .findFirst()
        .orElseThrow(
            () ->
                new BadInputException(
                    source, 0, "", "no host '%s' in it, but: %s".formatted(name.get(), names)));
  }
}
