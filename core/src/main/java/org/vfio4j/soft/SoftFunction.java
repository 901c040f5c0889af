// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.soft;

import java.util.Optional;
import org.vfio4j.iommu.Device;

/**
 * A PCI function of a machine.
 *
 * @param name its address, {@code 0000:01:00.0}
 * @param vendor vendor id
 * @param device device id
 * @param bridge whether its header is not an endpoint's: VFIO then takes any driver of it
 * @param resettable whether it can be reset by itself
 * @param physicalFunction for a virtual function, the address of its physical function
 * @param virtualFunctions for a physical function, how many virtual ones are enabled
 * @param rootBus whether it sits on a bus without a bridge above it
 */
public record SoftFunction(
    String name,
    int vendor,
    int device,
    boolean bridge,
    boolean resettable,
    Optional<String> physicalFunction,
    int virtualFunctions,
    boolean rootBus)
    implements Device {

  /** An endpoint on a root bus of which nothing else is known. */
  public static SoftFunction endpoint(String name, int vendor, int device) {
    return new SoftFunction(name, vendor, device, false, false, Optional.empty(), 0, true);
  }

  /** The same, below a bridge. */
  public SoftFunction belowBridge() {
    return new SoftFunction(
        name, vendor, device, bridge, resettable, physicalFunction, virtualFunctions, false);
  }

  /** The same, as a bridge. */
  public SoftFunction asBridge() {
    return new SoftFunction(
        name, vendor, device, true, resettable, physicalFunction, virtualFunctions, rootBus);
  }

  /** The same, as a virtual function. */
  public SoftFunction virtualOf(String physical) {
    return new SoftFunction(
        name, vendor, device, bridge, resettable, Optional.of(physical), virtualFunctions, rootBus);
  }

  /** The same, with that many virtual functions enabled. */
  public SoftFunction withVirtualFunctions(int count) {
    return new SoftFunction(
        name, vendor, device, bridge, resettable, physicalFunction, count, rootBus);
  }

  /** The same, able to be reset. */
  public SoftFunction withReset() {
    return new SoftFunction(
        name, vendor, device, bridge, true, physicalFunction, virtualFunctions, rootBus);
  }

  @Override
  public Bus bus() {
    return Bus.PCI;
  }

  /** Domain and bus of the address, {@code 0000:01}. */
  public String busNumber() {
    return name.substring(0, name.lastIndexOf(':'));
  }
}
