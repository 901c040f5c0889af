// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.RequestReader;
import org.vfio4j.assign.request.RequestText;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.IommuFacts;
import org.vfio4j.host.Origin;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.Roles;
import org.vfio4j.host.input.BadInputException;

/**
 * What files ask for, and the host that it is about.
 *
 * @param request which VM gets which devices
 * @param host the host; one without devices where none is named, which is so where only devices of
 *     ours are asked for
 * @param live whether it is the machine that this runs on
 * @param wrapped the functions that stand in the request, wrapped, where the files have UUIDs
 */
record AskedAssignment(
    Request request, HostTopology host, boolean live, Map<UUID, PciAddress> wrapped) {
  static final String THIS_MACHINE = "linux";

  private static final HostTopology NONE =
      new HostTopology(
          "no host",
          Origin.MANUAL,
          Optional.empty(),
          false,
          List.of(),
          List.of(),
          List.of(),
          List.of(),
          IommuFacts.UNKNOWN,
          Roles.UNKNOWN);

  /** Copies the map. */
  AskedAssignment {
    wrapped = Map.copyOf(wrapped);
  }

  /** One in which nothing is named otherwise than by the files. */
  AskedAssignment(Request request, HostTopology host, boolean live) {
    this(request, host, live, Map.of());
  }

  /** The word for the machine that this runs on, for the completion of shells. */
  static final class ThisMachine extends CompletionWords {
    ThisMachine() {
      super(THIS_MACHINE);
    }
  }

  /**
   * Reads them.
   *
   * @param files of one host
   * @param source the host, where it is not the one that the first file names
   * @throws BadInputException with the place
   */
  static AskedAssignment read(List<Path> files, Optional<String> source) throws IOException {
    List<RequestText> texts = new ArrayList<>();
    for (Path file : files) {
      texts.add(RequestText.of(file.toString(), InputFile.text(file, "request")));
    }
    return of(texts, files.getFirst(), source, Map.of());
  }

  /**
   * The same of what was read before.
   *
   * @param known what UUIDs meant when it was, whatever they mean now: who has a function by one
   *     goes on with it
   */
  static AskedAssignment of(
      List<RequestText> texts, Path first, Optional<String> source, Map<UUID, PciAddress> known)
      throws IOException {
    String reference = source.orElseGet(() -> named(texts));
    HostTopology host = reference.isEmpty() ? NONE : host(reference, source.isPresent(), first);
    Request request = RequestText.together(texts.stream().map(t -> t.read(host)).toList());
    Map<UUID, PciAddress> wrapped = new HashMap<>(request.wrapped(host));
    wrapped.putAll(known);
    return new AskedAssignment(
        request.wrapping(wrapped), host, reference.equals(THIS_MACHINE), wrapped);
  }

  /** The same beside what runs on this machine, where it is this one and the files do not say. */
  AskedAssignment besideWhatRuns() {
    return live && request.running().isEmpty()
        ? new AskedAssignment(request.beside(RunningVms.of(Path.of("/"))), host, true, wrapped)
        : this;
  }

  /** The host that a request in YAML names; other forms name none. */
  private static String named(List<RequestText> texts) {
    for (RequestText text : texts) {
      if (!text.namesHost()) {
        throw new BadInputException(
            text.source(), 0, "", "does not say which host it is for: name it with --host");
      }
    }
    return RequestReader.read(texts.getFirst().source(), texts.getFirst().text()).host();
  }

  /** What is named: a path, with {@code #name} for one host of several. */
  private static HostTopology host(String reference, boolean onCommandLine, Path file) {
    if (reference.equals(THIS_MACHINE)) {
      LocalDevices.requireIommu();
      return HostSource.live();
    }
    try {
      Path whole = path(reference, onCommandLine, file);
      // A file may have a '#' in its name.
      int hash = Files.exists(whole) ? -1 : reference.lastIndexOf('#');
      return hash < 0
          ? HostChoice.readNamed(whole, Optional.empty())
          : HostChoice.readNamed(
              path(reference.substring(0, hash), onCommandLine, file),
              Optional.of(reference.substring(hash + 1)));
    } catch (InvalidPathException e) {
      throw new BadInputException(file.toString(), 0, "host", "not a path: " + reference);
    }
  }

  /** What is named on the command line is relative to where it is typed. */
  private static Path path(String reference, boolean onCommandLine, Path file) {
    return onCommandLine ? Path.of(reference) : file.resolveSibling(reference);
  }
}
