// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Reads a PCI function from the attributes that sysfs has for it, wherever they are kept: in files
 * or in a recording.
 */
final class FunctionAttributes {

  /** Where the attributes are kept. */
  interface Store {
    /** The text of an attribute, without the last line break; empty if there is none. */
    Optional<String> text(String name);

    /** The bytes of an attribute; empty if there is none. */
    Optional<byte[]> bytes(String name);

    /** Whether there is an attribute of this name, readable or not. */
    boolean exists(String name);

    /** The last part of the target of a link; unknown if it is there and cannot be read. */
    Fact<String> link(String name);
  }

  private FunctionAttributes() {}

  /**
   * Puts what the attributes say into the function. The parent is told by the path, not by an
   * attribute, and is not set here.
   *
   * @throws IllegalArgumentException if an attribute is not of its form; the message names it
   */
  static void read(Store store, PciFunction.Builder out) {
    out.id(id(store, "vendor", "device"));
    out.subsystem(id(store, "subsystem_vendor", "subsystem_device"));
    out.classCode(hex(store, "class").map(PciClass::of24));
    out.driver(store.link("driver"));
    out.driverOverride(
        store
            .text("driver_override")
            .map(t -> t.isEmpty() || t.equals("(null)") ? Fact.<String>none() : Fact.known(t))
            .orElse(Fact.unknown()));
    out.numaNode(
        number(store, "numa_node")
            .map(n -> n < 0 ? Fact.<Integer>none() : Fact.known(n))
            .orElse(Fact.unknown()));
    out.iommuUnit(store.link("iommu").value());
    readReset(store, out);
    readVirtualFunctions(store, out);
    out.vgpu(Vgpu.read(store));
    store.bytes("config").map(ConfigDump::new).ifPresent(c -> readConfig(c, out));
  }

  private static void readConfig(ConfigDump config, PciFunction.Builder out) {
    out.headerType(config.headerType());
    out.pcieType(config.pcieType());
    out.acs(config.acs());
    out.buses(config.buses());
  }

  private static void readReset(Store store, PciFunction.Builder out) {
    Optional<String> methods = store.text("reset_method");
    out.resetMethods(
        methods.map(m -> Arrays.stream(m.split("\\s+")).filter(w -> !w.isEmpty()).toList()));
    if (methods.isEmpty() && store.exists("reset")) {
      out.resettable(Optional.of(true));
    }
  }

  private static void readVirtualFunctions(Store store, PciFunction.Builder out) {
    out.physicalFunction(
        switch (store.link("physfn")) {
          case Fact.Known<String>(String name) -> Fact.known(PciAddress.parse(name));
          case Fact.None<String> _ -> Fact.none();
          case Fact.Unknown<String> _ -> Fact.unknown();
        });
    out.numVfs(number(store, "sriov_numvfs"));
    out.totalVfs(number(store, "sriov_totalvfs"));
  }

  private static Optional<PciId> id(Store store, String vendor, String device) {
    Optional<Integer> left = hex(store, vendor);
    Optional<Integer> right = hex(store, device);
    return left.isPresent() && right.isPresent()
        ? Optional.of(new PciId(left.get(), right.get()))
        : Optional.empty();
  }

  private static Optional<Integer> hex(Store store, String name) {
    Optional<String> text = store.text(name);
    if (text.isPresent() && !text.get().matches("0x[0-9a-fA-F]{1,6}")) {
      throw new IllegalArgumentException(name + ": no hex number: '" + text.get() + "'");
    }
    return text.map(t -> Integer.parseInt(t.substring(2), 16));
  }

  static Optional<Integer> number(Store store, String name) {
    Optional<String> text = store.text(name);
    if (text.isPresent() && !text.get().matches("-?[0-9]{1,9}")) {
      throw new IllegalArgumentException(name + ": no number: '" + text.get() + "'");
    }
    return text.map(Integer::parseInt);
  }

  /** The mediated-device types among the attributes with these names. */
  static List<MdevType> mdevTypes(Store store, List<String> typeIds) {
    return typeIds.stream()
        .map(
            id -> {
              String at = "mdev_supported_types/" + id + "/";
              return new MdevType(
                  id,
                  store.text(at + "name"),
                  store.text(at + "device_api"),
                  number(store, at + "available_instances"),
                  store.text(at + "description"));
            })
        .toList();
  }
}
