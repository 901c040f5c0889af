// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.vfio4j.iommu.Device;
import org.vfio4j.type1.Container;

/**
 * What one device of one VM has come to so far. Each place in a request is an attempt of its own.
 */
final class DeviceAttempt {
  final String vm;
  final DeviceRequest wanted;
  final List<Step> steps = new ArrayList<>();
  Optional<Device> device = Optional.empty();
  Optional<Container> container = Optional.empty();
  Optional<DeviceRefusal> refusal = Optional.empty();

  DeviceAttempt(String vm, DeviceRequest wanted) {
    this.vm = vm;
    this.wanted = wanted;
  }

  void refuse(DeviceRefusal why) {
    refusal = Optional.of(why);
  }
}
