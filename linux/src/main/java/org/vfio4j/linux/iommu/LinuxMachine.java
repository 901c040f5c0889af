// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.linux.sysfs.LinuxDevice;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MdevParent;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.mdev.MediatedGroup;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Type1Parameters;
import org.vfio4j.vfio.DeviceFile;
import org.vfio4j.vfio.EngineVfio;
import org.vfio4j.vfio.Machine;
import org.vfio4j.vfio.MachineLock;
import org.vfio4j.vfio.Unregistering;
import org.vfio4j.vfio.VfioCore;

/**
 * This machine, as back end {@code linux} of the user API stands on it: devices and drivers are the
 * kernel's, the rules are the engine's, and whole functions can be wrapped as mediated devices,
 * which no kernel offers any more.
 */
public final class LinuxMachine implements Machine {
  /** Above all numbers that the kernel gives its groups. */
  private static final int FIRST_MEDIATED_GROUP = 1 << 24;

  private final KernelProfile profile;
  private final LinuxIommu iommu;
  private final Type1Parameters parameters = new Type1Parameters();
  private final VfioCore core;
  private final MachineLock lock;

  private final Map<String, MdevParent> parents = new LinkedHashMap<>();
  private final Map<String, MediatedGroup> mediated = new LinkedHashMap<>();
  private final Map<Device, Integer> open = new HashMap<>();
  private final Set<MediatedDevice> leaving = new LinkedHashSet<>();
  private int nextGroup = FIRST_MEDIATED_GROUP;

  /**
   * The machine behind an IOMMU.
   *
   * @param profile of the kernel that runs
   */
  public LinuxMachine(KernelProfile profile, LinuxIommu iommu) {
    this.profile = profile;
    this.iommu = iommu;
    this.core = new VfioCore(profile, iommu, parameters);
    this.lock = core.lock();
    // The kernel asks its own parameter at the attach.
    parameters.allowUnsafeInterrupts(true);
  }

  /** A process on this machine: descriptors of its own, and the memory of this process. */
  public EngineVfio process(String name) {
    return new EngineVfio(name, this, memory());
  }

  /** The memory of this process; see {@link ProcessMemory}. */
  public static AddressSpace memory() {
    return ProcessMemory.create();
  }

  /** The IOMMU. */
  public LinuxIommu iommu() {
    return iommu;
  }

  /**
   * Has a function offered as mediated devices of type {@code backed}. From now on it cannot be
   * opened as itself.
   *
   * @param function its PCI address; it needs a VFIO driver
   * @param instances how many devices can be made of it
   */
  public void wrap(String function, int instances) {
    try (MachineLock.Held _ = lock.hold()) {
      MdevParent parent = new MdevParent(LinuxDevice.pci(function));
      parent.offer(new MdevParent.Type("backed", MdevParent.Kind.BACKED, instances));
      parents.put(function, parent);
    }
  }

  /** Ends {@link #wrap}. Devices that were made of it must be gone. */
  public void unwrap(String function) {
    try (MachineLock.Held _ = lock.hold()) {
      parents.remove(function);
    }
  }

  /**
   * Makes a device of a function that is {@link #wrap wrapped}.
   *
   * @throws VfioException ENOENT if it is not wrapped, EEXIST, ENOSPC if no instance is left
   */
  public MediatedDevice create(String function, String uuid) {
    try (MachineLock.Held _ = lock.hold()) {
      MediatedDevice device = parent(function).create("backed", uuid);
      MediatedGroup group = new MediatedGroup(nextGroup++, device);
      mediated.put(uuid, group);
      core.register(group, device);
      return device;
    }
  }

  /** Devices that can still be made of a wrapped function. */
  public int available(String function) {
    try (MachineLock.Held _ = lock.hold()) {
      return parent(function).available("backed");
    }
  }

  private MdevParent parent(String function) {
    MdevParent parent = parents.get(function);
    if (parent == null) {
      throw new VfioException(
          Errno.ENOENT, Reason.BAD_ARGUMENT, function + " is not wrapped", function);
    }
    return parent;
  }

  /** Removes a device; false if that waits for a user. ENODEV if there is none. */
  public boolean remove(String uuid) {
    MediatedDevice device;
    try (MachineLock.Held _ = lock.hold()) {
      MediatedGroup group = mediated.get(uuid);
      if (group == null) {
        throw new VfioException(Errno.ENODEV, Reason.NO_GROUP, "no mdev " + uuid, uuid);
      }
      device = group.devices().getFirst();
      leaving.add(device);
    }
    letGo();
    return !leaves(device);
  }

  @Override
  public KernelProfile profile() {
    return profile;
  }

  @Override
  public VfioCore core() {
    return core;
  }

  @Override
  public Optional<Device> device(String name) {
    return mediated(name).<Device>map(g -> g.devices().getFirst()).or(() -> iommu.device(name));
  }

  @Override
  public Optional<IommuGroup> groupOf(String device) {
    return mediated(device).<IommuGroup>map(g -> g).or(() -> iommu.groupOf(device));
  }

  private Optional<MediatedGroup> mediated(String uuid) {
    try (MachineLock.Held _ = lock.hold()) {
      return Optional.ofNullable(mediated.get(uuid));
    }
  }

  @Override
  public Optional<IommuGroup> group(int number) {
    Optional<MediatedGroup> made;
    try (MachineLock.Held _ = lock.hold()) {
      made = mediated.values().stream().filter(g -> g.id() == number).findFirst();
    }
    return made.<IommuGroup>map(g -> g).or(() -> iommu.group(number));
  }

  /**
   * Drivers are bound behind this machine's back: what sysfs says now is what holds. It is read
   * without the machine's lock, and a group whose last driver has left is taken out of its
   * container without it; of two threads that read of the same group, one comes after the other, so
   * that what was read first is not taken for what is so now.
   */
  @Override
  public void refresh(IommuGroup group) {
    readParameters();
    if (group instanceof LinuxGroup linux) {
      synchronized (linux.membership()) {
        Set<Device> offered = new LinkedHashSet<>();
        for (LinuxDevice member : linux.devices()) {
          if (iommu.sysfs().offered(member.name())) {
            offered.add(member);
          }
        }
        offered(group, offered);
      }
    }
  }

  private void offered(IommuGroup group, Set<Device> now) {
    Set<Device> left = new LinkedHashSet<>();
    try (MachineLock.Held _ = lock.hold()) {
      Set<Device> known = core.registered(group);
      now.stream().filter(d -> !known.contains(d)).forEach(d -> core.register(group, d));
      known.stream().filter(d -> !now.contains(d)).forEach(left::add);
    }
    left.forEach(d -> unregister(group, d));
  }

  /** Whether VFIO does not have the device any more; else a user keeps it. No lock held. */
  private boolean unregister(IommuGroup group, Device device) {
    Unregistering step;
    try (MachineLock.Held _ = lock.hold()) {
      step = core.unregister(group, device, open.containsKey(device));
    }
    if (step instanceof Unregistering.Forced forced) {
      forced.detach();
      forced.detached();
      letGo();
      return true;
    }
    return step instanceof Unregistering.Done;
  }

  private void readParameters() {
    iommu.sysfs().entryLimit().ifPresent(parameters::entryLimit);
  }

  @Override
  public void openGroup(IommuGroup group) {
    if (group instanceof LinuxGroup linux) {
      linux.open();
    }
  }

  @Override
  public void closeGroup(IommuGroup group) {
    if (group instanceof LinuxGroup linux) {
      linux.close();
    }
  }

  @Override
  public void checkOption(Device device, String option) {
    // The kernel does when it opens the device.
  }

  @Override
  public DeviceFile openDevice(IommuGroup group, Device device, String asked) {
    DeviceCalls file =
        switch (device) {
          case MediatedDevice m when m.isolation() instanceof Isolation.Backed(Device function) ->
              iommu.openDevice(function.name());
          case MediatedDevice m ->
              throw new VfioException(
                  Errno.ENODEV, Reason.NOT_SUPPORTED, m.name() + " has no driver here", m.name());
          default -> openFunction(device, asked);
        };
    try (MachineLock.Held _ = lock.hold()) {
      open.merge(device, 1, Integer::sum);
    }
    return new LinuxDeviceFile(this, device, file);
  }

  private DeviceCalls openFunction(Device function, String asked) {
    if (wraps(function.name())) {
      throw new VfioException(
          Errno.ENODEV,
          Reason.FUNCTION_WRAPPED,
          function.name() + " is wrapped as a mediated device: it cannot be opened itself",
          function.name());
    }
    return iommu.openDevice(asked);
  }

  private boolean wraps(String function) {
    try (MachineLock.Held _ = lock.hold()) {
      return parents.containsKey(function);
    }
  }

  void closed(Device device) {
    try (MachineLock.Held _ = lock.hold()) {
      open.computeIfPresent(device, (k, n) -> n == 1 ? null : n - 1);
    }
  }

  @Override
  public void letGo() {
    Set<MediatedDevice> waiting;
    try (MachineLock.Held _ = lock.hold()) {
      waiting = Set.copyOf(leaving);
    }
    for (MediatedDevice device : waiting) {
      Optional<MediatedGroup> group = mediated(device.name());
      if (group.isPresent() && unregister(group.get(), device)) {
        removed(device);
      }
    }
  }

  private boolean leaves(MediatedDevice device) {
    try (MachineLock.Held _ = lock.hold()) {
      return leaving.contains(device);
    }
  }

  private void removed(MediatedDevice device) {
    try (MachineLock.Held _ = lock.hold()) {
      if (leaving.remove(device)) {
        mediated.remove(device.name());
        Optional.ofNullable(parents.get(device.parent().name())).ifPresent(p -> p.remove(device));
      }
    }
  }
}
