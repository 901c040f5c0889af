// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.vfio4j.assign.BuiltIn;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.assign.Mode;
import org.vfio4j.assign.VmRequest;
import org.vfio4j.host.input.BadInputException;

/**
 * A VM and the sockets of its devices, in a folder of its own.
 *
 * @param vm what is asked for
 * @param base the folder of all VMs' folders, absolute
 * @param folder the name of this VM's
 * @param plugs in the order of the request, devices of ours last
 */
record PluggedVm(VmRequest vm, Path base, String folder, List<Plug> plugs) {
  /** A socket's path has no more bytes. */
  private static final int LONGEST_PATH = 107;

  /** 32 slots, of which the machine and what else a VM has take some. */
  private static final int MOST_DEVICES = 24;

  private static final Duration LEAST_TIMEOUT = Duration.ofSeconds(60);

  /** QEMU counts milliseconds in 32 bits. */
  private static final Duration MOST_TIMEOUT = Duration.ofMillis(Integer.MAX_VALUE);

  private static final Duration BASE_TIMEOUT = Duration.ofSeconds(10);
  private static final long MILLIS_PER_GIB = 500;

  /** Copies the list. */
  PluggedVm {
    plugs = List.copyOf(plugs);
  }

  /**
   * All VMs of a request.
   *
   * @param base the folder of their folders, absolute
   * @throws BadInputException for what cannot be served, with its place
   */
  static List<PluggedVm> of(AskedAssignment asked, Path base) {
    List<PluggedVm> all = new ArrayList<>();
    Set<String> folders = new HashSet<>();
    for (VmRequest vm : asked.request().vms()) {
      String folder = folderName(vm.name());
      if (!folders.add(folder)) {
        throw bad(asked, vm, "its sockets would be in the folder of another VM: name it otherwise");
      }
      List<Plug.Source> sources = sources(asked, vm);
      if (sources.size() > MOST_DEVICES) {
        throw bad(
            asked,
            vm,
            "%d devices: QEMU's first bus has room for the ports of %d"
                .formatted(sources.size(), MOST_DEVICES));
      }
      List<Plug> plugs = new ArrayList<>();
      Set<String> names = new HashSet<>();
      for (Plug.Source source : sources) {
        plugs.add(new Plug(socket(asked, vm, base.resolve(folder), source, names), source));
      }
      all.add(new PluggedVm(vm, base, folder, plugs));
    }
    return all;
  }

  private static List<Plug.Source> sources(AskedAssignment asked, VmRequest vm) {
    Stream<Plug.Source> ofHost =
        vm.devices().stream()
            .filter(d -> !KernelDevices.takes(asked, d))
            .map(d -> source(asked, vm, d));
    return Stream.concat(ofHost, vm.serving().builtIn().stream().map(Plug.Own::new)).toList();
  }

  private static Plug.Source source(AskedAssignment asked, VmRequest vm, DeviceRequest device) {
    if (!asked.live()) {
      return new Plug.StandIn(BuiltIn.EDU, device);
    }
    if (device.mode() != Mode.WHOLE && device.mode() != Mode.WRAPPED) {
      throw bad(
          asked,
          vm,
          device + ": only functions are served, whole or wrapped; QEMU takes it by itself");
    }
    if (device.token().isPresent()) {
      throw bad(
          asked, vm, device + ": no vf_token is given to the kernel here; QEMU does it by itself");
    }
    if (vm.memory().isEmpty()) {
      throw new BadInputException(
          asked.request().source(),
          0,
          "vms." + vm.name() + ".memory",
          "is not said: no more is pinned for a device than that");
    }
    return new Plug.Function(
        device.device(), device.mode() == Mode.WRAPPED, vm.serving().of(device));
  }

  private static Path socket(
      AskedAssignment asked, VmRequest vm, Path folder, Plug.Source source, Set<String> names) {
    String name =
        switch (source) {
          case Plug.Function f -> f.address();
          case Plug.Own o -> o.device().word();
          case Plug.StandIn s -> s.wanted().device();
        };
    String unique = name;
    for (int n = 2; !names.add(unique); n++) {
      unique = name + "-" + n;
    }
    Path socket = folder.resolve(unique + ".sock");
    if (socket.toString().getBytes(StandardCharsets.UTF_8).length > LONGEST_PATH) {
      throw bad(
          asked, vm, "%s is too long for a socket: choose a shorter --folder".formatted(socket));
    }
    return socket;
  }

  private static BadInputException bad(AskedAssignment asked, VmRequest vm, String why) {
    return new BadInputException(asked.request().source(), 0, "vms." + vm.name(), why);
  }

  /** A VM's name as one of a file: what no shell needs quotes for. */
  static String folderName(String vm) {
    String plain = vm.replaceAll("[^A-Za-z0-9._-]", "_");
    return plain.startsWith(".") ? "_" + plain.substring(1) : plain;
  }

  /** The same with other devices. */
  PluggedVm with(List<Plug> other) {
    return new PluggedVm(vm, base, folder, other);
  }

  /** Whether it gets a function of this machine. */
  boolean isReal() {
    return plugs.stream().anyMatch(p -> p.source() instanceof Plug.Function);
  }

  /** How often its memory is pinned: behind an IOMMU of the guest once for each function. */
  long addressSpaces() {
    return vm.viommu()
        ? plugs.stream().filter(p -> p.source() instanceof Plug.Function).count()
        : 1;
  }

  /** What plugs its devices into QEMU. */
  QemuArguments qemu() {
    return QemuArguments.of(
        vm.memory().orElse(DEFAULT_MEMORY),
        plugs.stream().map(Plug::socket).toList(),
        patience(),
        vm.serving().qmp());
  }

  /** How long its QEMU is to wait for an answer. */
  Duration patience() {
    return vm.serving().timeout().orElse(timeout());
  }

  /** RAM of a VM that says none, and has no device that needs to know. */
  private static final long DEFAULT_MEMORY = 1L << 30;

  /** Pinning takes its time: a quarter of a second for a GiB, and that twice. */
  private Duration timeout() {
    long gib = vm.memory().orElse(DEFAULT_MEMORY) >> 30;
    Duration needed = BASE_TIMEOUT.plusMillis(gib * MILLIS_PER_GIB);
    Duration bounded = needed.compareTo(MOST_TIMEOUT) < 0 ? needed : MOST_TIMEOUT;
    return bounded.compareTo(LEAST_TIMEOUT) > 0 ? bounded : LEAST_TIMEOUT;
  }

  /**
   * What plugs its devices into a domain of libvirt: its memory, shared and there from the start,
   * and arguments that libvirt hands on. The domain needs the namespace that it begins with.
   */
  String libvirt() {
    return """
      <!-- <domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'> -->
      <memory unit='KiB'>%d</memory>
      <memoryBacking>
        <source type='memfd'/>
        <access mode='shared'/>
        <allocation mode='immediate'/>
      </memoryBacking>
    """
            .formatted(vm.memory().orElse(DEFAULT_MEMORY) >> 10)
        + qemu().libvirt();
  }
}
