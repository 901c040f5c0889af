// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;

/**
 * A machine that is built of files and links in a folder, as {@code /sys}, {@code /proc} and {@code
 * /run} show it.
 *
 * @param root the folder
 */
record SysfsTree(Path root) {

  /** A file and its text. */
  SysfsTree file(String name, String text) throws IOException {
    Path file = root.resolve(name);
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
    return this;
  }

  /** An empty folder. */
  SysfsTree folder(String name) throws IOException {
    Files.createDirectories(root.resolve(name));
    return this;
  }

  /** A link, relative as those of sysfs are; both names from the root. */
  SysfsTree link(String name, String target) throws IOException {
    Path link = root.resolve(name);
    Files.createDirectories(link.getParent());
    Path to = root.resolve(target);
    Files.createSymbolicLink(link, Objects.requireNonNull(link.getParent()).relativize(to));
    return this;
  }

  /** A PCI function in a group of its own or of others. */
  SysfsTree function(String path, String classCode, int group) throws IOException {
    String address = path.substring(path.lastIndexOf('/') + 1);
    file(path + "/class", classCode + "\n");
    file(path + "/vendor", "0x1af4\n");
    file(path + "/device", "0x1000\n");
    link("sys/bus/pci/devices/" + address, path);
    link(path + "/iommu_group", "sys/kernel/iommu_groups/" + group);
    link("sys/kernel/iommu_groups/" + group + "/devices/" + address, path);
    return this;
  }

  /** A block device in the folder, with its number and its entry under {@code class/block}. */
  SysfsTree block(String path, String number) throws IOException {
    String name = path.substring(path.lastIndexOf('/') + 1);
    file(path + "/dev", number + "\n");
    link("sys/class/block/" + name, path);
    link("sys/dev/block/" + number, path);
    return this;
  }

  /** A block device that is made of another, which shows it among its holders. */
  SysfsTree made(String upper, String lower) throws IOException {
    link(upper + "/slaves/" + lower.substring(lower.lastIndexOf('/') + 1), lower);
    link(lower + "/holders/" + upper.substring(upper.lastIndexOf('/') + 1), upper);
    return this;
  }

  /** A network interface, up or down. */
  SysfsTree net(String path, boolean up) throws IOException {
    file(path + "/flags", up ? "0x1003\n" : "0x1002\n");
    link("sys/class/net/" + path.substring(path.lastIndexOf('/') + 1), path);
    return this;
  }

  /** An interface that lies on another. */
  SysfsTree over(String upper, String lower) throws IOException {
    String below = lower.substring(lower.lastIndexOf('/') + 1);
    String above = upper.substring(upper.lastIndexOf('/') + 1);
    link(upper + "/lower_" + below, lower);
    link(lower + "/upper_" + above, upper);
    return this;
  }

  HostTopology read() {
    return HostSource.read(root).getFirst();
  }
}
