// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Predicate;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.assign.Mode;
import org.vfio4j.assign.Step;
import org.vfio4j.assign.VmRequest;
import org.vfio4j.host.MdevDefinition;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.Vgpu;
import org.vfio4j.linux.bind.BindingException;
import org.vfio4j.linux.bind.KernelMdevs;

/**
 * Devices that no socket serves, because QEMU opens them: the kernel's mediated devices, which are
 * started first where they are only defined, and virtual functions that are virtual GPUs.
 */
final class KernelDevices {
  private KernelDevices() {}

  /** Whether QEMU takes a device of this machine by itself. */
  static boolean takes(AskedAssignment asked, DeviceRequest device) {
    return asked.live()
        && (device.mode() == Mode.MDEV
            || device.mode() == Mode.WHOLE
                && function(asked, device).filter(PciFunction::offeredByVendor).isPresent());
  }

  private static Optional<PciFunction> function(AskedAssignment asked, DeviceRequest device) {
    return PciAddress.tryParse(device.device()).flatMap(asked.host()::function);
  }

  /** Where it is written down which devices were started, for the process that follows. */
  interface Started {
    /**
     * Those that a process before this one has started; empty if nothing is to be started again.
     */
    Optional<List<UUID>> before();

    /** Writes them down, before they are started. */
    void write(List<UUID> all);
  }

  /**
   * Starts what is not there, until the end, and says what to give QEMU.
   *
   * @throws RefusedException if something cannot be started; what was started before is stopped by
   *     whoever ends {@code all}
   */
  static void start(
      AskedAssignment asked, KernelMdevs mdevs, GivenBack all, UpReport report, Started started) {
    asked.request().vms().stream()
        .flatMap(vm -> vm.devices().stream())
        .filter(d -> takes(asked, d))
        .forEach(d -> checkVgpu(asked, d));
    Optional<List<UUID>> before = started.before();
    before.orElse(List.of()).forEach(u -> stopAtTheEnd(u, mdevs, all, report));
    if (before.isEmpty()) {
      startAll(asked, mdevs, all, report, started);
    }
    for (VmRequest vm : asked.request().vms()) {
      vm.devices().stream().filter(d -> takes(asked, d)).forEach(d -> tell(vm, d, report));
    }
  }

  /**
   * Stops what a process before this one has started.
   *
   * @param others whether another VM has a device now
   * @return whether none of it is left
   */
  static boolean stop(
      Started started, Predicate<String> others, KernelMdevs mdevs, UpReport report) {
    boolean done = true;
    for (UUID uuid : started.before().orElse(List.of())) {
      if (others.test(uuid.toString())) {
        report.stuck("mdev %s is another VM's now".formatted(uuid));
        done = false;
      } else {
        done &= stop(uuid, mdevs, report);
      }
    }
    return done;
  }

  /**
   * What has no type cannot be opened, and which one it is to be is not for this command to say.
   */
  private static void checkVgpu(AskedAssignment asked, DeviceRequest device) {
    Optional<Vgpu> vgpu = function(asked, device).flatMap(PciFunction::vgpu);
    if (vgpu.filter(v -> v.current().isNone()).isPresent()) {
      Step step =
          new Step.ChooseVgpu(
              PciAddress.parse(device.device()), vgpu.get().creatable().orElse(List.of()));
      throw new RefusedException(
          "%s has no vGPU type: %s".formatted(device.device(), step.sentence()));
    }
  }

  private static void startAll(
      AskedAssignment asked, KernelMdevs mdevs, GivenBack all, UpReport report, Started started) {
    List<MdevDefinition> wanted = new ArrayList<>();
    asked.request().vms().stream()
        .flatMap(vm -> vm.devices().stream())
        .filter(d -> takes(asked, d))
        .flatMap(d -> d.definition(asked.host()).stream())
        .filter(d -> !wanted.contains(d))
        .forEach(wanted::add);
    if (wanted.isEmpty()) {
      return;
    }
    started.write(wanted.stream().map(MdevDefinition::uuid).toList());
    wanted.forEach(d -> all.take(() -> started(d, mdevs, report)));
  }

  private static AutoCloseable started(
      MdevDefinition definition, KernelMdevs mdevs, UpReport report) {
    List<KernelMdevs.Setting> settings =
        definition.attributes().stream()
            .map(a -> new KernelMdevs.Setting(a.name(), a.value()))
            .toList();
    try {
      mdevs.start(
          new KernelMdevs.Wanted(
              definition.parent(), definition.type(), definition.uuid(), settings));
    } catch (BindingException e) {
      throw new RefusedException(String.valueOf(e.getMessage()));
    }
    report.mdev(definition.uuid().toString(), true);
    return () -> stop(definition.uuid(), mdevs, report);
  }

  private static void stopAtTheEnd(UUID uuid, KernelMdevs mdevs, GivenBack all, UpReport report) {
    all.<AutoCloseable>take(() -> () -> stop(uuid, mdevs, report));
  }

  /** Whether it is not there any more. */
  private static boolean stop(UUID uuid, KernelMdevs mdevs, UpReport report) {
    boolean there = mdevs.isThere(uuid);
    try {
      mdevs.stop(uuid);
    } catch (BindingException e) {
      report.stuck(String.valueOf(e.getMessage()));
      return false;
    }
    if (there) {
      report.mdev(uuid.toString(), false);
    }
    return true;
  }

  private static void tell(VmRequest vm, DeviceRequest device, UpReport report) {
    if (device.mode() == Mode.MDEV) {
      report.takenByQemu(
          vm.name(),
          device.toString(),
          "-device vfio-pci,sysfsdev=/sys/bus/mdev/devices/" + device.device(),
          "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='%s'/></source></hostdev>"
              .formatted(device.device()));
      return;
    }
    PciAddress a = PciAddress.parse(device.device());
    report.takenByQemu(
        vm.name(),
        device.toString(),
        "-device vfio-pci,host=" + a,
        "<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0x%04x' bus='0x%02x' slot='0x%02x' function='0x%x'/></source></hostdev>"
            .formatted(a.domain(), a.bus(), a.device(), a.function()));
  }
}
