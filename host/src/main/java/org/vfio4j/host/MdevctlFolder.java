// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.UUID;
import org.vfio4j.host.input.BadInputException;

/**
 * mdevctl's definitions, {@code etc/mdevctl.d/PARENT/UUID} below the root of a machine. One that
 * cannot be read is told, and keeps nothing else from being read.
 */
final class MdevctlFolder {

  /** mdevctl has scripts of its own there, and nothing else beside the parents. */
  private static final String SCRIPTS = "scripts.d";

  private static final int MAX_BYTES = 1 << 20;

  /** As many as no machine has: beyond that somebody else's files are in the way. */
  private static final int MAX_FILES = 10_000;

  private final HostBuilder host;
  private int files;

  private MdevctlFolder(HostBuilder host) {
    this.host = host;
  }

  /** Tells the builder what is defined below a root. */
  static void read(Path root, HostBuilder host) {
    new MdevctlFolder(host).readAll(root.resolve(MdevDefinition.FOLDER));
  }

  private void readAll(Path folder) {
    if (!Files.exists(folder)) {
      return;
    }
    if (isClosed(folder)) {
      lost(MdevDefinition.FOLDER + ": cannot be read: permission denied, or no folder");
      return;
    }
    for (Path parent : SysfsReader.entries(folder)) {
      String name = parent.getFileName().toString();
      if (!name.equals(SCRIPTS)) {
        readParent(MdevDefinition.FOLDER + "/" + name, name, parent);
      }
    }
  }

  private static boolean isClosed(Path folder) {
    return !Files.isDirectory(folder) || !Files.isReadable(folder) || !Files.isExecutable(folder);
  }

  private void readParent(String place, String name, Path folder) {
    if (isClosed(folder)) {
      lost(place + ": no folder of a parent that can be read");
      return;
    }
    for (Path file : SysfsReader.entries(folder)) {
      String at = place + "/" + file.getFileName();
      if (++files > MAX_FILES) {
        lost(at + ": more than " + MAX_FILES + " files; neither this nor what follows is read");
        return;
      }
      Optional<UUID> uuid = Mdev.parseUuid(file.getFileName().toString());
      if (uuid.isEmpty() || !Files.isRegularFile(file)) {
        lost(at + ": no file with a UUID for a name");
      } else {
        readFile(at, name, uuid.get(), file);
      }
    }
  }

  private void readFile(String place, String parent, UUID uuid, Path file) {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(MAX_BYTES + 1);
      if (bytes.length > MAX_BYTES) {
        lost(place + ": bigger than " + (MAX_BYTES >> 20) + " MiB");
      } else if (!host.mdevDefinition(MdevDefinition.read(place, parent, uuid, bytes))) {
        lost(place + ": a second definition of this UUID for this parent");
      }
    } catch (IOException e) {
      lost(place + ": cannot be read: " + e.getMessage());
    } catch (BadInputException | IllegalArgumentException e) {
      lost(String.valueOf(e.getMessage()));
    }
  }

  private void lost(String what) {
    host.lost(new Loss(0, what, Loss.Reason.NOT_READ));
  }
}
