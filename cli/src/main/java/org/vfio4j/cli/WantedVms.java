// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.vfio4j.host.input.BadInputException;

/**
 * The VMs that a daemon is to serve, a file each in a folder. What was written is there after a
 * power cut, whole or not at all.
 */
final class WantedVms {
  private static final String END = ".json";
  private static final String PART = ".part";

  private final Path folder;

  /** What is there for sure, by their names. */
  private final Map<String, WantedVm> there = new ConcurrentHashMap<>();

  private WantedVms(Path folder) {
    this.folder = folder;
  }

  /**
   * Those of a folder, which is made where it is missing.
   *
   * @throws BadInputException if there can be none
   */
  static WantedVms in(Path folder) {
    try {
      Path there = folder;
      while (there.getParent() != null && !Files.exists(there)) {
        there = there.getParent();
      }
      Files.createDirectories(
          folder,
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      // What is written in a folder is not lost, and neither may the folder be.
      for (Path at = folder; !at.equals(there) && at.getParent() != null; ) {
        at = at.getParent();
        sync(at);
      }
      return new WantedVms(folder);
    } catch (IOException e) {
      throw new BadInputException(
          folder.toString(), 0, "", "cannot be made: " + OutputFile.reason(e));
    }
  }

  /**
   * All of them, by their names.
   *
   * @param damaged is told of each that cannot be read, which stays as it is
   */
  List<WantedVm> read(Consumer<String> damaged) throws IOException {
    TreeSet<Path> files = new TreeSet<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
      for (Path file : entries) {
        if (file.toString().endsWith(PART)) {
          // Whoever was told nothing expects nothing.
          remove(file, damaged);
        } else if (file.toString().endsWith(END)) {
          files.add(file);
        }
      }
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
    boolean lasting = lasting(damaged);
    List<WantedVm> all = new ArrayList<>();
    for (Path file : files) {
      try {
        WantedVm vm = WantedVm.read(file.toString(), Files.readString(file));
        all.add(vm);
        if (lasting && file.equals(file(vm.name()))) {
          there.put(vm.name(), vm);
        }
      } catch (BadInputException e) {
        damaged.accept(String.valueOf(e.getMessage()));
      } catch (IOException e) {
        damaged.accept(file + ": " + OutputFile.reason(e));
      }
    }
    return all;
  }

  /** Who died before this process may not have lived to see it flushed. */
  private boolean lasting(Consumer<String> damaged) {
    try {
      sync(folder);
      return true;
    } catch (IOException e) {
      damaged.accept("%s cannot be flushed: %s".formatted(folder, OutputFile.reason(e)));
      return false;
    }
  }

  /** What is left there keeps nobody from being served. */
  private static void remove(Path part, Consumer<String> damaged) {
    try {
      Files.delete(part);
    } catch (IOException e) {
      damaged.accept("%s cannot be removed: %s".formatted(part, OutputFile.reason(e)));
    }
  }

  private Path file(String name) {
    return folder.resolve(PluggedVm.folderName(name) + END);
  }

  /**
   * Writes one, in place of what it was; nothing where that is the same, so that a disk that takes
   * nothing keeps nobody from going on.
   *
   * @throws RefusedException if it cannot be written: what it was is there then, whole; or, if only
   *     the folder could not be flushed, this
   */
  void write(WantedVm vm) {
    if (vm.equals(there.get(vm.name()))) {
      return;
    }
    there.remove(vm.name());
    Path file = file(vm.name());
    Path part = file.resolveSibling(file.getFileName() + PART);
    try {
      try (FileChannel out =
          FileChannel.open(
              part,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.WRITE)) {
        ByteBuffer bytes = StandardCharsets.UTF_8.encode(vm.json());
        // A disk that gets full takes a part of it first, and says so only when asked again.
        while (bytes.hasRemaining()) {
          out.write(bytes);
        }
        out.force(true);
      }
      Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
      sync(folder);
      there.put(vm.name(), vm);
    } catch (IOException e) {
      throw new RefusedException(
          "%s: cannot be written down in %s, and would be forgotten: %s"
              .formatted(vm.name(), folder, OutputFile.reason(e)));
    }
  }

  /** Forgets one. */
  void remove(String name) {
    there.remove(name);
    try {
      Files.deleteIfExists(file(name));
      sync(folder);
    } catch (IOException e) {
      throw new RefusedException(
          "%s: cannot be forgotten in %s, and would be served again: %s"
              .formatted(name, folder, OutputFile.reason(e)));
    }
  }

  private static void sync(Path folder) throws IOException {
    try (FileChannel entries = FileChannel.open(folder, StandardOpenOption.READ)) {
      entries.force(true);
    }
  }
}
