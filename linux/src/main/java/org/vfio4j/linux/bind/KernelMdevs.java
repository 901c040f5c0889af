// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.bind;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.vfio4j.linux.sysfs.DeviceLinks;
import org.vfio4j.posix.OpenFiles;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;

/**
 * Mediated devices that drivers of this machine's kernel make: started and stopped by the files of
 * sysfs, in the steps in which mdevctl does it.
 */
public final class KernelMdevs {
  private final AttributeFiles files;
  private final Path sys;
  private final Function<String, List<String>> users;

  /**
   * A device that is to be.
   *
   * @param parent kernel name of the device that offers it
   * @param type id of its type
   * @param uuid its name
   * @param attributes what is written to files of it then, in this order
   */
  public record Wanted(String parent, String type, UUID uuid, List<Setting> attributes) {
    /** Copies the list. */
    public Wanted {
      attributes = List.copyOf(attributes);
    }
  }

  /**
   * A file of a device, and what is written to it.
   *
   * @param file its path below the device's folder
   * @param text the text
   */
  public record Setting(String file, String text) {}

  KernelMdevs(AttributeFiles files, Path sys, Function<String, List<String>> users) {
    this.files = files;
    this.sys = sys;
    this.users = users;
  }

  /** Those of the machine that this runs on. */
  public static KernelMdevs ofThisMachine() {
    return in(Path.of("/sys"));
  }

  /** Those of a folder that looks like {@code /sys}. */
  public static KernelMdevs in(Path sys) {
    return new KernelMdevs(AttributeFiles.of(SystemCalls.libc()), sys, KernelMdevs::usersOfGroup);
  }

  private static List<String> usersOfGroup(String group) {
    return OpenFiles.users(Path.of("/dev/vfio", group)).stream()
        .map(OpenFiles.User::toString)
        .toList();
  }

  /** The folder of a device. */
  private Path folder(UUID uuid) {
    return sys.resolve("bus/mdev/devices").resolve(uuid.toString());
  }

  /** Whether the kernel has a device of this name. */
  public boolean isThere(UUID uuid) {
    return Files.exists(folder(uuid));
  }

  /**
   * Starts a device: makes it, then writes its attributes.
   *
   * @throws BindingException if it is there already, its parent does not offer it, or the kernel
   *     refuses a part of it; it is not there then, or the message says so
   */
  public void start(Wanted wanted) {
    if (isThere(wanted.uuid())) {
      throw new BindingException("mdev %s is there already".formatted(wanted.uuid()));
    }
    Path create = type(wanted).resolve("create");
    wanted.attributes().forEach(s -> checkInside(wanted, s));
    try {
      files.write(create, wanted.uuid().toString());
    } catch (SystemCallException e) {
      throw new BindingException(
          "mdev %s, a %s on %s, is not made (%s): 'mdevctl types' says how many are left, and types of one parent may exclude each other"
              .formatted(wanted.uuid(), wanted.type(), wanted.parent(), e.getMessage()),
          e);
    }
    for (Setting setting : wanted.attributes()) {
      try {
        files.write(folder(wanted.uuid()).resolve(setting.file()), setting.text());
      } catch (SystemCallException e) {
        throw new BindingException(
            "attribute %s of mdev %s: %s; %s"
                .formatted(setting.file(), wanted.uuid(), e.getMessage(), undone(wanted.uuid())),
            e);
      }
    }
  }

  private String undone(UUID uuid) {
    try {
      stop(uuid);
      return "it is stopped again";
    } catch (BindingException left) {
      return String.valueOf(left.getMessage());
    }
  }

  /** The folder of a type that the parent offers. */
  private Path type(Wanted wanted) {
    Path types =
        sys.resolve("class/mdev_bus").resolve(wanted.parent()).resolve("mdev_supported_types");
    Path type = types.resolve(wanted.type());
    if (!Files.isDirectory(types)) {
      throw new BindingException(
          "mdev %s: %s offers no mediated devices: load the driver that makes them"
              .formatted(wanted.uuid(), wanted.parent()));
    }
    if (!Files.isDirectory(type)) {
      throw new BindingException(
          "mdev %s: %s offers no type %s, only %s"
              .formatted(wanted.uuid(), wanted.parent(), wanted.type(), names(types)));
    }
    return type;
  }

  private static String names(Path folder) {
    try (Stream<Path> all = Files.list(folder)) {
      return all.map(p -> p.getFileName().toString()).sorted().collect(Collectors.joining(", "));
    } catch (IOException e) {
      return "what " + folder + " has";
    }
  }

  /** A name must not lead out of the device's folder. */
  private static void checkInside(Wanted wanted, Setting setting) {
    Path folder = Path.of("/device");
    boolean inside = false;
    try {
      Path file = folder.resolve(setting.file());
      inside = file.equals(file.normalize()) && file.startsWith(folder) && !file.equals(folder);
    } catch (InvalidPathException _) {
      // No name of a file at all.
    }
    if (!inside) {
      throw new BindingException(
          "attribute '%s' of mdev %s is no file of it".formatted(setting.file(), wanted.uuid()));
    }
  }

  /**
   * Stops a device. One that is not there is stopped already; one that somebody uses stays, for the
   * kernel would wait for the user, however long.
   *
   * @throws BindingException if it stays
   */
  public void stop(UUID uuid) {
    if (!isThere(uuid)) {
      return;
    }
    Optional<String> group = DeviceLinks.target(folder(uuid).resolve("iommu_group"));
    List<String> having = group.map(users).orElse(List.of());
    if (!having.isEmpty()) {
      throw new BindingException(
          "mdev %s is in use by %s: it stays; 'mdevctl stop -u %s' when that has ended"
              .formatted(uuid, String.join(" and ", having), uuid));
    }
    try {
      files.write(folder(uuid).resolve("remove"), "1");
    } catch (SystemCallException e) {
      throw new BindingException("mdev %s stays: %s".formatted(uuid, e.getMessage()), e);
    }
  }
}
