// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;
import org.vfio4j.linux.sysfs.Sysfs;

/**
 * Devices of kernel-bench's machine that have a driver for the length of a test, and none after it.
 */
public record Bound(List<String> addresses) implements AutoCloseable {
  private static final Path DEVICES = Path.of("/sys/bus/pci/devices");

  /** Whether this is the bench: VFIO, and the machine's first edu device. */
  public static boolean possible() {
    return Files.exists(Path.of("/dev/vfio/vfio"))
        && Files.isWritable(Path.of("/sys/bus/pci/drivers_probe"))
        && read(DEVICES.resolve("0000:00:02.0/vendor")).equals("0x1234");
  }

  /** The first device of a class, as in {@code 0x010802}. */
  public static String ofClass(String pciClass) {
    try (Stream<Path> devices = Files.list(DEVICES)) {
      return devices
          .filter(d -> read(d.resolve("class")).equals(pciClass))
          .map(d -> d.getFileName().toString())
          .sorted()
          .findFirst()
          .orElseThrow();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Gives devices a driver, whatever they had before. */
  public static Bound to(String driver, String... addresses) {
    for (String address : addresses) {
      unbind(address);
      write(DEVICES.resolve(address + "/driver_override"), driver);
      write(Path.of("/sys/bus/pci/drivers_probe"), address);
      assertThat(Sysfs.ofThisMachine().driver(address)).as(address).contains(driver);
    }
    return new Bound(List.of(addresses));
  }

  @Override
  public void close() {
    for (String address : addresses) {
      unbind(address);
      write(DEVICES.resolve(address + "/driver_override"), "\n");
    }
  }

  private static void unbind(String address) {
    if (Files.exists(DEVICES.resolve(address + "/driver"))) {
      write(DEVICES.resolve(address + "/driver/unbind"), address);
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file).strip();
    } catch (IOException _) {
      return "";
    }
  }

  private static void write(Path file, String text) {
    try {
      Files.writeString(file, text, StandardOpenOption.WRITE);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
