// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.vfio4j.host.FunctionSign;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.MdevDefinition;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.Role;
import org.vfio4j.vfio.DriverKind;

/** Looks for what no call refuses: the state that devices are in, as far as the source says it. */
final class Warnings {
  /** Drivers that are in the kernel or in its first file system, and so come before vfio-pci. */
  private static final Set<String> EARLY = Set.of("nvme", "ahci", "xhci_hcd");

  private static final Pattern IDS = Pattern.compile("\\bvfio[-_]pci\\.ids=(\\S+)");
  private static final Pattern EFIFB_OFF = Pattern.compile("\\bvideo=(?:\\S*,)?efifb:off\\b");
  private static final Pattern SYSFB_OFF =
      Pattern.compile("\\binitcall_blacklist=(?:\\S*,)?sysfb_init\\b");

  private final HostTopology host;
  private final List<Warning> found = new ArrayList<>();

  private Warnings(HostTopology host) {
    this.host = host;
  }

  static List<Warning> of(Request request, HostTopology host, Options options) {
    Warnings warnings = new Warnings(host);
    for (VmRequest vm : request.vms()) {
      for (DeviceRequest device : vm.devices()) {
        if (device.mode() == Mode.WHOLE) {
          host.function(PciAddress.parse(device.device()))
              .ifPresent(f -> warnings.look(vm, device, f, options));
        } else if (device.mode() == Mode.WRAPPED) {
          warnings.startsAtBoot(vm, device);
        }
      }
    }
    return warnings.found;
  }

  private void look(VmRequest vm, DeviceRequest device, PciFunction f, Options options) {
    reset(vm, device, f);
    virtualFunctions(vm, device, f);
    answer(vm, device, f);
    framebuffer(vm, device, f, options);
    atBoot(vm, device, f);
  }

  /** mdevctl's rule starts what is auto as soon as the function's driver offers anything. */
  private void startsAtBoot(VmRequest vm, DeviceRequest device) {
    for (MdevDefinition definition : host.mdevDefinitions()) {
      if (definition.parent().equals(device.device())
          && definition.start() == MdevDefinition.Start.AUTO) {
        add(
            vm,
            device,
            Warning.Kind.STARTED_AT_BOOT,
            "%s: %s"
                .formatted(
                    definition.isOurs()
                        ? "mdevctl is told to start %s, the wrapped %s, at boot, and cannot"
                            .formatted(definition.uuid(), device.device())
                        : "mdevctl starts %s, a %s on %s, at boot, and it goes when that is wrapped"
                            .formatted(definition.uuid(), definition.type(), device.device()),
                    new Fix.StartManually(definition).sentence()));
      }
    }
  }

  /** A device whose registers read as ff is given away all the same, and the guest finds none. */
  private void answer(VmRequest vm, DeviceRequest device, PciFunction f) {
    if (f.signs().contains(FunctionSign.NO_ANSWER)) {
      add(
          vm,
          device,
          Warning.Kind.NO_ANSWER,
          ("%s does not answer (its registers read as ff, \"Unknown header type 7f\"): it did not"
                  + " come back from D3 or from a reset. Shut the host down whole, so that it loses"
                  + " power; then keep it from D3: options vfio-pci disable_idle_d3=1, and echo 0 >"
                  + " /sys/bus/pci/devices/%s/d3cold_allowed")
              .formatted(f.address(), f.address()));
    }
  }

  /** Memory that the boot's framebuffer has claimed cannot be reserved for VFIO. */
  private void framebuffer(VmRequest vm, DeviceRequest device, PciFunction f, Options options) {
    String line = host.setup().commandLine().orElse("");
    String efifb =
        EFIFB_OFF.matcher(line).find()
            ? " (video=efifb:off keeps efifb alone off, not the simpledrm of newer kernels)"
            : "";
    if (f.signs().contains(FunctionSign.BAR_HELD)) {
      add(
          vm,
          device,
          Warning.Kind.BOOT_FRAMEBUFFER,
          ("the host holds a BAR of %s, as the kernel's log says (\"can't reserve\"; /proc/iomem"
                  + " shows who, mostly BOOTFB, the boot's framebuffer): boot with"
                  + " initcall_blacklist=sysfb_init, or unbind the framebuffer before the VM%s")
              .formatted(f.address(), efifb));
    } else if (options.forced().contains(device.device())
        && host.rolesOf(f.address()).contains(Role.CONSOLE)
        && !SYSFB_OFF.matcher(line).find()) {
      add(
          vm,
          device,
          Warning.Kind.BOOT_FRAMEBUFFER,
          ("the firmware's framebuffer may keep a BAR of %s, the console (\"can't reserve\" in the"
               + " kernel's log, BOOTFB in /proc/iomem): boot with initcall_blacklist=sysfb_init%s")
              .formatted(f.address(), efifb));
    }
  }

  /** A driver that comes first keeps the device, whatever ids vfio-pci has. */
  private void atBoot(VmRequest vm, DeviceRequest device, PciFunction f) {
    Optional<String> driver =
        f.driver().value().filter(d -> DriverKind.of(d, false) == DriverKind.HOST);
    boolean named = f.id().filter(i -> vfioIds().contains(i.toString())).isPresent();
    driver
        .filter(d -> named)
        .ifPresent(
            d ->
                add(
                    vm,
                    device,
                    Warning.Kind.TAKEN_AT_BOOT,
                    ("vfio-pci.ids= names %s, and %s has %s all the same, as it comes first:"
                            + " 'softdep %s pre: vfio-pci' in /etc/modprobe.d and vfio-pci in the"
                            + " initramfs, or driver_override (vfio bind, libvirt's managed='yes')")
                        .formatted(f.id().orElseThrow(), d, f.address(), d)));
    driver
        .filter(d -> !named && EARLY.contains(d))
        .ifPresent(
            d ->
                add(
                    vm,
                    device,
                    Warning.Kind.TAKEN_AT_BOOT,
                    ("%s takes %s at each boot before vfio-pci is there: bind it with"
                         + " driver_override (vfio bind, libvirt's managed='yes'), not with ids=")
                        .formatted(d, f.address())));
  }

  /** The ids that vfio-pci is to take, in small letters, as far as the source has them. */
  private Set<String> vfioIds() {
    String ids = host.setup().moduleParameters().getOrDefault("vfio_pci.ids", "");
    Matcher option = IDS.matcher(host.setup().commandLine().orElse(""));
    String all = option.find() ? ids + "," + option.group(1) : ids;
    return Arrays.stream(all.toLowerCase(Locale.ROOT).split(","))
        .map(i -> i.split(":"))
        .filter(i -> i.length >= 2)
        .map(i -> i[0] + ":" + i[1])
        .collect(Collectors.toSet());
  }

  /**
   * Without a reset of its own, a function is reset with its bus, which takes all that is on it.
   */
  private void reset(VmRequest vm, DeviceRequest device, PciFunction f) {
    if (f.resettable().orElse(true)) {
      return;
    }
    List<PciFunction> others =
        host.functions().stream()
            .filter(o -> sameBus(o.address(), f.address()) && !o.address().equals(f.address()))
            .filter(o -> !o.isBridge().orElse(false))
            .filter(
                o ->
                    vm.devices().stream().noneMatch(d -> d.device().equals(o.address().toString())))
            .toList();
    boolean rootBus = f.parent().isNone();
    if (others.isEmpty() || rootBus) {
      add(
          vm,
          device,
          Warning.Kind.NO_RESET,
          ("%s has no reset of its own: the VM gets it in the state in which the host, or the VM"
                  + " before, has left it")
              .formatted(f.address()));
      return;
    }
    add(
        vm,
        device,
        Warning.Kind.NO_RESET,
        ("%s has no reset of its own (no FLR), and a reset of its bus would take %s as well: the VM"
                + " gets it unreset, and libvirt refuses to start it (\"Active devices on bus\")"
                + " unless all of them are the VM's")
            .formatted(
                f.address(),
                others.stream().map(Warnings::named).collect(Collectors.joining(" and "))));
  }

  private static boolean sameBus(PciAddress one, PciAddress other) {
    return one.domain() == other.domain() && one.bus() == other.bus();
  }

  private static String named(PciFunction f) {
    return f.address() + f.driver().value().map(d -> " (on " + d + ")").orElse("");
  }

  private void virtualFunctions(VmRequest vm, DeviceRequest device, PciFunction f) {
    List<PciFunction> virtual = host.virtualFunctions(f.address());
    boolean any = !virtual.isEmpty() || f.numVfs().orElse(0) > 0;
    boolean host =
        f.driver().value().filter(d -> DriverKind.of(d, false) == DriverKind.HOST).isPresent();
    if (any && host) {
      String which =
          virtual.isEmpty()
              ? "the VFs"
              : "the VFs "
                  + virtual.stream()
                      .map(v -> v.address().toString())
                      .collect(Collectors.joining(", "));
      add(
          vm,
          device,
          Warning.Kind.VIRTUAL_FUNCTIONS_GO,
          "%s of %s go away when %s leaves it, with whatever has them"
              .formatted(which, f.address(), f.driver().value().orElse("its driver")));
    }
  }

  private void add(VmRequest vm, DeviceRequest device, Warning.Kind kind, String message) {
    found.add(new Warning(vm.name(), device, kind, message));
  }
}
