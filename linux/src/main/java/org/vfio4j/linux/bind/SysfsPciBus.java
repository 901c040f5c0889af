// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.bind;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.vfio4j.linux.sysfs.DeviceLinks;
import org.vfio4j.posix.OpenFiles;
import org.vfio4j.posix.SystemCalls;

/** {@code /sys/bus/pci}, or a folder that looks like it. */
final class SysfsPciBus implements PciBus {
  private static final int MODPROBE_SECONDS = 30;

  private final AttributeFiles files;
  private final Path pci;

  SysfsPciBus(SystemCalls calls) {
    this(calls, Path.of("/sys/bus/pci"));
  }

  SysfsPciBus(SystemCalls calls, Path pci) {
    this.files = AttributeFiles.of(calls);
    this.pci = pci;
  }

  private Path device(String address) {
    return pci.resolve("devices").resolve(address);
  }

  @Override
  public Optional<String> driver(String address) {
    return DeviceLinks.target(device(address).resolve("driver"));
  }

  @Override
  public Optional<String> override(String address) {
    try {
      String text = Files.readString(device(address).resolve("driver_override")).strip();
      return text.isEmpty() || text.equals("(null)") ? Optional.empty() : Optional.of(text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void override(String address, Optional<String> driver) {
    files.write(device(address).resolve("driver_override"), driver.orElse("") + "\n");
  }

  @Override
  public void unbind(String address) {
    files.write(device(address).resolve("driver/unbind"), address);
  }

  @Override
  public void probe(String address) {
    files.write(pci.resolve("drivers_probe"), address);
  }

  @Override
  public boolean knows(String driver) {
    return Files.isDirectory(pci.resolve("drivers").resolve(driver));
  }

  @Override
  public void load(String driver) {
    try {
      Process modprobe =
          new ProcessBuilder("modprobe", "--quiet", driver)
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      if (!modprobe.waitFor(MODPROBE_SECONDS, TimeUnit.SECONDS)) {
        modprobe.destroyForcibly();
      }
    } catch (IOException _) {
      // No modprobe here: whether the driver is there is asked next.
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public List<String> users(String address) {
    return DeviceLinks.target(device(address).resolve("iommu_group")).stream()
        .flatMap(group -> OpenFiles.users(Path.of("/dev/vfio", group)).stream())
        .map(OpenFiles.User::toString)
        .toList();
  }
}
