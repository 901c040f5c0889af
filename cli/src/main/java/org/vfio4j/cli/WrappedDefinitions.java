// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.MdevDefinition;
import org.vfio4j.host.MdevDefinition.Start;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.input.BadInputException;

/**
 * Definitions of wrapped functions, in the folder and the format of mdevctl, which lists them
 * beside its own. Each is a UUID that means {@code wrap ADDRESS} from then on.
 */
final class WrappedDefinitions {
  private static final FileAttribute<Set<PosixFilePermission>> READABLE =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-r--r--"));

  private final HostTopology host;
  private final Path root;

  /**
   * What became of a wish.
   *
   * @param definition what is there now, or was
   * @param file its file
   * @param changed whether it was not so before
   */
  record Outcome(MdevDefinition definition, Path file, boolean changed) {}

  private WrappedDefinitions(HostTopology host, Path root) {
    this.host = host;
    this.root = root;
  }

  /**
   * Those of a machine.
   *
   * @param root its root folder, where it is not this machine
   */
  static WrappedDefinitions of(Optional<Path> root) {
    if (root.isEmpty()) {
      return new WrappedDefinitions(HostSource.live(), Path.of("/"));
    }
    if (!Files.isDirectory(root.get())) {
      throw new BadInputException(
          root.get().toString(), 0, "", "is no folder, as the root of a machine is");
    }
    return new WrappedDefinitions(HostSource.read(root.get()).getFirst(), root.get());
  }

  /**
   * Defines a function as wrapped. What is so already stays as it is.
   *
   * @param wanted its UUID; any where none is wanted
   * @throws RefusedException if the function, or the UUID, is something else already
   */
  Outcome define(PciAddress address, Optional<UUID> wanted) {
    PciFunction function =
        host.function(address)
            .orElseThrow(
                () ->
                    new BadInputException(
                        address.toString(), 0, "", "is no device of the machine; see 'vfio host'"));
    List<MdevDefinition> there = ours(d -> d.wrappedFunction().equals(Optional.of(address)));
    for (MdevDefinition definition : there) {
      if (wanted.orElse(definition.uuid()).equals(definition.uuid())) {
        requireUsable(definition);
        return outcome(definition, false);
      }
    }
    if (!there.isEmpty()) {
      UUID uuid = there.getFirst().uuid();
      throw new RefusedException(
          "%s is defined as %s already: ask for that, or 'vfio undefine %s' first"
              .formatted(address, uuid, uuid));
    }
    if (function.isBridge().orElse(false)) {
      throw new RefusedException(address + " is a bridge: it cannot be given to a VM");
    }
    wanted.ifPresent(this::requireFree);
    requireNobodysParent(address);
    MdevDefinition definition = MdevDefinition.wrapped(wanted.orElseGet(UUID::randomUUID), address);
    write(definition);
    return outcome(definition, true);
  }

  private Outcome outcome(MdevDefinition definition, boolean changed) {
    return new Outcome(definition, root.resolve(definition.file()), changed);
  }

  private List<MdevDefinition> ours(Predicate<MdevDefinition> which) {
    return host.mdevDefinitions().stream().filter(MdevDefinition::isOurs).filter(which).toList();
  }

  /** One that is to start at boot was not written here. */
  private void requireUsable(MdevDefinition definition) {
    if (definition.start() == Start.AUTO) {
      throw new RefusedException(
          "%s says that mdevctl is to start it at boot (\"start\": \"auto\"), which it cannot: 'mdevctl modify -p %s -u %s --manual', or 'vfio undefine %s' and define it again"
              .formatted(
                  root.resolve(definition.file()),
                  definition.parent(),
                  definition.uuid(),
                  definition.uuid()));
    }
  }

  /** A UUID is the name of one thing. */
  private void requireFree(UUID uuid) {
    Optional<Mdev> active = host.mdev(uuid);
    if (active.isPresent()) {
      throw new RefusedException(
          "%s is the UUID of a mediated device on %s: choose another, or leave it to chance"
              .formatted(uuid, active.get().parent()));
    }
    host.mdevDefinitions(uuid).stream()
        .findFirst()
        .ifPresent(
            d -> {
              throw new RefusedException(
                  "%s is defined already, as a %s on %s: choose another, or leave it to chance"
                      .formatted(uuid, d.type(), d.parent()));
            });
  }

  /** A function is wrapped as a whole: what its driver makes of it goes with the driver. */
  private void requireNobodysParent(PciAddress address) {
    String parent = address.toString();
    Optional<Mdev> active =
        host.mdevs().stream().filter(m -> m.parent().equals(parent)).findFirst();
    if (active.isPresent()) {
      throw new RefusedException(
          "the driver of %s has made mdev %s of it, which would go when it is wrapped: 'mdevctl stop -u %s' first"
              .formatted(parent, active.get().uuid(), active.get().uuid()));
    }
    host.mdevDefinitions().stream()
        .filter(d -> d.parent().equals(parent) && d.start() == Start.AUTO)
        .findFirst()
        .ifPresent(
            d -> {
              throw new RefusedException(
                  "mdevctl makes mdev %s of %s at each boot, which would go when it is wrapped: 'mdevctl modify -p %s -u %s --manual' first"
                      .formatted(d.uuid(), parent, parent, d.uuid()));
            });
  }

  /**
   * Whole or not at all: mdevctl lists nothing where it finds half a file. What is in work stands
   * beside the folders of parents, where mdevctl looks at folders only.
   */
  private void write(MdevDefinition definition) {
    Path folder = folder(definition);
    Path file = root.resolve(definition.file());
    try {
      Files.createDirectories(folder);
      Path part = Files.createTempFile(root.resolve(MdevDefinition.FOLDER), ".", ".new", READABLE);
      try {
        try (FileChannel out = FileChannel.open(part, StandardOpenOption.WRITE)) {
          ByteBuffer bytes = ByteBuffer.wrap(definition.bytes());
          while (bytes.hasRemaining()) {
            out.write(bytes);
          }
          out.force(true);
        }
        // A link is refused where another has come first, which a move would replace.
        Files.createLink(file, part);
      } finally {
        Files.delete(part);
      }
      sync(folder);
      // Both may be new.
      sync(root.resolve(MdevDefinition.FOLDER));
      sync(root.resolve(MdevDefinition.FOLDER).resolveSibling("."));
    } catch (FileAlreadyExistsException e) {
      throw new RefusedException(
          "%s is there already, and is no definition that can be read: 'vfio host' says more"
              .formatted(e.getFile()));
    } catch (IOException e) {
      throw new RefusedException("%s: cannot be written: %s".formatted(file, OutputFile.reason(e)));
    }
  }

  private Path folder(MdevDefinition definition) {
    return root.resolve(MdevDefinition.FOLDER).resolve(definition.parent());
  }

  private static void sync(Path folder) throws IOException {
    try (FileChannel entries = FileChannel.open(folder, StandardOpenOption.READ)) {
      entries.force(true);
    }
  }

  /**
   * Removes a definition. Who has the function keeps it.
   *
   * @param name its UUID, or the address of its function
   * @throws RefusedException if it is not one of ours, or more than one
   */
  Outcome undefine(String name) {
    Optional<UUID> uuid = Mdev.parseUuid(name);
    Optional<PciAddress> address = PciAddress.tryParse(name);
    if (uuid.isEmpty() && address.isEmpty()) {
      throw new BadInputException(name, 0, "", "is neither a UUID nor a PCI address");
    }
    List<MdevDefinition> meant =
        ours(
            d ->
                uuid.isPresent()
                    ? d.uuid().equals(uuid.get())
                    : d.wrappedFunction().equals(address));
    if (meant.size() > 1) {
      throw new RefusedException(
          "%s is more than one definition: %s: 'mdevctl undefine -p PARENT -u UUID' removes one of them"
              .formatted(
                  name,
                  meant.stream()
                      .map(d -> d.uuid() + " on " + d.parent())
                      .collect(Collectors.joining(", "))));
    }
    if (meant.isEmpty()) {
      throw none(name, uuid);
    }
    Path file = root.resolve(meant.getFirst().file());
    try {
      Files.delete(file);
      sync(folder(meant.getFirst()));
      return outcome(meant.getFirst(), true);
    } catch (NoSuchFileException e) {
      throw new RefusedException(
          "%s is gone, or is called otherwise: 'mdevctl undefine -p %s -u %s'"
              .formatted(file, meant.getFirst().parent(), meant.getFirst().uuid()));
    } catch (IOException e) {
      throw new RefusedException("%s: cannot be removed: %s".formatted(file, OutputFile.reason(e)));
    }
  }

  private RuntimeException none(String name, Optional<UUID> uuid) {
    List<MdevDefinition> theirs = uuid.map(host::mdevDefinitions).orElse(List.of());
    return theirs.isEmpty()
        ? new BadInputException(
            name, 0, "", "is not defined as a wrapped function; see 'vfio host'")
        : new RefusedException(
            "%s is a %s on %s, which is the kernel's: 'mdevctl undefine -p %s -u %s'"
                .formatted(
                    name,
                    theirs.getFirst().type(),
                    theirs.getFirst().parent(),
                    theirs.getFirst().parent(),
                    name));
  }

  /** Says what became of a wish. */
  static int print(Console console, boolean json, String word, Outcome outcome) {
    MdevDefinition definition = outcome.definition();
    if (json) {
      Json.print(
          console,
          g -> {
            g.writeStartObject();
            Json.put(g, "uuid", definition.uuid().toString());
            Json.put(g, "parent", definition.parent());
            Json.put(g, "type", definition.type());
            Json.put(g, "file", outcome.file().toString());
            g.writeBooleanProperty("changed", outcome.changed());
            g.writeEndObject();
          });
    } else {
      console
          .out()
          .println(
              Text.printable(
                  "%s  wrapped %s  %s"
                      .formatted(
                          definition.uuid(),
                          definition.parent(),
                          outcome.changed() ? word : "as it was")));
    }
    return Main.OK;
  }
}
