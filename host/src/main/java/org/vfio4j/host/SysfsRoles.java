// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** Finds out which functions carry what the host itself uses: its disks and its networks. */
final class SysfsRoles {
  private final Map<Role, Set<PciAddress>> carriers = new TreeMap<>();
  private final Set<Role> open = EnumSet.noneOf(Role.class);
  private final Map<PciAddress, List<String>> because = new TreeMap<>();

  private SysfsRoles() {}

  /**
   * Tells the builder.
   *
   * @param root the machine's root, with {@code proc} and {@code run} in it, perhaps
   * @param addressed interfaces that are known to have an address
   */
  static void read(Path sys, Path root, Collection<String> addressed, HostBuilder host) {
    SysfsRoles roles = new SysfsRoles();
    roles.addDisks(SysfsDisks.read(sys, root.resolve("proc"), root.resolve("run/udev/data")));
    roles.addInterfaces(new SysfsInterfaces(sys, root.resolve("proc"), addressed));
    roles.carriers.forEach(
        (role, functions) -> {
          boolean partly = roles.open.contains(role);
          if (!partly || !functions.isEmpty()) {
            host.role(role, List.copyOf(functions), partly);
          }
        });
    roles.because.forEach(host::because);
  }

  private Set<PciAddress> carriers(Role role) {
    return carriers.computeIfAbsent(role, r -> new TreeSet<>());
  }

  private void addDisks(SysfsDisks disks) {
    Set<PciAddress> boot = carriers(Role.BOOT_DISK);
    Set<PciAddress> others = carriers(Role.STORAGE);
    boolean bootTold = disks.bootTold();
    boolean allTold = disks.allTold();
    for (SysfsDisks.Use use : disks.uses()) {
      DeviceStack stack = DeviceStack.below(use.device());
      (use.boot() ? boot : others).addAll(stack.functions());
      stack.functions().forEach(f -> say(f, use.what()));
      bootTold &= stack.told() || !use.boot();
      allTold &= stack.told();
    }
    others.removeAll(boot);
    open(Role.BOOT_DISK, bootTold);
    open(Role.STORAGE, allTold);
  }

  private void addInterfaces(SysfsInterfaces interfaces) {
    Set<PciAddress> management = carriers(Role.MANAGEMENT_NETWORK);
    Set<PciAddress> others = carriers(Role.NETWORK);
    boolean told = interfaces.told();
    for (Path device : interfaces.defaults()) {
      DeviceStack stack = DeviceStack.below(device);
      management.addAll(stack.functions());
      stack.functions().forEach(f -> say(f, device.getFileName() + " has a default route"));
      told &= stack.told();
    }
    for (Path device : interfaces.used()) {
      DeviceStack stack = DeviceStack.below(device);
      others.addAll(stack.functions());
      stack.functions().forEach(f -> say(f, device.getFileName() + " is up and in use"));
    }
    others.removeAll(management);
    open(Role.MANAGEMENT_NETWORK, told);
    open(Role.NETWORK, interfaces.told());
  }

  private void open(Role role, boolean told) {
    if (!told) {
      open.add(role);
    }
  }

  private void say(PciAddress function, String what) {
    because.computeIfAbsent(function, f -> new ArrayList<>()).add(what);
  }
}
